import type { IncomingMessage } from 'node:http';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { ModelBody } from '#src/link/models/body.ts';
import type { HubSession } from '#src/worker/hub-address.ts';
import { createHubModels } from '#src/worker/models/hub-models.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
afterEach(() => void vi.useRealTimers());

const REQUEST = { rawHeaders: [], headers: {}, method: 'POST', url: '/v1/x' } as unknown as IncomingMessage;
const BODY = { bytes: Buffer.alloc(0) } as ModelBody;

function aLink() {
  const losing = new AbortController();
  const session: HubSession = { address: '127.0.0.1', credential: 'c', link: 1, lost: losing.signal };
  return { session, lose: () => losing.abort() };
}

/** What goes by the hub, and the link that there is now. */
function underWay(first: HubSession) {
  let current: HubSession | null = first;
  const models = createHubModels({
    hub: { host: '127.0.0.1', port: 1 },
    session: () => current,
    send: () => {
      throw new Error('nothing is sent');
    },
  });
  const start = () => models.carriage(REQUEST, BODY).lost!;
  return { start, become: (now: HubSession | null) => (current = now) };
}

test('what goes by a link that is lost ends when none has come in its place in time', () => {
  const link = aLink();
  const { start } = underWay(link.session);
  const lost = start();
  link.lose();
  vi.advanceTimersByTime(59_000);
  expect(lost.aborted).toBe(false);
  vi.advanceTimersByTime(2000);
  expect(lost.aborted).toBe(true);
});

test('it goes on where another has come', () => {
  const [link, next] = [aLink(), aLink()];
  const { start, become } = underWay(link.session);
  const lost = start();
  link.lose();
  become(next.session);
  vi.advanceTimersByTime(600_000);
  expect(lost.aborted).toBe(false);
});

test('what begins when the link is lost already ends as well', () => {
  const link = aLink();
  link.lose();
  const lost = underWay(link.session).start();
  vi.advanceTimersByTime(61_000);
  expect(lost.aborted).toBe(true);
});
