import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { afterEach, expect, test, vi } from 'vitest';
import type { FederationError } from '#src/core/errors.ts';
import { createBodyReader } from '#src/link/models/body.ts';

afterEach(() => void vi.useRealTimers());

const JSON_TYPE = { 'content-type': 'application/json', 'transfer-encoding': 'chunked' };

/** A request whose body is pushed by the test. */
function requestOf(headers: Readonly<Record<string, string>>) {
  const body = new Readable({ read: () => undefined });
  return { body, request: Object.assign(body, { headers }) as unknown as IncomingMessage };
}

test('a body in parts of any length is put together, and the parts themselves are not kept', async () => {
  const reader = createBodyReader();
  const { body, request } = requestOf(JSON_TYPE);
  const reading = reader.read(request, 'a');
  const text = `{"model":"m","x":"${'a'.repeat(200_000)}${'é'.repeat(20_000)}"}`;
  const bytes = Buffer.from(text);
  const before = process.memoryUsage();
  for (let at = 0; at < 180_000; at += 1) body.push(Buffer.from(bytes.subarray(at, at + 1)));
  body.push(bytes.subarray(180_000, 190_000));
  body.push(bytes.subarray(190_000));
  body.push(null);
  const { bytes: found, facts, length } = await reading;
  const after = process.memoryUsage();
  expect(found.equals(bytes)).toBe(true);
  expect({ length, model: facts.model }).toEqual({ length: bytes.length, model: 'm' });
  expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(20 << 20);
});

const SMALL = { kept: 100, total: 1000, held: 10_000, share: 10_000 };

/** A body that is longer than what is kept, on its way. */
async function flowing(begin: string) {
  const { body, request } = requestOf(JSON_TYPE);
  body.push(begin.slice(0, 90));
  body.push(begin.slice(90));
  const { flow, bytes, facts } = await createBodyReader(SMALL).read(request, 'a');
  const faults: FederationError[] = [];
  const on = flow!([bytes], (error) => faults.push(error)).resume();
  return { body, on, faults, facts };
}

test('of one that flows past, what comes late is refused as what comes early is', async () => {
  const two = await flowing(`{"model":"a","x":"${'x'.repeat(200)}"`);
  expect(two.facts.model).toBe('a');
  two.body.push(',"model":"b"}');
  await vi.waitFor(() => expect(two.faults[0]).toMatchObject({ code: 'USAGE' }));
  const long = await flowing(`{"model":"a","x":"${'x'.repeat(200)}`);
  long.body.push('x'.repeat(1000));
  await vi.waitFor(() => expect(long.faults[0]).toMatchObject({ code: 'PAYLOAD_TOO_LARGE' }));
});

test('one that flows past and stops is given up', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const { faults, body, on } = await flowing(`{"model":"a","x":"${'x'.repeat(200)}`);
  body.push('more');
  await vi.waitFor(() => expect(on.readableLength).toBe(0));
  vi.advanceTimersByTime(59_000);
  expect(faults).toEqual([]);
  vi.advanceTimersByTime(61_000);
  expect(faults[0]).toMatchObject({ code: 'USAGE', message: 'the request broke off' });
});

test('one that flows past is not given up while it is the other side that it waits for', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const { faults, body, on } = await flowing(`{"model":"a","x":"${'x'.repeat(200)}`);
  await vi.waitFor(() => expect(on.readableLength).toBe(0));
  on.pause();
  body.push('more');
  vi.advanceTimersByTime(600_000);
  expect(faults).toEqual([]);
  on.resume();
  await vi.waitFor(() => expect(on.readableLength).toBe(0));
  vi.advanceTimersByTime(61_000);
  expect(faults).toMatchObject([{ code: 'USAGE' }]);
});

const LARGE = { kept: 1 << 20, total: 1 << 20, held: 400_000, share: 200_000 };

test('whoever holds the share of one has no more, and others have theirs', async () => {
  const reader = createBodyReader(LARGE);
  const of = (whose: string, length: number) => {
    const { body, request } = requestOf({ 'content-type': 'application/json', 'content-length': `${length}` });
    return { body, length, reading: reader.read(request, whose) };
  };
  const first = of('a', 150_000);
  await expect(of('a', 100_000).reading).rejects.toMatchObject({ code: 'MODELS_BUSY' });
  const second = of('b', 200_000);
  await expect(of('c', 100_000).reading).rejects.toMatchObject({ code: 'MODELS_BUSY' });
  const small = of('a', 60_000);
  for (const { body, length } of [first, second, small]) body.push(Buffer.alloc(length, 0x20));
  for (const { body } of [first, second, small]) body.push(null);
  expect((await small.reading).length).toBe(60_000);
  await second.reading;
  reader.release(await first.reading);
  const { body, length, reading } = of('a', 200_000);
  body.push(Buffer.alloc(length, 0x20));
  body.push(null);
  expect((await reading).length).toBe(200_000);
});

test('one that says no length is counted as it comes, and what was refused holds nothing', async () => {
  const reader = createBodyReader(LARGE);
  for (let time = 0; time < 3; time++) {
    const { body, request } = requestOf(JSON_TYPE);
    const reading = reader.read(request, 'a');
    body.push(Buffer.alloc(150_000, 0x20));
    body.push(Buffer.alloc(60_000, 0x20));
    await expect(reading).rejects.toMatchObject({ code: 'MODELS_BUSY' });
  }
  const { body, request } = requestOf(JSON_TYPE);
  const reading = reader.read(request, 'a');
  body.push(Buffer.alloc(150_000, 0x20));
  body.push(null);
  expect((await reading).length).toBe(150_000);
});

test('one that hardly comes is given up, however often something of it comes', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  const { body, request } = requestOf(JSON_TYPE);
  const reading = createBodyReader().read(request, 'a');
  const outcome = reading.then(() => 'read', String);
  for (let at = 0; at < 31; at++) {
    body.push('x');
    await vi.waitFor(() => expect(body.readableLength).toBe(0));
    vi.advanceTimersByTime(1000);
  }
  body.push('x');
  expect(await outcome).toContain('the request comes too slowly');
});
