import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { HubRecord } from '#src/core/hub-record.ts';
import type { Status } from '#src/protocol/hub-api.ts';
import { startJob } from '../support/job.ts';
import type { TestNode } from '../support/link.ts';
import { facts, newKey, startNode } from '../support/link.ts';
import type { Federation } from './federation.ts';
import { startFederation } from './federation.ts';

const NODES = 6000;
const CAP = 1000;
/** Nodes that shake hands at once: so few that each has its turn at the hub's pace long before its handshake is late. */
const AT_ONCE = 20;
const SAMPLES = 60;

let federation: Federation;
const held: TestNode[] = [];

beforeEach(async () => {
  federation = await startFederation({
    workers: 1,
    env: { OPENCLAW_FEDERATION_HUB_PENDING_MAX: String(CAP), OPENCLAW_FEDERATION_HUB_PENDING_PER_SOURCE: String(CAP) },
  });
});
afterEach(async () => {
  await Promise.all(held.splice(0).map((node) => node.stop()));
  await federation.stop();
});

it(
  'thousands of nodes that want in fill the list to its limit, and a member goes on working',
  { timeout: 240_000 },
  async () => {
    const hub = JSON.parse(await readFile(join(federation.home, 'hub.json'), 'utf8')) as HubRecord;

    /** Median time of a command on the member, in milliseconds. */
    async function latency(): Promise<number> {
      const times: number[] = [];
      for (let sample = 0; sample < SAMPLES; sample += 1) {
        const from = performance.now();
        const job = await startJob(hub.operator, { kind: 'exec', targets: ['w1'], command: { argv: ['/bin/true'] } });
        await job.over;
        expect(job.ended?.summary).toEqual({ ok: 1 });
        times.push(performance.now() - from);
      }
      return times.toSorted((a, b) => a - b)[SAMPLES / 2]!;
    }

    /** What becomes of one more that asks under a name and a key of its own. A waiting one keeps its line. */
    async function knock(number: number): Promise<string> {
      const { promise, resolve } = Promise.withResolvers<string>();
      const node = startNode(
        { port: hub.port, key: newKey() },
        {
          pin: () => hub.hubId,
          facts: () => facts(`n${number}`),
          onEvent(event) {
            if (event.type === 'waiting') resolve('waits');
            if (event.type === 'refused') resolve(event.error.code);
            if (event.type === 'lost') resolve(event.error.code);
          },
        },
      );
      const outcome = await promise;
      if (outcome === 'waits') held.push(node);
      else await node.stop();
      return outcome;
    }

    await latency();
    const before = await latency();
    const outcomes = new Map<string, number>();
    let next = 0;
    const during: number[] = [];
    let isOver = false;
    async function knockOnAndOn(): Promise<void> {
      for (let number = next++; number < NODES; number = next++) {
        const outcome = await knock(number);
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      }
    }
    async function measureOnAndOn(): Promise<void> {
      while (!isOver) during.push(await latency());
    }
    const measured = measureOnAndOn();
    const from = performance.now();
    await Promise.all(Array.from({ length: AT_ONCE }, knockOnAndOn));
    const seconds = (performance.now() - from) / 1000;
    isOver = true;
    await measured;
    const full = await latency();

    const say = (what: string, ms: number) =>
      process.stderr.write(`figure: ${what}: ${ms.toFixed(1)} ms, ${(ms / before).toFixed(2)} × of before\n`);
    say('exec on a member before anybody knocks', before);
    say(
      `exec on a member while ${Math.round(NODES / seconds)} nodes a second knock, without a pause`,
      during.toSorted((a, b) => a - b)[Math.floor(during.length / 2)]!,
    );
    say(`exec on a member with ${CAP} nodes waiting on their lines`, full);

    expect(Object.fromEntries(outcomes)).toEqual({ waits: CAP, PENDING_FULL: NODES - CAP });
    expect((await federation.ask<Status>('status')).pending).toBe(CAP);
    expect(await federation.manage(['exec', 'w1', '--', 'echo', 'here'])).toMatchObject({ stdout: 'here\n' });
  },
);
