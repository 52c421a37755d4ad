import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { HubRecord } from '#src/core/hub-record.ts';
import type { Status } from '#src/protocol/hub-api/status.ts';
import { startJob } from '../support/job.ts';
import type { TestNode } from '../support/link.ts';
import { facts, newKey, startNode } from '../support/link.ts';
import type { Federation } from './federation.ts';
import { startFederation } from './federation.ts';

const NODES = 10_000;
const CAP = 1000;
/** Nodes that shake hands at once: so few that each has its turn at the hub's pace long before its handshake is late. */
const AT_ONCE = 20;

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
  'ten thousand nodes that ask to be let in fill the list to its limit, and a member goes on working',
  // The hub hears a hundred strangers a second.
  { timeout: 400_000 },
  async () => {
    const hub = JSON.parse(await readFile(join(federation.home, 'hub.json'), 'utf8')) as HubRecord;

    async function runOnTheMember(): Promise<void> {
      const job = await startJob(hub.operator, { kind: 'exec', targets: ['w1'], command: { argv: ['/bin/true'] } });
      await job.over;
      expect(job.ended?.summary).toEqual({ ok: 1 });
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

    const outcomes = new Map<string, number>();
    let next = 0;
    async function knockOnAndOn(): Promise<void> {
      for (let number = next++; number < NODES; number = next++) {
        const outcome = await knock(number);
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      }
    }
    const knocking = Promise.all(Array.from({ length: AT_ONCE }, knockOnAndOn));
    let isOver = false;
    void knocking.finally(() => (isOver = true));
    let runs = 0;
    for (; !isOver; runs++) await runOnTheMember();
    await knocking;

    expect(runs).toBeGreaterThan(1);
    expect(Object.fromEntries(outcomes)).toEqual({ waits: CAP, PENDING_FULL: NODES - CAP });
    expect((await federation.ask<Status>('status')).pending).toBe(CAP);
    expect(await federation.manage(['exec', 'w1', '--', 'echo', 'here'])).toMatchObject({ stdout: 'here\n' });
  },
);
