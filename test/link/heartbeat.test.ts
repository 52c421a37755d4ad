import type { ClientHttp2Session, ServerHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { FederationError } from '#src/core/errors.ts';
import { startHeartbeat, watchSilence } from '#src/link/heartbeat.ts';
import type { Carrier } from '#src/link/session.ts';

const EVERY_MS = 5000;
/** The figure that is promised for a link that died. */
const NOTICED_MS = 15_000;
/** Of the last byte that came, from the last PING on: at any moment between two looks. */
const LAST_BYTES = [1, 600, 1249, 1251, 2500, 3749, 3751, 4999, 5001, 6300];

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

/** A link without a network, of which only the clock is played: what comes is what a test lets come. */
function wire() {
  const { promise: ended, resolve: end } = Promise.withResolvers<FederationError | null>();
  const socket = { bytesRead: 0 };
  let pings = 0;
  let answers = true;
  const session = {
    destroyed: false,
    ping(answered: (error: null, milliseconds: number) => void) {
      pings += 1;
      if (!answers) return;
      setTimeout(() => {
        socket.bytesRead += 17;
        answered(null, 1);
      }, 1);
    },
  };
  return {
    hub: { session, socket, ended } as unknown as Carrier<ClientHttp2Session>,
    node: { session, socket, ended } as unknown as Carrier<ServerHttp2Session>,
    socket: socket as Pick<Socket, 'bytesRead'> & { bytesRead: number },
    end: () => end(null),
    pings: () => pings,
    dies() {
      answers = false;
    },
  };
}

describe('the hub', () => {
  function listenTo(line: ReturnType<typeof wire>) {
    const heard: string[] = [];
    startHeartbeat(line.hub, {
      everyMs: EVERY_MS,
      onLife: (life) => void (heard.at(-1) === life || heard.push(life)),
      onRoundTrip: () => undefined,
    });
    return heard;
  }

  test('keeps a node that answers, with one PING in each interval', () => {
    const line = wire();
    const heard = listenTo(line);
    vi.advanceTimersByTime(3_600_000 + 1);
    expect(heard).toEqual(['online']);
    expect(line.pings()).toBe(721);
  });

  test.each(LAST_BYTES)('lets a node go in time, after a doubt, whose last byte came %d ms after a PING', (at) => {
    const line = wire();
    const heard = listenTo(line);
    vi.advanceTimersByTime(12 * EVERY_MS);
    line.dies();
    vi.advanceTimersByTime(at);
    line.socket.bytesRead += 1;
    vi.advanceTimersByTime(NOTICED_MS - 2500 - 1);
    expect(heard).toEqual(['online', 'suspect']);
    vi.advanceTimersByTime(2501);
    expect(heard).toEqual(['online', 'suspect', 'lost']);
  });

  test('keeps a node whose output alone still comes', () => {
    const line = wire();
    const heard = listenTo(line);
    line.dies();
    for (let second = 0; second < 600; second++) {
      line.socket.bytesRead += 100;
      vi.advanceTimersByTime(1000);
    }
    expect(heard).toEqual(['online']);
  });

  test('that slept itself does not take that for the node’s silence', () => {
    const line = wire();
    const heard = listenTo(line);
    vi.advanceTimersByTime(EVERY_MS + 10);
    // What a stopped process sees when it runs again: timers that are due, once each, before anything was read.
    vi.setSystemTime(Date.now() + 3_600_000);
    vi.advanceTimersByTime(EVERY_MS);
    expect(heard).toEqual(['online']);
  });

  test('asks no more of a link that has ended', async () => {
    const line = wire();
    const heard = listenTo(line);
    vi.advanceTimersByTime(EVERY_MS);
    line.end();
    await Promise.resolve();
    line.dies();
    vi.advanceTimersByTime(10 * EVERY_MS);
    expect(heard).toEqual(['online']);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('the node', () => {
  test.each(LAST_BYTES)('gives its hub up in time whose last byte came %d ms after a PING', (at) => {
    const line = wire();
    let given = 0;
    watchSilence(line.node, EVERY_MS, () => (given += 1));
    for (let beat = 0; beat < 12; beat++) {
      line.socket.bytesRead += 17;
      vi.advanceTimersByTime(EVERY_MS);
    }
    line.socket.bytesRead += 17;
    vi.advanceTimersByTime(at);
    line.socket.bytesRead += 1;
    vi.advanceTimersByTime(NOTICED_MS - 2500 - 1);
    expect(given).toBe(0);
    vi.advanceTimersByTime(2501);
    expect(given).toBeGreaterThan(0);
  });
});
