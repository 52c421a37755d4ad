import { existsSync, readFileSync } from 'node:fs';
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually } from '../support/eventually.ts';
import { CACHE } from './cache.ts';
import { cgroupsOf, processesIn, removeCgroup } from './cgroups.ts';
import { run, succeed } from './command.ts';

const RUNS = join(CACHE, 'run');
const NSPAWN = '/run/systemd/nspawn/propagate';

/** One lab that is open: everything of it on this host has a name that begins with `id`, or is below `folder`. */
export interface Run {
  readonly id: string;
  readonly folder: string;
}

let opened = 0;

export async function makeRun(): Promise<Run> {
  const id = `fedlab${process.pid}x${++opened}`;
  const folder = join(RUNS, id);
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'owner'), identity(process.pid));
  return { id, folder };
}

/** Ends and removes all that runs of dead processes left behind. */
export async function sweepRuns(): Promise<void> {
  for (const id of existsSync(RUNS) ? await readdir(RUNS) : []) {
    const folder = join(RUNS, id);
    const [, pid] = /^fedlab(\d+)x/.exec(id) ?? [];
    const owner = await readFile(join(folder, 'owner'), 'utf8').catch(() => '');
    if (pid !== undefined && owner !== identity(Number(pid))) await removeRun({ id, folder });
  }
}

/** Ends every process of a run and removes its mounts, namespaces, cgroups and files. */
export async function removeRun({ id, folder }: Run): Promise<void> {
  await eventually(`all processes of ${id} have ended`, () => killAll(id));
  for (const mount of (await mountsBelow(folder)).toReversed()) await succeed(['umount', mount]);
  await eventually(`the namespaces of ${id} are gone`, () => removeNamespaces(id));
  for (const cgroup of cgroupsOf(id)) {
    await eventually(`the cgroup ${cgroup} can be removed`, () => removeCgroup(cgroup));
  }
  for (const name of await namesIn(NSPAWN, id)) await rm(join(NSPAWN, name), { recursive: true, force: true });
  await rm(folder, { recursive: true, force: true });
}

/** What there is of a run on this host, for people to read. */
export async function remainsOf({ id, folder }: Run): Promise<string[]> {
  const processes = await processesOf(id);
  return [
    ...processes.map((pid) => `process ${pid}`),
    ...(await mountsBelow(folder)).map((path) => `mount ${path}`),
    ...(await namespacesOf(id)).map((name) => `namespace ${name}`),
    ...cgroupsOf(id).map((path) => `cgroup ${path}`),
    ...(existsSync(folder) ? [`folder ${folder}`] : []),
  ];
}

async function killAll(id: string): Promise<boolean> {
  const pids = await processesOf(id);
  for (const pid of pids) kill(pid);
  return pids.length === 0;
}

/** A machine that ends removes its own, maybe at this moment. */
async function removeNamespaces(id: string): Promise<boolean> {
  for (const namespace of await namespacesOf(id)) await run(['ip', 'netns', 'del', namespace]);
  return (await namespacesOf(id)).length === 0;
}

async function processesOf(id: string): Promise<number[]> {
  const pids = cgroupsOf(id).flatMap(processesIn);
  for (const namespace of await namespacesOf(id)) {
    const { stdout } = await run(['ip', 'netns', 'pids', namespace]);
    pids.push(...stdout.split('\n').filter(Boolean).map(Number));
  }
  return [...new Set(pids)];
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended since it was listed.
  }
}

const namespacesOf = (id: string) => namesIn('/run/netns', id);

async function namesIn(folder: string, id: string): Promise<string[]> {
  const names = existsSync(folder) ? await readdir(folder) : [];
  return names.filter((name) => name.startsWith(`${id}-`));
}

async function mountsBelow(folder: string): Promise<string[]> {
  const lines = (await readFile('/proc/mounts', 'utf8')).split('\n');
  return lines.flatMap((line) => line.split(' ')[1] ?? []).filter((path) => path.startsWith(`${folder}/`));
}

/** Tells a process from a later one with the same id: by the time of its start, in ticks since boot (proc(5)). */
function identity(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return `${pid} ${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]}`;
  } catch {
    return 'gone';
  }
}
