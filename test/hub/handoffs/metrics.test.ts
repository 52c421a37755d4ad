import { EventEmitter } from 'node:events';
import { expect, test } from 'vitest';
import type { HandoffRecord } from '#src/core/handoff/record.ts';
import { isOver } from '#src/core/handoff/state.ts';
import type { Book } from '#src/hub/handoffs/book.ts';
import { createHandoffMetrics } from '#src/hub/handoffs/metrics.ts';
import { offeringNode } from '../../support/agent-node.ts';
import { startFederation } from '../../support/federation.ts';
import { hand, untilState } from '../../support/handoff.ts';
import { ask } from '../../support/http.ts';
import { recordOf } from './hub-under-test.ts';

function figures() {
  const records = new Map<string, HandoffRecord>();
  const changes: Book['changes'] = new EventEmitter();
  const live = () => [...records.values()].filter(({ state }) => !isOver(state));
  const metrics = createHandoffMetrics({ live, changes });
  return {
    put(now: HandoffRecord): void {
      const before = records.get(now.id) ?? null;
      records.set(now.id, now);
      changes.emit('handoff', now, before);
    },
    async lines(): Promise<string[]> {
      const lines = (await metrics.text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
      return lines.map((line) => line.replace('openclaw_federation_handoffs_', ''));
    },
  };
}

test('each is counted once when it is asked for, begins and ends, with how long that took', async () => {
  const { put, lines } = figures();
  const at = Date.now() - 60_000;
  const asked = recordOf(1, { key: 'secret-key', createdAt: at, task: 'secret task' });
  const node = { id: 'n'.repeat(64), name: 'secret-node' };
  put(asked);
  put(recordOf(2, { createdAt: at + 30_000 }));
  const before = await lines();
  expect(before).toEqual(
    expect.arrayContaining(['asked_total 2', 'live{state="waiting"} 2', 'live{state="started"} 0']),
  );
  expect(before).toContain('ended_total{outcome="lost"} 0');
  const age = Number(before.find((line) => line.startsWith('oldest_waiting_seconds'))?.split(' ')[1]);
  expect(age).toBeGreaterThanOrEqual(60);
  put({ ...asked, state: 'placed', node, agent: 'main', attempt: 1 });
  const started: HandoffRecord = { ...asked, state: 'started', node, agent: 'main', attempt: 1, startedAt: at + 2000 };
  put(started);
  put({ ...started, cancelling: 'by ann' });
  expect(await lines()).toEqual(
    expect.arrayContaining([
      ...['live{state="waiting"} 1', 'live{state="placed"} 0', 'live{state="started"} 1'],
      ...['start_seconds_sum 2', 'start_seconds_count 1'],
    ]),
  );
  const over: HandoffRecord = { ...started, state: 'cancelled', endedAt: at + 9000, owed: ['n1'] };
  put(over);
  put({ ...over, owed: [] });
  const after = await lines();
  expect(after).toEqual(
    expect.arrayContaining([
      ...['ended_total{outcome="cancelled"} 1', 'ended_total{outcome="completed"} 0', 'live{state="started"} 0'],
      ...['run_seconds_sum{outcome="cancelled"} 7', 'run_seconds_count{outcome="cancelled"} 1'],
      ...['asked_total 2', 'restarts_total 0', 'start_seconds_count 1'],
    ]),
  );
  expect(after.join('\n')).not.toContain('secret');
});

test('what is begun anew is counted, and has begun for the first time but once', async () => {
  const { put, lines } = figures();
  const asked = recordOf(1);
  put(asked);
  put({ ...asked, state: 'started', startedAt: asked.createdAt + 1000 });
  put({ ...asked, tried: ['n1'] });
  put({ ...asked, tried: ['n1'], state: 'started', startedAt: asked.createdAt + 90_000 });
  expect(await lines()).toEqual(
    expect.arrayContaining(['restarts_total 1', 'start_seconds_count 1', 'start_seconds_sum 1']),
  );
});

test('the hub tells them beside those of the models', async () => {
  await using federation = await startFederation();
  const node = await offeringNode(federation, 'w1');
  node.onTaken = (taken) => {
    node.start(taken);
    node.end(taken, 'done');
  };
  const { id } = await hand(federation);
  await untilState(federation, id, 'completed');
  const { status, text } = await ask({ socketPath: federation.hub.operator, path: '/metrics' });
  expect(status).toBe(200);
  const lines = text.split('\n');
  expect(lines).toEqual(
    expect.arrayContaining([
      'openclaw_federation_models_queued 0',
      'openclaw_federation_handoffs_ended_total{outcome="completed"} 1',
      'openclaw_federation_handoffs_start_seconds_count 1',
    ]),
  );
  expect(text).not.toContain(id);
});
