import { expect, test } from 'vitest';
import type { Failure, Health } from '#src/core/models/health.ts';
import { answered, begun, failed, HEALTHY, latency, probed, standing, untold } from '#src/core/models/health.ts';
import { randomNumbers } from '../../support/random.ts';

function failure(changed: Partial<Failure> = {}): Failure {
  return { kind: 'status', status: 503, retryAfterMs: null, startedAt: 0, ...changed };
}

/** Out of use since `now`, by failures that began then. */
function outAt(now: number, changed: Partial<Failure> = {}): Health {
  return [1, 2].reduce((health) => failed(health, failure({ startedAt: now, ...changed }), now), HEALTHY);
}

test('two failures in a row put it out, and an answer between them keeps it in', () => {
  const once = failed(HEALTHY, failure(), 0);
  expect(standing(once, 0)).toBe('in');
  expect(standing(failed(once, failure(), 0), 0)).toBe('out');
  expect(standing(failed(answered(once, 0, 5, 5), failure({ startedAt: 5 }), 6), 6)).toBe('in');
});

test('one request tries it when its pause is over, and brings it back by an answer', () => {
  const out = outAt(0);
  expect(standing(out, 999)).toBe('out');
  expect(standing(out, 1000)).toBe('due');
  const tried = begun(out, 1000);
  expect(standing(tried, 1001)).toBe('tried');
  const back = answered(tried, 1000, 50, 1050);
  expect(standing(back, 1050)).toBe('in');
  // It is on probation: the next failure is enough, the next answer clears it.
  expect(standing(failed(back, failure({ startedAt: 1060 }), 1060), 1061)).toBe('out');
  const cleared = answered(back, 1060, 50, 1110);
  expect(standing(failed(cleared, failure({ startedAt: 1120 }), 1120), 1121)).toBe('in');
});

test('each trial that fails makes the pause twice as long, never over four and a half seconds', () => {
  let health = outAt(0);
  let now = 0;
  const pauses: number[] = [];
  for (let trial = 0; trial < 6; trial++) {
    pauses.push(health.outage!.until - now);
    now = health.outage!.until;
    health = failed(begun(health, now), failure({ startedAt: now }), now);
  }
  expect(pauses).toEqual([1000, 2000, 4000, 4500, 4500, 4500]);
});

test('a trial that says nothing keeps others from trying for a while only', () => {
  const tried = begun(outAt(0), 1000);
  expect(standing(tried, 4999)).toBe('tried');
  expect(standing(tried, 5000)).toBe('due');
  expect(standing(untold(tried, 1000), 1001)).toBe('due');
});

test('what began before the outage says nothing of its end, and makes it no longer', () => {
  const out = outAt(100);
  expect(standing(answered(out, 50, 10, 110), 110)).toBe('out');
  expect(failed(out, failure({ startedAt: 50 }), 200).outage).toEqual(out.outage);
});

test.each([
  [{ status: 429 }, 1000],
  [{ status: 503, retryAfterMs: 7000 }, 7000],
  [{ status: 429, retryAfterMs: 100 }, 1000],
  [{ status: 503, retryAfterMs: 10 ** 12 }, 3_600_000],
])('one that asks for patience gets it at once: %o', (said, until) => {
  expect(failed(HEALTHY, failure(said), 0).outage?.until).toBe(until);
});

test.each(['connect', 'first-byte'] as const)(
  'one that kept a client waiting is probed before it is tried: %s',
  (kind) => {
    const out = outAt(0, { kind, status: null });
    expect(standing(out, 20_000)).toBe('out');
    expect(standing(probed(out, true, 1000), 1000)).toBe('due');
    const stillOut = probed(out, false, 1000);
    expect(stillOut.outage).toMatchObject({ needsProbe: true, until: 3000 });
    // It may only dislike the probe.
    expect(standing(stillOut, 30_000)).toBe('due');
  },
);

test('the mean follows what is measured, and is forgotten when it is old', () => {
  const slow = answered(HEALTHY, 0, 1000, 1000);
  expect(latency(slow, 1000)).toBe(1000);
  expect(latency(answered(slow, 1000, 500, 2000), 2000)).toBe(900);
  expect(latency(slow, 61_001)).toBeNull();
});

test('whatever happens, it is back within five seconds of being well', () => {
  for (let seed = 1; seed <= 200; seed++) {
    const random = randomNumbers(seed);
    let health = HEALTHY;
    let now = 0;
    const inFlight: number[] = [];
    for (let step = 0; step < 100; step++) {
      now += random() * 500;
      const what = random();
      if (what < 0.4 && standing(health, now) !== 'out') {
        health = begun(health, now);
        inFlight.push(now);
      } else if (inFlight.length > 0) {
        const [startedAt] = inFlight.splice(Math.floor(random() * inFlight.length), 1);
        const kind = random() < 0.5 ? ('connect' as const) : ('status' as const);
        if (what < 0.8) health = failed(health, failure({ kind, startedAt: startedAt! }), now);
        else if (what < 0.9) health = untold(health, startedAt!);
        else health = answered(health, startedAt!, now - startedAt!, now);
      }
    }
    const wellSince = now;
    while (standing(health, now) !== 'in') {
      now += 10;
      if (health.outage?.needsProbe === true && now >= health.outage.until) health = probed(health, true, now);
      if (standing(health, now) === 'due') health = answered(begun(health, now), now, 5, now);
    }
    expect(now - wellSince).toBeLessThanOrEqual(5000);
  }
});
