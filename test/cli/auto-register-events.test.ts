import { expect, test } from 'vitest';
import type { HubEvent } from '#src/cli/auto-register/events.ts';
import { eventsIn } from '#src/cli/auto-register/events.ts';

async function* cut(text: string, size: number): AsyncGenerator<Buffer> {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function read(stream: AsyncIterable<Buffer>): Promise<HubEvent[]> {
  const events: HubEvent[] = [];
  for await (const event of eventsIn(stream)) events.push(event);
  return events;
}

test.each([1, 2, 7, 1000])('events are read however the stream is cut: in pieces of %d', async (size) => {
  const text =
    ': hello\n\nevent: policy\ndata: {"problem":"für"}\n\nevent: policy\r\ndata: {}\r\n\r\nevent: policy\ndata: {';
  expect(await read(cut(text, size))).toEqual([
    { name: 'policy', data: { problem: 'für' } },
    { name: 'policy', data: {} },
  ]);
});

test('what has another name, or none, is passed over', async () => {
  expect(await read(cut('event: other\ndata: {}\n\ndata: {}\n\nid: 1\n\nevent: policy\n\n', 9))).toEqual([]);
});

test('a stream that breaks off is an error, after what came before', async () => {
  async function* broken(): AsyncGenerator<Buffer> {
    yield Buffer.from('event: policy\ndata: {}\n\n');
    throw new Error('aborted');
  }
  const events = eventsIn(broken());
  expect(await events.next()).toEqual({ done: false, value: { name: 'policy', data: {} } });
  await expect(events.next()).rejects.toThrow('aborted');
});

test('an event without an end does not fill the memory', async () => {
  let sent = 0;
  async function* endless(): AsyncGenerator<Buffer> {
    yield Buffer.from('event: policy\ndata: ');
    for (; sent < 1 << 24; sent += 1 << 16) yield Buffer.alloc(1 << 16, 'a');
  }
  await expect(read(endless())).rejects.toThrow('max buffer size');
  expect(sent).toBeLessThan(1 << 22);
});

test('whoever reads no further ends the stream', async () => {
  let isOpen = true;
  async function* open(): AsyncGenerator<Buffer> {
    try {
      for (let count = 0; count < 10_000; count += 1) yield Buffer.from('event: policy\ndata: {}\n\n');
    } finally {
      isOpen = false;
    }
  }
  for await (const { name } of eventsIn(open())) {
    expect(name).toBe('policy');
    break;
  }
  expect(isOpen).toBe(false);
});
