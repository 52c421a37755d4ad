import type { ServerHttp2Stream } from 'node:http2';
import { PassThrough } from 'node:stream';
import { expect, it } from 'vitest';
import { follow } from '#src/worker/handoffs/follow.ts';
import type { Transcript } from '#src/worker/handoffs/transcript.ts';

/** What counts who listens to it. */
function listened() {
  const listeners = new Set<() => void>();
  const listen = (listener: () => void) => {
    listeners.add(listener);
    return () => void listeners.delete(listener);
  };
  return { listeners, listen };
}

it.each([
  ['its place can’t be found', { offsetAfter: () => Promise.reject(new Error('EIO: i/o error')) }],
  ['its events can’t be read', { read: () => Promise.reject(new Error('EIO: i/o error')) }],
])('nobody is listened for any more where %s', async (_, broken) => {
  const [transcript, place] = [listened(), listened()];
  const stream = Object.assign(new PassThrough(), { respond: () => undefined });
  stream.on('error', () => undefined);
  const whole: Pick<Transcript, 'ended' | 'offsetAfter' | 'read' | 'onMore'> = {
    ended: null,
    offsetAfter: () => Promise.resolve(0),
    read: () => Promise.resolve(0),
    onMore: transcript.listen,
    ...broken,
  };
  await follow(stream as unknown as ServerHttp2Stream, whole as Transcript, 0, {
    position: () => null,
    onMove: place.listen,
  }).catch(() => undefined);
  expect([transcript.listeners.size, place.listeners.size]).toEqual([0, 0]);
});
