import { gzipSync } from 'node:zlib';
import type OpenAI from 'openai';
import type { Reply, SdkCall } from './sdk.ts';
import { hang } from './sdk.ts';
import { json, OK, reply } from './wire-replies.ts';

const PARAMS: OpenAI.ChatCompletionCreateParamsNonStreaming = {
  model: 'echo',
  messages: [{ role: 'user', content: 'hi' }],
};
const SOON = { 'retry-after-ms': '1' };

const error = (status: number, more: object = {}, head: Readonly<Record<string, string>> = {}): Reply =>
  json(
    { error: { message: `it is ${status}`, type: 'invalid_request_error', param: null, code: null, ...more } },
    status,
    { 'x-request-id': `req_${status}`, ...head },
  );
const html = (status: number): Reply =>
  reply(status, { 'content-type': 'text/html; charset=utf-8', server: 'nginx' }, `<html><h1>${status}</h1></html>\n`);
const answered = json(OK);

function fails(name: string, ...replies: readonly Reply[]): SdkCall<OpenAI> {
  return { name: `failure: ${name}`, replies, run: (client) => client.chat.completions.create(PARAMS) };
}

function retries(name: string, retried: number, replies: readonly Reply[], headers = {}): SdkCall<OpenAI> {
  return {
    ...{ name: `retry: ${name}`, retries: retried, replies },
    run: (client) => client.chat.completions.create(PARAMS, { headers }),
  };
}

/** What an upstream refuses, how the SDK tries again, and how it gives up. */
export const FAILURES: readonly SdkCall<OpenAI>[] = [
  fails('400 with the field that is wrong', error(400, { param: 'messages[0].content', code: 'invalid_value' })),
  fails('401', error(401, { code: 'invalid_api_key' })),
  fails('403', error(403, { code: 'unsupported_country_region_territory' })),
  fails('404', error(404, { code: 'model_not_found' })),
  fails('408', error(408)),
  fails('409', error(409)),
  fails('413', error(413)),
  fails('422 in the words of another server', json({ detail: [{ loc: ['body', 'n'], msg: 'too many' }] }, 422)),
  fails(
    '429 with its time',
    error(
      429,
      { type: 'tokens', code: 'rate_limit_exceeded' },
      {
        ...{ 'retry-after': '7', 'retry-after-ms': '6500', 'x-ratelimit-limit-requests': '60' },
        ...{ 'x-ratelimit-remaining-requests': '0', 'x-ratelimit-reset-requests': '6.5s' },
      },
    ),
  ),
  fails('429 that no time will mend', error(429, { code: 'insufficient_quota' }, { 'x-should-retry': 'false' })),
  fails('500', error(500, { type: 'server_error' })),
  fails('500 without a word', reply(500, {})),
  fails('502 as a web page', html(502)),
  fails('503 as a web page', html(503)),
  fails('503 with a date to come back', error(503, {}, { 'retry-after': 'Sat, 21 Nov 2026 12:00:30 GMT' })),
  fails('504', error(504)),
  fails('529', error(529)),
  fails('an error that is only a text', json({ error: 'model "echo" not found, try pulling it first' }, 404)),
  fails('a web page with status 200', html(200)),
  fails('JSON that is cut short', reply(200, { 'content-type': 'application/json' }, '{"id":"chatcmpl-1","cho')),
  fails('an answer without a body', reply(204, {})),
  fails(
    'an answer that is packed',
    reply(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' }, gzipSync(JSON.stringify(OK))),
  ),
  fails(
    'an error that is packed',
    reply(
      400,
      { 'content-type': 'application/json', 'content-encoding': 'gzip' },
      gzipSync('{"error":{"message":"packed"}}'),
    ),
  ),
  {
    name: 'failure: a stream that is refused',
    replies: [error(400, { param: 'stream' })],
    run: (client) => client.chat.completions.create({ ...PARAMS, stream: true }),
  },
  retries('after 429, when it is told to', 2, [error(429, {}, SOON), answered]),
  retries('after 500 and 502', 2, [error(500, {}, SOON), error(502, {}, SOON), answered]),
  retries('after a web page with 503', 2, [
    reply(503, { 'content-type': 'text/html', 'retry-after': '0' }, '<html></html>'),
    answered,
  ]),
  retries('after 408', 2, [error(408, {}, SOON), answered]),
  retries('after 409', 2, [error(409, {}, SOON), answered]),
  retries('after 400, as the upstream says', 2, [error(400, {}, { ...SOON, 'x-should-retry': 'true' }), answered]),
  retries('not after 500, as the upstream says', 2, [error(500, {}, { 'x-should-retry': 'false' }), answered]),
  retries('with the same idempotency key', 2, [error(503, {}, SOON), error(429, {}, SOON), answered], {
    'idempotency-key': 'stainless-node-retry-1',
  }),
  retries('until it gives up', 2, [error(500, {}, SOON)]),
  {
    name: 'abort: before the first byte',
    replies: [hang],
    aborts: 1,
    async run(client, isAsked) {
      const stopping = new AbortController();
      void isAsked.then(() => stopping.abort());
      return client.chat.completions.create(PARAMS, { signal: stopping.signal });
    },
  },
  {
    name: 'abort: before it was sent',
    run: (client) => client.chat.completions.create(PARAMS, { signal: AbortSignal.abort() }),
  },
  {
    name: 'timeout: the client waits no longer',
    ...{ replies: [hang], timeoutMs: 1500, aborts: 1 },
    run: (client) => client.chat.completions.create(PARAMS),
  },
  {
    name: 'timeout: the second try is answered',
    ...{ replies: [hang, answered], timeoutMs: 1500, retries: 1, aborts: 1 },
    run: (client) => client.chat.completions.create(PARAMS),
  },
];
