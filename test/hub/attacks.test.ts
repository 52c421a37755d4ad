import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LINK_PATH, UPGRADE_PROTOCOL } from '#src/protocol/handshake.ts';
import { errorSchema } from '#src/protocol/hub-api/error.ts';
import { CARRIER_PATH } from '#src/protocol/hub-api/node-host.ts';
import { bareNode } from '../support/bare-node.ts';
import type { BareNode } from '../support/bare-node.ts';
import { eventually } from '../support/eventually.ts';
import type { Federation } from '../support/federation.ts';
import { startFederation } from '../support/federation.ts';
import type { Answer } from '../support/http.ts';
import { ask } from '../support/http.ts';

let federation: Federation;
let node: BareNode;
let credential: string;

beforeAll(async () => {
  federation = await startFederation({ workers: 1 });
  node = bareNode(federation.hub, { name: 'turned', offers: ['node-host'], token: await federation.token({}) });
  ({ credential } = await node.welcome());
});

afterAll(async () => {
  await node.stop();
  await federation[Symbol.asyncDispose]();
});

interface Door {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Record<string, string>;
  readonly localAddress?: string;
}

const overTcp = (door: Door, body?: string) => ask({ host: '127.0.0.1', port: federation.hub.port, ...door }, body);
const overSocket = (door: Door, body?: string) => ask({ socketPath: federation.hub.operator, ...door }, body);

const JSON_TYPE = { 'content-type': 'application/json' };
const bearer = () => ({ authorization: `Bearer ${credential}` });

/** Every error has the same shape, and none says anything of the inside. */
function expectRefusal({ status, json, text }: Answer, expected: number, code: string): void {
  expect({ status, code: (json as { code?: string } | undefined)?.code, text }).toEqual({
    status: expected,
    code,
    text,
  });
  expect(errorSchema.safeParse(json).success).toBe(true);
  expect(text).not.toMatch(/\.ts:|node_modules|at \w+ \(/);
}

/** What a node or a stranger may ask for; every other route, also one that is to come, is the operator’s. */
const NOT_THE_OPERATORS = [
  'GET /health',
  'GET /api/v1/join-tokens/{hash}',
  'GET /api/v1/node-host',
  'POST /api/v1/node-host/setup-code',
  'POST /api/v1/node/key',
  'PUT /api/v1/node/models',
  'PUT /api/v1/node/agents',
  'POST /api/v1/node/handoffs',
  'GET /api/v1/node/handoffs/{id}',
  'DELETE /api/v1/node/handoffs/{id}',
  'GET /api/v1/node/handoffs/{id}/events',
];

/** Method and path of every route, as the document has them. */
async function allRoutes(): Promise<string[]> {
  const { json } = await overTcp({ path: '/api/v1/openapi.json' });
  const { paths } = json as { paths: Record<string, object> };
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
}

describe('over the network', () => {
  test('every route is for nobody without a credential, and for no node, but those that are named here', async () => {
    const routes = await allRoutes();
    expect(routes).toEqual(expect.arrayContaining(NOT_THE_OPERATORS));
    const operators = routes.filter((route) => !NOT_THE_OPERATORS.includes(route));
    expect(operators.length).toBeGreaterThan(25);
    for (const route of operators) {
      const [method = '', pattern = ''] = route.split(' ');
      const body = method === 'GET' || method === 'DELETE' ? undefined : '{}';
      for (const word of ['w1', '0'.repeat(26), '%2e%2e']) {
        const path = pattern.replaceAll(/\{\w+\}/g, word);
        expectRefusal(await overTcp({ method, path, headers: JSON_TYPE }, body), 401, 'UNAUTHENTICATED');
        expectRefusal(await overTcp({ method, path, headers: { ...JSON_TYPE, ...bearer() } }, body), 403, 'FORBIDDEN');
      }
    }
  });

  test.each([
    '/api/v1/%6eodes',
    '/api/v1//nodes',
    '//api/v1/nodes',
    '/api/v1/nodes/',
    '/API/V1/nodes',
    '/api/v1/node-host/../nodes',
    '/api/v1/node-host%2f..%2fnodes',
    '/health/../api/v1/nodes',
    '/health%2f..%2fapi/v1/nodes',
    '/api/v1/openapi.json/../nodes',
    '/health;/../api/v1/nodes',
    '/%',
    '/api/v1/nodes?x=/health',
    '/api/v1/join-tokens/',
    `/api/v1/join-tokens/${'0'.repeat(63)}`,
    `/api/v1/join-tokens/${'A'.repeat(64)}`,
    `/api/v1/join-tokens/${'0'.repeat(64)}/../../nodes`,
    `/api/v1/join-tokens/${'0'.repeat(64)}%2f..%2f..%2fnodes`,
  ])('no spelling of a path opens it: %s', async (path) => {
    expectRefusal(await overTcp({ path }), 401, 'UNAUTHENTICATED');
  });

  test('what is open tells nothing but that the hub is there', async () => {
    const health = await overTcp({ path: '/health' });
    expect(Object.keys(health.json as object).toSorted()).toEqual(['epoch', 'hubId', 'protocol', 'status', 'version']);
    expect((await overTcp({ path: '/api/v1/openapi.json' })).status).toBe(200);
  });

  test('of a join token it tells what it is good for, to those who have it', async () => {
    const token = await federation.token({ name: 'w9', role: 'hybrid', uses: 3, labels: { env: 'secret' } });
    const hash = createHash('sha256').update(token.split('.')[2]!).digest('hex');
    const { status, json } = await overTcp({ path: `/api/v1/join-tokens/${hash}` });
    expect({ status, json }).toMatchObject({ status: 200, json: { role: 'hybrid', name: 'w9', usesLeft: 3 } });
    expect(Object.keys(json as object).toSorted()).toEqual(['expiresAt', 'name', 'role', 'usesLeft']);
    expectRefusal(await overTcp({ path: `/api/v1/join-tokens/${'0'.repeat(64)}` }), 400, 'TOKEN_INVALID');
    expectRefusal(await overTcp({ method: 'POST', path: `/api/v1/join-tokens/${hash}` }), 404, 'NOT_FOUND');

    await using liar = bareNode(federation.hub, { name: 'w9', role: 'hybrid', token: tokenOf(token, hash) });
    expect(await liar.refusal()).toBe('TOKEN_INVALID');
  });

  test.each([
    ['evil.example'],
    ['127.0.0.1.evil.example'],
    ['localhost.'],
    ['127.0.0.1@evil.example'],
    ['[::1'],
    ['127.0.0.1:19000:1'],
  ])('a request for the host %j is refused before anyone looks at it', async (host) => {
    expectRefusal(await overTcp({ path: '/health', headers: { host } }), 403, 'FORBIDDEN');
    expectRefusal(await overTcp({ path: '/api/v1/node-host', headers: { host, ...bearer() } }), 403, 'FORBIDDEN');
  });

  test.each([['https://evil.example'], ['null'], ['http://127.0.0.1:19000']])(
    'a web page at %s gets nothing, whatever it has',
    async (origin) => {
      expectRefusal(await overTcp({ path: '/health', headers: { origin } }), 403, 'FORBIDDEN');
      expectRefusal(await overTcp({ path: '/api/v1/node-host', headers: { origin, ...bearer() } }), 403, 'FORBIDDEN');
    },
  );

  test.each([
    [LINK_PATH, UPGRADE_PROTOCOL],
    [CARRIER_PATH, 'websocket'],
  ])('%s is opened from no web page, and by no name that was made to point here', async (path, protocol) => {
    const upgrade = { Connection: 'Upgrade', Upgrade: protocol, ...bearer() };
    const own = `127.0.0.1:${federation.hub.port}`;
    const foreign: Record<string, string>[] = [
      { host: 'evil.example' },
      { host: `evil.example:${federation.hub.port}` },
      { host: own, origin: `http://${own}` },
    ];
    for (const headers of foreign) {
      expect((await overTcp({ path, headers: { ...upgrade, ...headers } })).status).toBe(403);
    }
  });

  test('the operator’s socket is for the operator’s user alone', async () => {
    expect((await stat(federation.hub.operator)).mode & 0o777).toBe(0o600);
  });

  test('a credential is good where it was given to, and nowhere else', async () => {
    const path = '/api/v1/node-host';
    expect((await overTcp({ path, headers: bearer() })).status).toBe(200);
    const stolen = await overTcp({ path, headers: bearer(), localAddress: '127.0.0.2' });
    expectRefusal(stolen, 401, 'UNAUTHENTICATED');
  });

  test('a credential is good at a hub that listens on every address, too', async () => {
    await using everywhere = await startFederation({ hub: { hub: { address: '::' } } });
    await using one = bareNode(everywhere.hub, { token: await everywhere.token({}) });
    const headers = { authorization: `Bearer ${(await one.welcome()).credential}` };
    const door = { host: '127.0.0.1', port: everywhere.hub.port, path: '/api/v1/node-host', headers };
    expect((await ask(door)).status).toBe(200);
    expect((await ask({ ...door, localAddress: '127.0.0.2' })).status).toBe(401);
  });

  test.each([
    ['none', ''],
    ['cut', 'Bearer abc'],
    ['of another scheme', `Basic ${'c'.repeat(43)}`],
    ['unknown', `Bearer ${'c'.repeat(43)}`],
    ['two', `Bearer ${'c'.repeat(43)}, Bearer ${'d'.repeat(43)}`],
  ])('a credential that is %s is none', async (_, authorization) => {
    expectRefusal(await overTcp({ path: '/api/v1/node-host', headers: { authorization } }), 401, 'UNAUTHENTICATED');
  });

  test.each([
    ['a second request behind the upgrade', 'GET /link', 'GET /api/v1/nodes HTTP/1.1\r\nHost: localhost\r\n\r\n'],
    [
      'an operator’s request behind a refused upgrade',
      'GET /nowhere',
      'GET /api/v1/nodes HTTP/1.1\r\nHost: localhost\r\n\r\n',
    ],
    ['a body in the upgrade', 'POST /link', '{}'],
  ])('%s is not served', async (_, head, tail) => {
    const text = await raw(
      `${head} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: openclaw-federation\r\n\r\n${tail}`,
    );
    expect(text).not.toContain('HTTP/1.1 200');
    expect(text).not.toContain('"online"');
  });

  test.each([
    ['both lengths', 'Content-Length: 4\r\nTransfer-Encoding: chunked\r\n'],
    ['two lengths', 'Content-Length: 4\r\nContent-Length: 44\r\n'],
    ['an obscured coding', 'Transfer-Encoding: xchunked\r\n'],
    ['a host of nothing', 'Host:\r\n'],
    ['a folded header', 'X: a\r\n b\r\nTransfer-Encoding : chunked\r\n'],
  ])('a request with %s smuggles nothing past', async (_, headers) => {
    const hidden = 'GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n';
    const text = await raw(`POST /api/v1/tokens HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n0\r\n\r\n${hidden}`);
    expect(text).not.toContain('"status":"ok"');
  });
});

describe('on the operator’s socket', () => {
  const tokens = (body: string, headers: Record<string, string> = JSON_TYPE) =>
    overSocket({ method: 'POST', path: '/api/v1/tokens', headers }, body);

  test.each([
    ['cut', '{"uses":'],
    ['empty', ''],
    ['no object', '[]'],
    ['null', 'null'],
    ['a number', '1e999'],
    ['with a NUL', '{"name":"a\u0000b"}'],
    ['with an unknown key', '{"admin":true}'],
    ['with a __proto__', '{"__proto__":{"uses":5}}'],
    ['with a constructor', '{"constructor":{"prototype":{"uses":5}}}'],
    ['nested too deep', `{"labels":${'['.repeat(100_000)}${']'.repeat(100_000)}}`],
    ['with a label that is none', '{"labels":{"a b":"c"}}'],
    ['with a label that only a node says', '{"labels":{"self/os":"linux"}}'],
    ['with a name for the rules that is none', '{"rules":"a b"}'],
    ['with a label of control characters as its name', '{"labels":{"\\u001b[2J":"c"}}'],
  ])('a body that is %s is refused, and no fault of ours', async (_, body) => {
    expectRefusal(await tokens(body), 400, 'USAGE');
    expect(({} as { uses?: number }).uses).toBeUndefined();
  });

  test('a body that is no JSON by its type is refused', async () => {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x']) {
      expectRefusal(await tokens('{"uses":2}', { 'content-type': type }), 400, 'USAGE');
    }
    expectRefusal(await tokens('{"uses":2}', {}), 400, 'USAGE');
    const { text } = await overSocket({ path: '/api/v1/audit' });
    expect(text).not.toContain('"uses":2');
  });

  test('a body over 8 MiB is refused, and one that does not say its length', async () => {
    const body = JSON.stringify({ name: 'x'.repeat(9 << 20) });
    expectRefusal(await tokens(body), 413, 'PAYLOAD_TOO_LARGE');
    const chunked = { ...JSON_TYPE, 'transfer-encoding': 'chunked' };
    expectRefusal(await tokens(body, chunked), 400, 'USAGE');
    expectRefusal(await tokens('{}', chunked), 400, 'USAGE');
    expect((await overSocket({ path: '/health' })).status).toBe(200);
  });

  test.each([
    ['GET', '/'],
    ['GET', '/api'],
    ['GET', '/api/v2/nodes'],
    ['GET', '/api/v1/nodes/w1/revoke'],
    ['DELETE', '/api/v1/nodes/w1'],
    ['PUT', '/api/v1/tokens'],
    ['OPTIONS', '/api/v1/nodes'],
    ['TRACE', '/api/v1/nodes'],
    ['GET', '/api/v1/nodes/a/b/c'],
    ['POST', '/api/v1/tokens/stdin'],
  ])('%s %s is not there', async (method, path) => {
    expectRefusal(await overSocket({ method, path }), 404, 'NOT_FOUND');
  });

  test.each([
    ['a line feed', 'w1%0Aw2'],
    ['an escape sequence', '%1B%5B2Jw1'],
    ['a NUL', 'w1%00'],
    ['a path', '..%2F..%2Fetc%2Fpasswd'],
    ['a homoglyph', 'ｗ1'],
    ['half a character', 'w1%E2%82'],
    ['a percent sign alone', 'w1%'],
    ['__proto__', '__proto__'],
    ['constructor', 'constructor'],
    ['a star', '*'],
  ])('a name with %s names nobody', async (_, word) => {
    const found = await overSocket({ path: `/api/v1/nodes/${encodedOnce(word)}` });
    expectRefusal(found, 404, 'NODE_NOT_FOUND');
    // oxlint-disable-next-line no-control-regex -- these are the characters that are looked for
    expect((found.json as { message: string }).message).not.toMatch(/[\u0000-\u001f]/);
    const job = { kind: 'exec', targets: [decodeURISafe(word)], command: { argv: ['true'] } };
    expectRefusal(
      await overSocket({ method: 'POST', path: '/api/v1/jobs', headers: JSON_TYPE }, JSON.stringify(job)),
      404,
      'NODE_NOT_FOUND',
    );
  });

  test.each([
    ['an escape sequence', '%1B%5B2Jw1'],
    ['a line feed', 'w1%0Aapproved%20w1'],
    ['a path', '..%2F..%2Fnodes'],
    ['__proto__', '__proto__'],
    ['a star', '*'],
    ['nothing but dashes', '------'],
    ['the beginning of any id', '0'],
  ])('a word with %s lets nobody in, and is said back on one line', async (_, word) => {
    await using waiting = bareNode(federation.hub, { name: 'waits' });
    await waiting.waiting();
    const at = `/api/v1/pairing-requests/${word}`;
    const answers = [
      await overSocket({ method: 'POST', path: `${at}/approve`, headers: JSON_TYPE }, '{"replace":true}'),
      await overSocket({ method: 'POST', path: `${at}/reject` }),
      await overSocket({ method: 'POST', path: `${at}/judge`, headers: JSON_TYPE }, '{"approveEverything":true}'),
      await overSocket({ path: `${at}/explanation` }),
    ];
    for (const answer of answers) {
      expectRefusal(answer, 404, 'REQUEST_NOT_FOUND');
      // oxlint-disable-next-line no-control-regex -- these are the characters that are looked for
      expect((answer.json as { message: string }).message).not.toMatch(/[\u0000-\u001f]/);
    }
    expect(waiting.saw('welcome')).toBe(false);
  });

  test('a name of 1 MiB is refused in a body and ends the connection in a URL', async () => {
    const long = 'n'.repeat(1 << 20);
    const job = JSON.stringify({ kind: 'exec', targets: [long], command: { argv: ['true'] } });
    const refused = await overSocket({ method: 'POST', path: '/api/v1/jobs', headers: JSON_TYPE }, job);
    expectRefusal(refused, 400, 'USAGE');
    expect(refused.text.length).toBeLessThan(1000);
    await expect(overSocket({ path: `/api/v1/nodes/${long}` })).rejects.toThrow(/socket hang up|ECONNRESET|EPIPE/);
    expect((await overSocket({ path: '/health' })).status).toBe(200);
  });

  test('ten thousand targets that are one node are one target', async () => {
    const targets = Array.from({ length: 10_000 }, () => 'w1');
    const { results } = await federation.runJob({ kind: 'exec', targets, command: { argv: ['true'] } });
    expect(results).toHaveLength(1);
  });

  test('no secret is in what is logged, listed or audited', async () => {
    const token = await federation.token({ uses: 3 });
    const secret = token.split('.')[2]!;
    await federation.run(['w1'], `echo ${token}`);
    const all = [
      ...federation.logs,
      (await overSocket({ path: '/api/v1/audit?limit=1000' })).text,
      (await overSocket({ path: '/api/v1/jobs?limit=100' })).text,
      (await overSocket({ path: '/api/v1/nodes' })).text,
      (await overSocket({ path: '/api/v1/status' })).text,
    ].join('\n');
    expect(all).not.toContain(secret);
    expect(all).not.toContain(credential);
  });
});

describe('a node that has turned', () => {
  test.each([
    ['a line feed', 'a\nb'],
    ['an escape sequence', '\u001b]0;owned\u0007'],
    ['a homoglyph', 'wⅠ'],
    ['capitals', 'W1'],
    ['a path', '../w1'],
    ['nothing', ''],
    ['64 characters', 'a'.repeat(64)],
    ['1 MiB', 'a'.repeat(1 << 20)],
  ])('does not get in with a name of %s', async (_, name) => {
    await using liar = bareNode(federation.hub, { name });
    await eventually('it is put off', () => liar.saw('refused') || liar.saw('lost'));
    expect(liar.saw('waiting')).toBe(false);
    expect((await federation.pending()).filter((request) => request.name !== 'waits')).toEqual([]);
  });
});

test('nothing of all this was a fault of the hub', () => {
  expect(federation.logs.filter((line) => line.includes('"level":"error"'))).toEqual([]);
});

/** What somebody could make of a token's hash: another secret of the right form. */
function tokenOf(token: string, hash: string): string {
  return [...token.split('.').slice(0, 2), Buffer.from(hash, 'hex').toString('base64url')].join('.');
}

/** Sends bytes as they are; everything that comes back until the hub closes, or says nothing more. */
async function raw(text: string): Promise<string> {
  const socket = connect(federation.hub.port, '127.0.0.1');
  await once(socket, 'connect');
  let answer = '';
  socket.on('data', (chunk: Buffer) => (answer += chunk.toString('latin1')));
  socket.on('error', () => undefined);
  socket.end(text);
  await once(socket, 'close');
  return answer;
}

function encodedOnce(word: string): string {
  const name = decodeURISafe(word);
  return name === word ? encodeURI(word) : encodeURIComponent(name);
}

function decodeURISafe(word: string): string {
  try {
    return decodeURIComponent(word);
  } catch {
    return word;
  }
}
