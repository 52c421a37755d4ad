import { createHash } from 'node:crypto';
import { chmod, copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cached } from './cache.ts';
import { succeed } from './command.ts';
import type { TailnetPrograms } from './tailnet-programs.ts';
import { makeTailnetPrograms } from './tailnet-programs.ts';

const ARCHITECTURE = process.arch === 'arm64' ? 'arm64' : 'amd64';

const UNIT = `[Unit]
Description=Tailscale node agent
Wants=network-pre.target
After=network-pre.target NetworkManager.service systemd-resolved.service

[Service]
EnvironmentFile=/etc/default/tailscaled
ExecStart=/usr/sbin/tailscaled --state=/var/lib/tailscale/tailscaled.state --socket=/run/tailscale/tailscaled.sock --port=\${PORT} $FLAGS
ExecStopPost=/usr/sbin/tailscaled --cleanup
Restart=on-failure
RuntimeDirectory=tailscale
RuntimeDirectoryMode=0755
StateDirectory=tailscale
StateDirectoryMode=0700
CacheDirectory=tailscale
CacheDirectoryMode=0750
Type=notify

[Install]
WantedBy=multi-user.target
`;

const DEFAULTS = `PORT="41641"
FLAGS=""
`;

/** Tailscale as its makers hand it out for a distribution without a package. */
export interface TailscaleTarball {
  /** As `tailscale version` prints it. */
  readonly version: string;
  /** Folder that holds the tarball and its .sha256. */
  readonly folder: string;
  readonly file: string;
}

export async function makeTailscaleTarball(): Promise<TailscaleTarball> {
  const programs = await makeTailnetPrograms();
  const version = (await succeed([programs.tailscale, 'version'])).split('\n')[0] ?? '';
  const name = `tailscale_${version}_${ARCHITECTURE}`;
  const file = `${name}.tgz`;
  const folder = await cached('tailscale-tarball', { name, UNIT, DEFAULTS, programs }, async (cwd) => {
    await layOut(join(cwd, name), programs);
    await succeed(['tar', '-czf', file, '--owner=0', '--group=0', name], { cwd });
    await rm(join(cwd, name), { recursive: true });
    const hash = createHash('sha256')
      .update(await readFile(join(cwd, file)))
      .digest('hex');
    await writeFile(join(cwd, `${file}.sha256`), hash);
  });
  return { version, folder, file };
}

async function layOut(folder: string, { tailscale, tailscaled }: TailnetPrograms): Promise<void> {
  await mkdir(join(folder, 'systemd'), { recursive: true });
  await writeFile(join(folder, 'systemd/tailscaled.service'), UNIT);
  await writeFile(join(folder, 'systemd/tailscaled.defaults'), DEFAULTS);
  for (const [name, path] of Object.entries({ tailscale, tailscaled })) {
    await copyFile(path, join(folder, name));
    await chmod(join(folder, name), 0o755);
  }
}
