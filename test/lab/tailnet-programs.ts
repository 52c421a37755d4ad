import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cached } from './cache.ts';
import { succeed } from './command.ts';
import { programOnHost } from './host.ts';

export const TAILNET_PROGRAMS = ['tailscale', 'tailscaled', 'headscale'] as const;

/** Paths of Tailscale's programs and of a control server for them. */
export type TailnetPrograms = Readonly<Record<(typeof TAILNET_PROGRAMS)[number], string>>;

const TAILSCALE = '1.102.3';

/** `stamp`: what a release prints as its version, and a plain build can't know. */
const MODULES = [
  {
    module: 'tailscale.com',
    version: TAILSCALE,
    packages: ['tailscale.com/cmd/tailscale', 'tailscale.com/cmd/tailscaled'],
    stamp: `-X tailscale.com/version.shortStamp=${TAILSCALE} -X tailscale.com/version.longStamp=${TAILSCALE}`,
  },
  {
    module: 'github.com/juanfont/headscale',
    version: '0.29.2',
    packages: ['github.com/juanfont/headscale/cmd/headscale'],
    stamp: '',
  },
];

const GO_VERSION = '1.26.4';

/** Builds them with Go, which minutes are spent on once; without Go those on PATH serve. */
export async function makeTailnetPrograms(): Promise<TailnetPrograms> {
  const go = programOnHost('go');
  if (go === null) return Object.fromEntries(TAILNET_PROGRAMS.map((name) => [name, onPath(name)])) as TailnetPrograms;
  const folder = await cached('tailnet-programs', { MODULES, GO_VERSION }, async (target) => {
    for (const module of MODULES) await build(go, module, target);
  });
  return Object.fromEntries(TAILNET_PROGRAMS.map((name) => [name, join(folder, name)])) as TailnetPrograms;
}

/** A module of our own that requires theirs: `go install` would ask for their newest version too. */
async function build(go: string, { module, version, packages, stamp }: (typeof MODULES)[number], target: string) {
  const cwd = join(target, 'module');
  const env = { CGO_ENABLED: '0', GOFLAGS: '-mod=mod -trimpath -buildvcs=false' };
  await mkdir(cwd);
  await writeFile(join(cwd, 'go.mod'), `module lab\n\ngo ${GO_VERSION}\n\nrequire ${module} v${version}\n`);
  await succeed([go, 'build', `-ldflags=-s -w ${stamp}`, '-o', `${target}/`, ...packages], { cwd, env });
  await rm(cwd, { recursive: true });
}

function onPath(name: string): string {
  const path = programOnHost(name);
  if (path === null) throw new Error(`neither go nor ${name} is on PATH`);
  return path;
}
