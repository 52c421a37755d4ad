import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JobView } from '#src/protocol/hub-api/job.ts';
import type { Federation } from './federation.ts';
import { startFederation } from './federation.ts';
import { isAlive, programsWith } from './processes.ts';
import { stubbornTree } from './tree.ts';
import { until } from './until.ts';

interface Answer {
  readonly job: string;
  readonly summary: Readonly<Record<string, number>>;
  readonly results: readonly { node: string; outcome: string; exitCode: number | null; reason: string | null }[];
}

describe('a part of the federation that dies while a command runs', () => {
  let federation: Federation;
  beforeAll(async () => {
    const env = {
      OPENCLAW_FEDERATION_WORKER_HUB_LOSS_SECONDS: '3',
      OPENCLAW_FEDERATION_WORKER_KILL_AFTER_SECONDS: '1',
    };
    federation = await startFederation({ workers: 2, env });
  });
  afterAll(() => federation.stop());

  async function jobOf(id: string): Promise<JobView> {
    const job = (await federation.ask<JobView[]>('jobs')).find((one) => one.job === id);
    if (job === undefined) throw new Error(`no job ${id}`);
    return job;
  }

  /** What `jobs` says of the one part of a job, as soon as it satisfies. */
  function untilPart(id: string, what: string, satisfies: (part: JobView['results'][number]) => boolean) {
    return until(what, async () => {
      const job = await jobOf(id).catch(() => null);
      const part = job?.results[0];
      return part !== undefined && satisfies(part) ? part : null;
    });
  }

  async function kill(part: 'hub' | 'w1' | 'w2'): Promise<void> {
    const pid = await federation.pidOf(part);
    process.kill(pid, 'SIGKILL');
    await until(`${part} is dead`, () => !isAlive(pid));
  }

  it('is unknown when the worker daemon is killed, and stays so; what it left behind is dead when it is back', async () => {
    const tree = stubbornTree();
    const running = federation.startManage(['--json', 'exec', 'w1', '--', 'sh', '-c', tree.script]);
    await tree.untilGrown();
    await kill('w1');
    const ended = await running.ended;
    expect(ended).toMatchObject({ exitCode: 254, stderr: '' });
    const answer = JSON.parse(ended.stdout) as Answer;
    expect(answer.summary).toEqual({ unknown: 1 });
    expect(answer.results).toMatchObject([{ node: 'w1', outcome: 'unknown', exitCode: null }]);

    await federation.untilState('w1', 'online');
    expect(tree.alive()).toBe(0);
    const asked = await untilPart(answer.job, 'the node was asked', ({ reason }) => /does not know/.test(reason ?? ''));
    expect(asked).toMatchObject({ outcome: 'unknown', exitCode: null });
    expect(await jobOf(answer.job)).toMatchObject({ summary: { unknown: 1 } });
  });

  it('says in words that the command may have run', async () => {
    const tree = stubbornTree();
    const running = federation.startManage(['exec', 'w1', '--', 'sh', '-c', tree.script]);
    await tree.untilGrown();
    await kill('w1');
    const ended = await running.ended;
    expect(ended).toMatchObject({ exitCode: 254, stdout: '' });
    expect(ended.stderr).toMatch(/^w1: unknown: .*may have run\n$/);
    await federation.untilState('w1', 'online');
  });

  it('is unknown when the hub is killed, until the hub is back and the node tells how it ended', async () => {
    const proof = federation.place.file(`proof-${randomUUID()}`);
    const go = federation.place.file(`go-${randomUUID()}`);
    const script = `until [ -e '${go}' ]; do sleep 0.1; done; echo ran >>'${proof}'; exit 5`;
    const running = federation.startManage(['--json', 'exec', 'w1', '--', 'sh', '-c', script, go]);
    await until('the command runs', () => programsWith('sh', go)[0]);
    await kill('hub');
    const ended = await running.ended;
    expect(ended).toMatchObject({ exitCode: 254, stderr: expect.stringContaining('may still run on w1') });
    const { job, summary } = JSON.parse(ended.stdout) as Answer;
    expect(summary).toEqual({ unknown: 1 });

    await federation.place.startShell(`: >'${go}'`).ended;
    const part = await untilPart(job, 'the job is resolved', ({ outcome }) => outcome !== 'unknown');
    expect(part).toMatchObject({ outcome: 'failed', exitCode: 5, replayed: true });
    expect(await readFile(proof, 'utf8')).toBe('ran\n');
    await federation.untilState('w1', 'online');
  });

  it('ends a command whose hub stays away, and calls it cancelled, not ok', async () => {
    // The hub was killed a moment ago, and each node finds its way back in its own time.
    await federation.untilState('w2', 'online');
    const tree = stubbornTree();
    const running = federation.startManage(['--json', 'exec', 'w2', '--', 'sh', '-c', tree.script]);
    await tree.untilGrown();
    await kill('hub');
    const ended = await running.ended;
    expect(ended).toMatchObject({ exitCode: 254 });
    await tree.untilGone();
    const { job } = JSON.parse(ended.stdout) as Answer;
    const part = await untilPart(job, 'the job is resolved', ({ outcome }) => outcome !== 'unknown');
    expect(part).toMatchObject({ outcome: 'cancelled', replayed: true });
    await federation.untilState('w2', 'online');
  });

  it('never ran, with 255, where the node is not connected', async () => {
    // Nobody is to start the worker daemon again while it is needed dead.
    const supervisor = await federation.pidOf('supervisor');
    process.kill(supervisor, 'SIGSTOP');
    try {
      await kill('w2');
      await federation.untilState('w2', 'offline');
      const words = await federation.manage(['exec', 'w2', '--', 'true']);
      expect(words).toMatchObject({ exitCode: 255, stdout: '', stderr: 'w2: never ran: w2 is not connected\n' });
      const json = await federation.manage(['--json', 'exec', 'w2', '--', 'true']);
      expect(json.exitCode).toBe(255);
      expect(JSON.parse(json.stdout)).toMatchObject({ summary: { unreachable: 1 } });
    } finally {
      process.kill(supervisor, 'SIGCONT');
    }
    await federation.untilState('w2', 'online');
    expect(await federation.manage(['exec', 'w2', '--', 'true'])).toMatchObject({ exitCode: 0 });
  });
});
