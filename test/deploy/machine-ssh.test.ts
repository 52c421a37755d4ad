import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { delimiter, join } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { ResultPromise } from 'execa';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { filesOf } from '#src/adapters/machine/files.ts';
import type { Machine } from '#src/adapters/machine/machine.ts';
import { sshMachine } from '#src/adapters/machine/ssh.ts';
import { askFrom } from '#src/deploy/ask-from.ts';
import { freePort } from '#src/deploy/children/free-port.ts';
import { eventually } from '../support/eventually.ts';

const SSHD = '/usr/sbin/sshd';
const { signal } = new AbortController();
const isRoot = userInfo().uid === 0;

/** As root it wants an empty folder of the system's, which it gets in a mount namespace of its own. */
const PRIVATE_RUN = 'mount -t tmpfs tmpfs /run && mkdir -m 755 /run/sshd && exec "$@"';

describe.skipIf(!existsSync(SSHD))(`a machine behind a real ssh server (not run without ${SSHD})`, () => {
  const pathBefore = process.env['PATH'];
  let folder: string;
  let server: ResultPromise<{ reject: false; detached: true; all: true }>;
  let machine: Machine;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ssh-'));
    const port = await freePort();
    for (const name of ['host', 'client', 'stranger']) {
      await execa('/usr/bin/ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, name)]);
    }
    await writeFile(join(folder, 'authorized'), await readFile(join(folder, 'client.pub')));
    const hostKey = (await readFile(join(folder, 'host.pub'), 'utf8')).trim();
    await writeFile(join(folder, 'known'), `[127.0.0.1]:${port} ${hostKey}\n`);
    await writeFile(
      join(folder, 'sshd_config'),
      [
        `ListenAddress 127.0.0.1:${port}`,
        `HostKey ${join(folder, 'host')}`,
        `AuthorizedKeysFile ${join(folder, 'authorized')}`,
        ...['PidFile none', 'UsePAM no', 'StrictModes no', 'PermitRootLogin yes', 'PasswordAuthentication no', ''],
      ].join('\n'),
    );
    const aliases = ['known', 'unknown', 'denied'].map((host) =>
      [
        `Host ${host}`,
        'HostName 127.0.0.1',
        `Port ${port}`,
        `IdentityFile ${join(folder, host === 'denied' ? 'stranger' : 'client')}`,
        'IdentitiesOnly yes',
        'IdentityAgent none',
        `UserKnownHostsFile ${join(folder, host === 'unknown' ? 'nobody' : 'known')}`,
      ].join('\n  '),
    );
    await writeFile(join(folder, 'config'), `${aliases.join('\n')}\n`);
    // ssh takes its own settings from the home in the user database, whatever HOME is.
    await writeFile(join(folder, 'ssh'), `#!/bin/sh\nexec /usr/bin/ssh -F ${join(folder, 'config')} "$@"\n`, {
      mode: 0o755,
    });
    process.env['PATH'] = `${folder}${delimiter}${pathBefore}`;
    const argv = [SSHD, '-D', '-e', '-f', join(folder, 'sshd_config')];
    const started = isRoot ? ['unshare', '-m', 'sh', '-c', PRIVATE_RUN, 'sh', ...argv] : argv;
    server = execa(started[0]!, started.slice(1), { reject: false, detached: true, all: true });
    let said = '';
    server.all.on('data', (part: Buffer) => (said += part.toString()));
    await eventually('the ssh server listens', () => said.includes('Server listening'));
    machine = await sshMachine('known', { signal, terminal: false });
  });

  afterAll(async () => {
    await machine.close();
    process.env['PATH'] = pathBefore;
    server.kill();
    await server;
    await rm(folder, { recursive: true, force: true });
  });

  test('words, input, output and exit code pass unchanged', async () => {
    const words = ['a b', "it's", '$HOME', '', 'ü\n', '"'];
    const input = Readable.from([Buffer.from('over the wire')]);
    const ran = await machine.run({
      ...{ argv: ['sh', '-c', String.raw`printf '%s\0' "$@"; cat; exit 7`, 'sh', ...words], as: 'login', signal },
      input,
    });
    expect(ran).toEqual({ code: 7, stdout: `${words.join('\0')}\0over the wire`, stderr: '' });
  });

  test('files are written there as they are here', async () => {
    const files = filesOf(machine, 'login', signal);
    const content = Buffer.from(Array.from({ length: 100_000 }, (_, at) => at % 256));
    await files.write({ path: join(folder, 'sent'), content, mode: 0o600, owner: null });
    expect(await readFile(join(folder, 'sent'))).toEqual(content);
    expect(await files.read(join(folder, 'sent'))).toEqual(content);
  });

  test('a command that is stopped ends there, and what it started too', async () => {
    const stopping = new AbortController();
    const pids = join(folder, 'pids');
    const script = 'echo $$ >>"$1"; sh -c \'echo $$ >>"$1"; exec sleep 300\' sh "$1" & exec sleep 300';
    const argv = ['sh', '-c', script, 'sh', pids] as const;
    const running = machine.run({ argv, as: 'login', signal: stopping.signal });
    running.catch(() => undefined);
    const started = await eventually('both run', async () => {
      const found = (await readFile(pids, 'utf8').catch(() => '')).split('\n').slice(0, -1);
      return found.length === 2 && found;
    });
    stopping.abort(new Error('enough'));
    await expect(running).rejects.toThrow('enough');
    for (const pid of started) expect(existsSync(`/proc/${pid}/exe`)).toBe(false);
  });

  test('a connection from there is a stream, and says when nothing listens', async () => {
    const greeter = createServer((socket) => socket.end('hello from there')).listen(0, '127.0.0.1');
    await eventually('it listens', () => greeter.listening);
    const { port } = greeter.address() as AddressInfo;
    expect(await text(await machine.connect({ host: '127.0.0.1', port }, signal))).toBe('hello from there');
    await new Promise((resolve) => greeter.close(resolve));
    const refused = await machine.connect({ host: '127.0.0.1', port }, signal);
    await expect(text(refused)).rejects.toMatchObject({ code: 'HUB_UNREACHABLE' });
  });

  test('an HTTP server is asked from there', async () => {
    const server = createHttpServer((request, response) => response.end(`${request.url} of ${request.headers.host}`));
    server.listen(0, '127.0.0.1');
    await eventually('it listens', () => server.listening);
    const { port } = server.address() as AddressInfo;
    const answered = await askFrom(machine, { to: { host: '127.0.0.1', port }, path: '/health' }, signal);
    expect(answered).toMatchObject({ status: 200, text: `/health of 127.0.0.1:${port}` });
    await new Promise((resolve) => server.close(resolve));
    await expect(askFrom(machine, { to: { host: '127.0.0.1', port }, path: '/health' }, signal)).rejects.toMatchObject({
      code: 'HUB_UNREACHABLE',
    });
  });

  test('an unknown host key is not accepted, and a key that is not let in is said so', async () => {
    await expect(sshMachine('unknown', { signal, terminal: false })).rejects.toMatchObject({
      code: 'MACHINE_UNREACHABLE',
      hint: 'compare its fingerprint and accept it once: ssh unknown',
    });
    await expect(sshMachine('denied', { signal, terminal: false })).rejects.toMatchObject({
      code: 'MACHINE_UNREACHABLE',
      message: 'denied does not let us in',
    });
    expect(existsSync(join(folder, 'nobody'))).toBe(false);
  });
});
