import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cached } from './cache.ts';
import { succeed } from './command.ts';

/** The control server's name, which no public name server knows. */
export const CONTROL_NAME = 'hs.lab';

/** A certificate authority that only machines of the lab trust, and what it issued to the control server. */
export interface Authority {
  readonly certificate: string;
  readonly serverCertificatePath: string;
  readonly serverKeyPath: string;
}

const DAYS = '3650';

export async function makeAuthority(): Promise<Authority> {
  const folder = await cached('authority', { DAYS, CONTROL_NAME }, async (cwd) => {
    const fresh = ['openssl', 'req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    const root = ['-subj', '/CN=lab authority', '-addext', 'basicConstraints=critical,CA:true'];
    await succeed([...fresh, '-x509', '-days', DAYS, '-keyout', 'ca.key', '-out', 'ca.crt', ...root], { cwd });
    await succeed([...fresh, '-keyout', 'server.key', '-out', 'server.csr', '-subj', `/CN=${CONTROL_NAME}`], { cwd });
    await writeFile(join(cwd, 'server.ext'), `subjectAltName=DNS:${CONTROL_NAME}\n`);
    const sign = ['openssl', 'x509', '-req', '-in', 'server.csr', '-CA', 'ca.crt', '-CAkey', 'ca.key'];
    const out = ['-CAcreateserial', '-days', DAYS, '-extfile', 'server.ext', '-out', 'server.crt'];
    await succeed([...sign, ...out], { cwd });
  });
  return {
    certificate: await readFile(join(folder, 'ca.crt'), 'utf8'),
    serverCertificatePath: join(folder, 'server.crt'),
    serverKeyPath: join(folder, 'server.key'),
  };
}
