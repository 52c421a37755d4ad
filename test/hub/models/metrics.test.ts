import { expect, test } from 'vitest';
import { createModelMetrics } from '#src/hub/models/metrics.ts';
import type { UsageRecord } from '#src/hub/models/usage.ts';
import { aSite, anAsk, anOffer, ended, NEVER, NOBODY } from '../../support/models.ts';

const metrics = (outages: readonly string[] = []) =>
  createModelMetrics({ nameOf: (id) => ({ n1: 'pi' })[id] ?? id, outages: () => outages });

const record = (more: Partial<UsageRecord> = {}): UsageRecord => ({
  ...{ consumer: { kind: 'key', id: 'k1', name: 'ci-secret-name' }, node: 'n1', model: 'm', endpoint: '/v1/x' },
  ...{
    status: 200,
    attempts: 1,
    tokens: { input: 6, output: 4, cached: 0 },
    firstByteMs: 1,
    totalMs: 2,
    guessed: null,
    aborted: false,
  },
  ...more,
});

async function lines(of: { text(): Promise<string> }): Promise<string[]> {
  return (await of.text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
}

test('what is over is counted by the kind of who asked, and tokens by node and model', async () => {
  const counts = metrics(['n1', 'n1', 'n2']);
  counts.recorded(record());
  counts.recorded(record({ status: 503, tokens: null }));
  counts.recorded(record({ status: null, aborted: true, tokens: null, node: null }));
  const text = await lines(counts);
  expect(text).toEqual(
    expect.arrayContaining([
      'openclaw_federation_models_requests_total{consumer="key",outcome="answered"} 1',
      'openclaw_federation_models_requests_total{consumer="key",outcome="failed"} 1',
      'openclaw_federation_models_requests_total{consumer="key",outcome="aborted"} 1',
      'openclaw_federation_models_tokens_total{node="pi",model="m",kind="input"} 6',
      'openclaw_federation_models_tokens_total{node="pi",model="m",kind="output"} 4',
      'openclaw_federation_models_out_of_use{node="pi"} 2',
      'openclaw_federation_models_out_of_use{node="n2"} 1',
    ]),
  );
  expect(text.join('\n')).not.toMatch(/secret|k1|\/v1\/x/);
});

test('where in the line a request began to wait is counted', async () => {
  const counts = metrics();
  const site = aSite();
  site.join('pi', [anOffer({ concurrency: 1 })]);
  const router = counts.measured(site.router);
  const first = await router.next(anAsk(), NOBODY, NEVER);
  const waiting = [router.next(anAsk(), NOBODY, NEVER), router.next(anAsk(), NOBODY, NEVER)];
  first.end(ended());
  (await waiting[0]!).end(ended());
  const last = await waiting[1]!;
  expect([first.position, last.position]).toEqual([null, 2]);
  const text = await lines(counts);
  expect(text).toContain('openclaw_federation_models_queue_position_bucket{le="1"} 1');
  expect(text).toContain('openclaw_federation_models_queue_position_count 2');
  last.end(ended());
});

test('tries are counted while they are under way and when they are over, once', async () => {
  const counts = metrics();
  const site = aSite();
  site.join('pi', [anOffer({ id: 'llama' })]);
  const router = counts.measured(site.router);
  const attempt = await router.next(anAsk(), NOBODY, NEVER);
  expect(await lines(counts)).toContain('openclaw_federation_models_in_flight{node="pi"} 1');
  attempt.end(ended({ failure: 'connect', firstByteMs: null }));
  attempt.end(ended());
  (await router.next(anAsk(), NOBODY, NEVER)).end(ended({ connectMs: 7, idleMs: 1500 }));
  await expect(router.next(anAsk({ model: 'none' }), NOBODY, NEVER)).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
  const text = await lines(counts);
  expect(text).toContain('openclaw_federation_models_in_flight{node="pi"} 0');
  expect(text).toContain('openclaw_federation_models_queued 0');
  expect(text).toContain('openclaw_federation_models_attempts_total{node="pi",model="llama",outcome="connect"} 1');
  expect(text).toContain('openclaw_federation_models_attempt_seconds_count{node="pi"} 2');
  // Of a try that says neither, nothing.
  expect(text).toContain('openclaw_federation_models_connect_seconds_bucket{le="0.005",node="pi"} 0');
  expect(text).toContain('openclaw_federation_models_connect_seconds_bucket{le="0.01",node="pi"} 1');
  expect(text).toContain('openclaw_federation_models_idle_seconds_sum{node="pi"} 1.5');
});

test('nobody fills the memory with names', async () => {
  const counts = metrics();
  for (let at = 0; at < 5000; at += 1) counts.recorded(record({ model: `m${at}` }));
  const text = await lines(counts);
  expect(text.filter((line) => line.includes('tokens_total')).length).toBeLessThanOrEqual(2 * 2001);
  expect(text).toContain('openclaw_federation_models_tokens_total{node="(other)",model="(other)",kind="input"} 18000');
});
