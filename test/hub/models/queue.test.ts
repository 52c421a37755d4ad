import { expect, test } from 'vitest';
import type { Attempt } from '#src/hub/models/router.ts';
import type { Place, Queue } from '#src/hub/models/queue.ts';
import { createQueue } from '#src/hub/models/queue.ts';
import { anAsk, anOffer, aSite, ended, NEVER, NOBODY } from '../../support/models.ts';
import { randomNumbers } from '../../support/random.ts';

const UPSTREAM = { key: 'w1/ollama', concurrency: 1 };

interface Line {
  readonly queue: Queue;
  /** Whose turn it was, in order. */
  readonly served: string[];
  readonly places: Place[];
  readonly positions: Map<string, number>;
  readonly failures: Map<string, unknown>;
  wait(name: string, consumer: string, options?: { signal?: AbortSignal; endsAt?: number }): Promise<void>;
}

/** One upstream with one place, that is taken. */
function aLine(): Line {
  const queue = createQueue(() => 0);
  const line: Line = {
    queue,
    ...{ served: [], places: [queue.take(UPSTREAM.key, 1)!], positions: new Map(), failures: new Map() },
    async wait(name, consumer, { signal = NEVER, endsAt = 1_000_000 } = {}) {
      const onQueued = (position: number): void => void line.positions.set(name, position);
      try {
        const place = await queue.ticket({ consumer, signal, endsAt, onQueued }).turn([UPSTREAM]);
        line.served.push(name);
        line.places.push(place!);
      } catch (error) {
        line.failures.set(name, error);
      }
    },
  };
  return line;
}

async function turnsPass(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}

/** Each that is served leaves at once. */
async function drain(line: Line): Promise<void> {
  for (let at = 0; at < 100; at++) {
    line.places.pop()?.leave();
    await turnsPass();
  }
}

test('turns go round: one that floods does not keep another waiting', async () => {
  const line = aLine();
  for (let at = 1; at <= 5; at++) void line.wait(`a${at}`, 'a');
  void line.wait('b1', 'b');
  void line.wait('b2', 'b');
  void line.wait('c1', 'c');
  await turnsPass();
  expect(Object.fromEntries(line.positions)).toEqual({ a1: 1, b1: 2, c1: 3, a2: 4, b2: 5, a3: 6, a4: 7, a5: 8 });
  await drain(line);
  expect(line.served).toEqual(['a1', 'b1', 'c1', 'a2', 'b2', 'a3', 'a4', 'a5']);
  expect(Object.fromEntries(line.positions)).toEqual({ a1: 1, b1: 1, c1: 1, a2: 1, b2: 1, a3: 1, a4: 1, a5: 1 });
});

test('a full line refuses whom it serves most, and makes room for the others', async () => {
  const line = aLine();
  for (let at = 1; at <= 33; at++) void line.wait(`a${at}`, 'a');
  await turnsPass();
  expect([...line.failures.keys()]).toEqual(['a33']);
  expect(line.failures.get('a33')).toMatchObject({ code: 'MODELS_BUSY', retryAfterMs: 60_000 });
  void line.wait('b1', 'b');
  await turnsPass();
  expect([...line.failures.keys()]).toEqual(['a33', 'a32']);
  expect(line.queue.waiting(UPSTREAM.key)).toBe(32);
  await drain(line);
  expect(line.served.slice(0, 2)).toEqual(['a1', 'b1']);
});

test('one that waits everywhere with all that may gives way to whoever waits for the first time', async () => {
  const queue = createQueue(() => 0);
  const large = { key: 'w1/large', concurrency: 1024 };
  for (let at = 0; at < large.concurrency; at++) queue.take(large.key, large.concurrency);
  queue.take(UPSTREAM.key, 1);
  const failed: unknown[] = [];
  const wait = (consumer: string, at: { readonly key: string; readonly concurrency: number }) =>
    queue
      .ticket({ consumer, signal: NEVER, endsAt: 1_000_000, onQueued: () => undefined })
      .turn([at])
      .catch((error: unknown) => failed.push([consumer, error]));
  for (let at = 0; at < 1000; at++) void wait('a', large);
  await turnsPass();
  expect([queue.waiting(large.key), failed]).toEqual([1000, []]);
  void wait('b', UPSTREAM);
  await turnsPass();
  expect(queue.waiting(UPSTREAM.key)).toBe(1);
  expect(failed).toMatchObject([['a', { code: 'MODELS_BUSY' }]]);
  void wait('a', UPSTREAM);
  await turnsPass();
  expect(queue.waiting(UPSTREAM.key)).toBe(1);
});

test('who gives up leaves the line at once, and the next moves up', async () => {
  const line = aLine();
  const givingUp = new AbortController();
  const gone = line.wait('a1', 'a', { signal: givingUp.signal });
  void line.wait('b1', 'b');
  await turnsPass();
  expect(line.positions.get('b1')).toBe(2);
  givingUp.abort(new Error('the client went'));
  await gone;
  expect(line.failures.get('a1')).toEqual(new Error('the client went'));
  expect(line.positions.get('b1')).toBe(1);
  await drain(line);
  expect(line.served).toEqual(['b1']);
});

test('who has waited as long as may be is told when to come again', async () => {
  const line = aLine();
  await line.wait('a1', 'a', { endsAt: 0 });
  expect(line.failures.get('a1')).toMatchObject({
    ...{ code: 'MODELS_BUSY', retryAfterMs: 2000 },
    message: 'no place became free in time: the request was number 1 in the line',
  });
  expect(line.queue.waiting(UPSTREAM.key)).toBe(0);
});

test('a place that is left twice is one place', async () => {
  const { queue, places } = aLine();
  const [place] = places;
  place!.leave();
  place!.leave();
  expect(queue.take(UPSTREAM.key, 1)).not.toBeNull();
  expect(queue.take(UPSTREAM.key, 1)).toBeNull();
});

test('whatever comes and goes, there are never more at work than places, and nobody is forgotten', async () => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = randomNumbers(seed);
    const queue = createQueue(() => 0);
    const upstreams = [
      { key: 'w1/a', concurrency: 1 },
      { key: 'w2/a', concurrency: 2 },
      { key: 'w3/a', concurrency: 3 },
    ];
    const held: Place[] = [];
    let [asked, settled] = [0, 0];
    const givers: AbortController[] = [];
    const run = async (consumer: string, wanted: typeof upstreams): Promise<void> => {
      asked += 1;
      const giver = new AbortController();
      givers.push(giver);
      const options = { consumer, signal: giver.signal, endsAt: 1_000_000, onQueued: () => undefined };
      const ticket = queue.ticket(options);
      try {
        let place: Place | null = null;
        while (place === null) place = await ticket.turn(wanted);
        held.push(place);
      } catch {
        // It gave up, or was refused: both are an end.
      }
      settled += 1;
    };
    for (let step = 0; step < 300; step++) {
      const what = random();
      if (what < 0.5) {
        const wanted = upstreams.filter(() => random() < 0.6);
        if (wanted.length > 0) void run(`c${Math.floor(random() * 4)}`, wanted);
      } else if (what < 0.85) held.splice(Math.floor(random() * held.length), 1)[0]?.leave();
      else if (what < 0.97) givers[Math.floor(random() * givers.length)]?.abort(new Error('gone'));
      else queue.stir();
      await turnsPass();
      for (const { key, concurrency } of upstreams) expect(queue.inFlight(key)).toBeLessThanOrEqual(concurrency);
      expect(upstreams.reduce((sum, { key }) => sum + queue.inFlight(key), 0)).toBe(held.length);
      const idle = upstreams.filter(
        ({ key, concurrency }) => queue.waiting(key) > 0 && queue.inFlight(key) < concurrency,
      );
      expect(idle).toEqual([]);
    }
    while (held.length > 0) {
      held.pop()!.leave();
      await turnsPass();
    }
    expect(settled).toBe(asked);
    for (const { key } of upstreams) expect([queue.inFlight(key), queue.waiting(key)]).toEqual([0, 0]);
  }
});

test('what waits goes to a node that comes, and ends where the last one goes', async () => {
  const site = aSite();
  site.join('w1', [anOffer({ concurrency: 1 })]);
  const first = await site.router.next(anAsk(), NOBODY, NEVER);
  const second = site.router.next(anAsk(), NOBODY, NEVER);
  const third = site.router.next(anAsk(), NOBODY, NEVER);
  await turnsPass();
  site.join('w2', [anOffer({ concurrency: 1 })]);
  expect(await second).toMatchObject({ node: { name: 'w2' }, position: 1 });
  site.leave('w1');
  site.leave('w2');
  await expect(third).rejects.toMatchObject({ code: 'MODEL_UNAVAILABLE' });
  first.end(ended());
});

test('a lockdown ends the wait', async () => {
  const site = aSite();
  site.join('w1', [anOffer({ concurrency: 1 })]);
  await site.router.next(anAsk(), NOBODY, NEVER);
  const waiting = site.router.next(anAsk(), NOBODY, NEVER);
  await turnsPass();
  site.lockDown('locked down by ann');
  await expect(waiting).rejects.toMatchObject({ code: 'LOCKED_DOWN' });
});

test('a client that goes while it waits costs no place', async () => {
  const site = aSite();
  site.join('w1', [anOffer({ concurrency: 1 })]);
  const first = await site.router.next(anAsk(), NOBODY, NEVER);
  const client = new AbortController();
  const waiting = site.router.next(anAsk(), NOBODY, client.signal);
  const failure = waiting.catch((error: unknown) => error);
  await turnsPass();
  // Both at once: the place is given to it in the same turn in which it goes.
  first.end(ended());
  client.abort(new Error('the client went'));
  expect(await failure).toEqual(new Error('the client went'));
  const next = await site.router.next(anAsk(), NOBODY, NEVER);
  expect(next.node.name).toBe('w1');
});

test('what is given one place after the other is never more than the places that there are', async () => {
  const site = aSite();
  site.join('w1', [anOffer({ concurrency: 2 })]);
  site.join('w2', [anOffer({ concurrency: 1 })]);
  const working = new Map<Attempt, string>();
  let most = 0;
  const one = async (consumer: string): Promise<void> => {
    const attempt = await site.router.next(
      anAsk({ consumer: { kind: 'key', id: consumer, name: consumer } }),
      NOBODY,
      NEVER,
    );
    working.set(attempt, attempt.node.name);
    most = Math.max(most, working.size);
    await turnsPass();
    working.delete(attempt);
    attempt.end(ended());
  };
  await Promise.all(Array.from({ length: 12 }, (_, at) => one(`c${at % 3}`)));
  expect(most).toBe(3);
});
