import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { ulid } from 'ulid';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLog } from '#src/adapters/log.ts';
import { type Child, type Processes, createProcesses } from '#src/adapters/process/processes.ts';
import { killAll } from '#src/adapters/process/tree.ts';
import { processesMarked, until } from '../worker/worker-under-test.ts';

const log = createLog({ level: 'warn', module: 'test' });
let processes: Processes;
beforeEach(() => {
  processes = createProcesses({ log });
});
afterEach(() => processes.close());

async function spawn(script: string, id = ulid(), name = 'sh'): Promise<Child> {
  const spawned = await processes.spawn({ id, argv: ['sh', '-c', script, name], cwd: '/', env: {}, stdin: false });
  if (!spawned.ok) throw new Error(spawned.failure.reason);
  return spawned.child;
}

async function outputOf(script: string, id?: string): Promise<string> {
  const child = await spawn(script, id);
  const [output] = await Promise.all([text(child.stdout), child.exited]);
  child.release();
  return output;
}

const mark = () => `mark-${randomBytes(6).toString('hex')}`;
const cgroupOf = (pid: number | 'self') => /^0::(.*)$/m.exec(readFileSync(`/proc/${pid}/cgroup`, 'utf8'))?.[1];

describe('a process', () => {
  it('leads a group and a session of its own', async () => {
    const [pid, group, session] = (await outputOf('echo $$ $(cut -d" " -f5,6 /proc/$$/stat)')).trim().split(' ');
    expect([group, session]).toEqual([pid, pid]);
  });

  it('carries the id of its invocation, which nobody can set otherwise', async () => {
    const id = ulid();
    expect(await outputOf('echo $OPENCLAW_FEDERATION_INVOCATION', id)).toBe(`${id}\n`);
    const env = { OPENCLAW_FEDERATION_INVOCATION: 'other' };
    const spawned = await processes.spawn({
      id,
      argv: ['printenv', 'OPENCLAW_FEDERATION_INVOCATION'],
      cwd: '/',
      env,
      stdin: false,
    });
    if (!spawned.ok) throw new Error(spawned.failure.reason);
    expect(await text(spawned.child.stdout)).toBe(`${id}\n`);
    await spawned.child.exited;
    spawned.child.release();
  });

  it('is born in a cgroup of its own while we stay in ours', async (context) => {
    if (!processes.contained) context.skip();
    const own = cgroupOf('self');
    const id = ulid();
    const path = (await outputOf('sed -n "s/^0:://p" /proc/self/cgroup', id)).trim();
    expect(path).toMatch(new RegExp(`openclaw-federation/${id}$`));
    expect(cgroupOf('self')).toBe(own);
  });

  it('that can’t start leaves no cgroup behind', async (context) => {
    if (!processes.contained) context.skip();
    const id = ulid();
    expect((await processes.spawn({ id, argv: ['no-such-program'], cwd: '/', env: {}, stdin: false })).ok).toBe(false);
    const mount = /^\S+ \S+ \S+ \S+ (\S+) .* - cgroup2 /m.exec(readFileSync('/proc/self/mountinfo', 'utf8'))?.[1];
    expect(existsSync(`${mount}${cgroupOf('self')}/openclaw-federation/${id}`)).toBe(false);
  });
});

describe.each([
  ['with cgroups', {}],
  ['without cgroups', { cgroups: null }],
])('ending a tree %s', (_, options) => {
  beforeEach(() => {
    processes.close();
    processes = createProcesses({ log, ...options });
  });

  it('gives TERM its time and kills what is left, however it left the group', async () => {
    const name = mark();
    const child = await spawn(
      `trap 'exit 0' TERM; setsid sh -c 'trap "" TERM; sleep 60; :' ${name} & (setsid sh -c 'sleep 60; :' ${name} &); while :; do sleep 0.05; done`,
    );
    await until(() => processesMarked(name).length === 2);
    expect(await child.endTree({ termFirst: true, killAfterMs: 200 })).toBe(0);
    expect(processesMarked(name)).toEqual([]);
    expect(await child.exited).toEqual({ exitCode: 0, signal: null });
    child.release();
  });

  it('kills at once when told to', async () => {
    const child = await spawn('trap "" TERM; while :; do sleep 0.05; done');
    expect(await child.endTree({ termFirst: false, killAfterMs: 60_000 })).toBe(0);
    expect(await child.exited).toEqual({ exitCode: null, signal: 'SIGKILL' });
    child.release();
  });

  it('keeps up with a command that forks all the time', async () => {
    const name = mark();
    const child = await spawn(
      `f() { setsid sh -c "$1" ${name} "$1" & sleep 0.02; }; while :; do f 'sleep 60; :'; done`,
      ulid(),
      name,
    );
    await until(() => processesMarked(name).length > 5);
    expect(await child.endTree({ termFirst: false, killAfterMs: 0 })).toBe(0);
    expect(processesMarked(name)).toEqual([]);
    child.release();
  });

  it('ends nothing of another invocation', async () => {
    const name = mark();
    const other = await spawn('sleep 60; :', ulid(), name);
    const child = await spawn('sleep 60');
    await child.endTree({ termFirst: true, killAfterMs: 100 });
    expect(processesMarked(name)).toHaveLength(1);
    await other.endTree({ termFirst: false, killAfterMs: 0 });
    for (const each of [child, other]) each.release();
  });

  it('can be asked for twice', async () => {
    const child = await spawn('sleep 60');
    const ending = { termFirst: true, killAfterMs: 100 };
    expect(await Promise.all([child.endTree(ending), child.endTree(ending)])).toEqual([0, 0]);
    expect(await child.endTree(ending)).toBe(0);
    child.release();
  });

  it('finds orphans by the id of their invocation, and touches no others', async () => {
    const [name, other] = [mark(), mark()];
    const id = ulid();
    const orphan = await spawn(`setsid sh -c 'sleep 60; :' ${name} & sleep 60`, id, name);
    const stranger = await spawn('sleep 60; :', ulid(), other);
    await until(() => processesMarked(name).length === 2);
    expect(await processes.endOrphans([ulid(), id])).toBe(0);
    expect(processesMarked(name)).toEqual([]);
    expect(processesMarked(other)).toHaveLength(1);
    await stranger.endTree({ termFirst: false, killAfterMs: 0 });
    for (const each of [orphan, stranger]) each.release();
  });
});

it('killing says how many it could not kill', async () => {
  expect(await killAll(() => Promise.resolve([2 ** 30]))).toBe(1);
});
