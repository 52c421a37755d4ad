import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { TUN } from './boot.ts';
import { CACHE } from './cache.ts';
import { unifiedCgroups } from './cgroups.ts';
import { run } from './command.ts';
import { missingPrograms, programOnHost } from './host.ts';
import { TAILNET_PROGRAMS } from './tailnet-programs.ts';

/** A part of the lab, by what this host must have for it. */
export type Part = 'machines' | 'tailnet';

/** Why a part of the lab can't run on this host; null where it can. */
export type Obstacles = Readonly<Record<Part, string | null>>;

export async function findObstacles(): Promise<Obstacles> {
  const machines = machinesObstacle() ?? (await mountObstacle());
  return { machines, tailnet: machines ?? tailnetObstacle() };
}

function machinesObstacle(): string | null {
  if (process.platform !== 'linux') return 'the lab needs Linux';
  if (process.getuid?.() !== 0) return 'the lab needs root';
  if (unifiedCgroups() === null) return 'cgroups of version 2 are not mounted';
  const missing = missingPrograms();
  if (missing.length > 0 && programOnHost('apt-get') === null) {
    return `there is no apt-get to install what is missing: ${missing.join(', ')}`;
  }
  return null;
}

/** A container without the capability, or a cache on an overlay already, refuses it. */
async function mountObstacle(): Promise<string | null> {
  await mkdir(CACHE, { recursive: true });
  const folder = await mkdtemp(join(CACHE, 'probe-'));
  const [lower, upper, work, root] = ['lower', 'upper', 'work', 'root'].map((name) => join(folder, name));
  try {
    for (const path of [lower, upper, work, root]) await mkdir(path ?? '');
    const layers = `lowerdir=${lower},upperdir=${upper},workdir=${work}`;
    const { code, stderr } = await run(['mount', '-t', 'overlay', 'overlay', '-o', layers, root ?? '']);
    if (code !== 0) return `no overlay can be mounted in ${CACHE}: ${stderr.trim()}`;
    await run(['umount', root ?? '']);
    return null;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function tailnetObstacle(): string | null {
  if (!existsSync(TUN)) return `there is no ${TUN}`;
  const missing = TAILNET_PROGRAMS.filter((program) => programOnHost(program) === null);
  if (programOnHost('go') === null && missing.length > 0) {
    return `there is no go to build what is missing: ${missing.join(', ')}`;
  }
  return null;
}
