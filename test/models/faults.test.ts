import type { ServerResponse } from 'node:http';
import { Agent, request } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { modelChain } from '../support/model-chain.ts';
import type { Entrance, ModelChain } from '../support/model-chain.ts';
import { modelServer } from '../support/model-server.ts';
import type { ModelServer, SeenRequest } from '../support/model-server.ts';
import { randomNumbers } from '../support/random.ts';
import { answerOf, inTurns, readAll, start } from './client.ts';

/** Short enough to be waited for, and longer than a loaded machine keeps this process, where both ends are, from its work. */
const QUICK = { connectMs: 1500, firstByteMs: 1000, idleMs: 1000, totalMs: null };

let upstreams: ModelServer[];
let chain: ModelChain;

beforeEach(async () => {
  upstreams = [await modelServer(), await modelServer(), await modelServer(), await modelServer()];
  chain = await modelChain(upstreams.map(({ baseUrl }) => ({ baseUrl, models: [{ id: 'echo' }], timeouts: QUICK })));
});
afterEach(async () => {
  await chain[Symbol.asyncDispose]();
  await Promise.all(upstreams.map((server) => server[Symbol.asyncDispose]()));
});

type Fault = (response: ServerResponse) => void;

/** What an upstream may do before a byte of an answer has come. */
const BEFORE: Readonly<Record<string, Fault>> = {
  reset: (response) => void response.socket?.resetAndDestroy(),
  closed: (response) => void response.socket?.destroy(),
  'half a head': (response) => void response.socket?.end('HTTP/1.1 200 OK\r\ncontent-'),
  'no HTTP': (response) => void response.socket?.end('220 smtp.example ESMTP\r\n'),
  silence: () => undefined,
  503: (response) => void response.writeHead(503, { 'content-type': 'text/html' }).end('<b>no</b>'),
  429: (response) => void response.writeHead(429, { 'retry-after': '1' }).end('{}'),
  500: (response) => void response.writeHead(500).end(),
  408: (response) => void response.writeHead(408).end(),
};

const ANSWER = Array.from({ length: 5 }, (_, at) => `data: {"n":${at}}\n\n`);

async function whole(response: ServerResponse, mark: string, until = ANSWER.length): Promise<void> {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'x-mark': mark }).flushHeaders();
  for (const piece of ANSWER.slice(0, until)) {
    await new Promise<void>((resolve) => void response.write(`: ${mark}\n${piece}`, () => resolve()));
  }
}

const expected = (mark: string) => ANSWER.map((piece) => `: ${mark}\n${piece}`).join('');

describe.each(Object.keys(BEFORE))('an upstream that fails before its first byte (%s)', (name) => {
  test('is followed by another, with the same body and the same key', async () => {
    upstreams[0]!.otherwise = (_, response) => BEFORE[name]!(response);
    upstreams[1]!.otherwise = (_, response) => BEFORE[name]!(response);
    upstreams[2]!.otherwise = async (_, response) => {
      await whole(response, 'third');
      response.end();
    };
    const response = await answerOf(start(chain.far, { headers: { 'idempotency-key': 'once' } }));
    expect(response.headers).toMatchObject({ 'x-federation-attempts': '3', 'x-federation-node': 'w3' });
    expect(await readAll(response)).toEqual({ text: expected('third'), isWhole: true });
    const bodies = upstreams.slice(0, 3).map(({ requests }) => requests[0]!);
    expect(new Set(bodies.map(({ body }) => body.toString('utf8'))).size).toBe(1);
    expect(bodies.map(({ headers }) => headers['idempotency-key'])).toEqual(['once', 'once', 'once']);
    expect(chain.ends.at(-1)).toMatchObject({ failure: null, status: 200 });
    expect(chain.ends).toHaveLength(3);
  });

  test('is tried at three nodes and not at a fourth', async () => {
    for (const server of upstreams) server.otherwise = (_, response) => BEFORE[name]!(response);
    const response = await answerOf(start(chain.hub));
    const { text } = await readAll(response);
    expect(upstreams.map(({ requests }) => requests.length)).toEqual([1, 1, 1, 0]);
    const isAnswer = /^\d+$/.test(name);
    expect(response.statusCode).toBe(isAnswer ? Number(name) : name === 'silence' ? 504 : 502);
    expect(text.includes('federation_upstream_failed')).toBe(!isAnswer);
    await eventually('it is in the book', () => chain.records.length === 1);
    expect(chain.records[0]).toMatchObject({ attempts: 3, status: response.statusCode });
  });
});

test('the words of an upstream are kept where the others do not even answer', async () => {
  upstreams[0]!.otherwise = (_, response) => BEFORE['503']!(response);
  upstreams[1]!.otherwise = (_, response) => BEFORE['reset']!(response);
  upstreams[2]!.otherwise = (_, response) => BEFORE['closed']!(response);
  const response = await answerOf(start(chain.hub));
  expect(response.headers).toMatchObject({ 'content-type': 'text/html', 'x-federation-node': 'w1' });
  expect(await readAll(response)).toEqual({ text: '<b>no</b>', isWhole: true });
});

test('an upstream that says that it is of no use to try again is believed', async () => {
  upstreams[0]!.otherwise = (_, response) => void response.writeHead(500, { 'x-should-retry': 'false' }).end('no');
  const response = await answerOf(start(chain.hub));
  expect(response.statusCode).toBe(500);
  expect(upstreams[1]!.requests).toHaveLength(0);
});

test('a port that nobody listens on is passed over', async () => {
  await upstreams[0]!.die();
  const response = await answerOf(start(chain.hub));
  expect(response.headers['x-federation-node']).toBe('w2');
  expect(await readAll(response)).toMatchObject({ isWhole: true });
  expect(chain.ends[0]).toMatchObject({ failure: 'connect' });
});

test('a node whose link is gone is passed over', async () => {
  upstreams[0]!.otherwise = () => undefined;
  const asking = start(chain.hub);
  await eventually('the first is asked', () => upstreams[0]!.requests.length === 1);
  await chain.nodes[0]!.stop();
  const response = await answerOf(asking);
  expect(response.headers['x-federation-node']).toBe('w2');
  expect(await readAll(response)).toMatchObject({ isWhole: true });
});

describe.each(['own', 'hub', 'far'] as const)('an upstream that falls silent in its answer, by the way %s,', (way) => {
  test('is cut in time, and comments do not keep it', async () => {
    upstreams[0]!.otherwise = async (_, response) => {
      await whole(response, 'a', 2);
      while (!response.destroyed) {
        response.write(': ping\n\n');
        await pause(50);
      }
    };
    const got = await readAll(await answerOf(start(chain[way])));
    expect(got.isWhole).toBe(false);
    expect(got.text.startsWith(`: a\n${ANSWER[0]}: a\n${ANSWER[1]}`)).toBe(true);
    await upstreams[0]!.untilAborted(1);
    expect(upstreams[1]!.requests).toHaveLength(0);
  });
});

test(
  'of a thousand faults none leads to an answer that is spliced, doubled, or cut and called whole',
  { timeout: 300_000 },
  async () => {
    const random = randomNumbers(11);
    const before = Object.values(BEFORE);
    const marks = new Map<string, string[]>();
    for (const [at, server] of upstreams.entries()) {
      server.otherwise = async (seen, response) => {
        const id = String(seen.headers['x-id']);
        const mark = `${id}.${at}`;
        const kind = random();
        if (kind < 0.45) return before[Math.floor(random() * before.length)]!(response);
        marks.set(id, [...(marks.get(id) ?? []), mark]);
        const pieces = kind < 0.75 ? Math.floor(random() * ANSWER.length) : ANSWER.length;
        await whole(response, mark, pieces);
        if (kind < 0.75) response.socket?.destroySoon();
        else response.end();
      };
    }
    chain.choose = async (_ask, excluded) => {
      const free = [0, 1, 2, 3].filter((at) => !excluded.has(chain.links[at]!.nodeId));
      return free[Math.floor(random() * free.length)]!;
    };
    const ways = [chain.hub, chain.far];
    let cut = 0;
    const wrong: object[] = [];
    await inTurns(1000, 32, async (at) => {
      const asking = start(ways[at % 2]!, { headers: { 'x-id': String(at) } });
      const { statusCode, headers, text, isWhole } = await got(asking);
      const tried = marks.get(String(at)) ?? [];
      if (statusCode !== 200) return;
      // One that broke off before a byte of it was with the client may be followed by another, and none after that.
      const mark = tried.at(-1)!;
      const isRight = isWhole ? text === expected(mark) : expected(mark).startsWith(text);
      if (headers['x-mark'] !== mark || !isRight) wrong.push({ at, mark, text, isWhole });
      if (!isWhole) cut += 1;
    });
    expect(wrong).toEqual([]);
    expect(cut).toBeGreaterThan(100);
  },
);

test(
  'of ten thousand requests none fails without a byte where one of two nodes is killed',
  { timeout: 600_000 },
  async () => {
    const answer = (_: SeenRequest, response: ServerResponse): void =>
      void response.writeHead(200, { 'content-type': 'application/json', 'content-length': '8' }).end('{"a":12}');
    for (const server of upstreams) server.otherwise = answer;
    // As patient as a user's: here a node that answers late is none that was killed.
    await using two = await modelChain(
      upstreams.slice(0, 2).map(({ baseUrl }) => ({ baseUrl, models: [{ id: 'echo' }] })),
    );
    let turn = 0;
    two.choose = async (_ask, excluded) => {
      turn += 1;
      const free = [0, 1].filter((at) => !excluded.has(two.links[at]!.nodeId));
      return free[turn % free.length]!;
    };
    const agent = new Agent({ keepAlive: true, maxSockets: 32 });
    let failed = 0;
    failures.length = 0;
    await inTurns(10_000, 32, async (at) => {
      if (at === 3000) void upstreams[0]!.die();
      if (at === 4000) await upstreams[0]!.listen();
      if (at === 6000) void two.nodes[1]!.stop();
      const ok = await quick(two.hub, agent);
      if (!ok) failed += 1;
    });
    agent.destroy();
    expect({ failed, failures }).toEqual({ failed: 0, failures: [] });
  },
);

async function got(asking: ReturnType<typeof start>) {
  const response = await answerOf(asking);
  return { statusCode: response.statusCode, headers: response.headers, ...(await readAll(response)) };
}

/** Of requests that got no answer at all. */
const failures: string[] = [];

function quick({ port, key }: Entrance, agent: Agent): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const body = '{"model":"echo"}';
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json', 'content-length': body.length };
  const asking = request({ host: '127.0.0.1', port, path: '/v1/chat/completions', method: 'POST', agent, headers });
  asking.on('error', (error) => {
    failures.push(error.message);
    resolve(false);
  });
  asking.on('response', (response) => {
    response.resume();
    // One that is cut had its first byte already: nobody could have gone on from there.
    response.on('error', () => undefined);
    if (response.statusCode !== 200) failures.push(`status ${response.statusCode}`);
    response.on('close', () => resolve(response.statusCode === 200));
  });
  asking.end(body);
  return promise;
}
