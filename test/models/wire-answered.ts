import { brotliCompressSync, gzipSync } from 'node:zlib';
import type { WireCase } from './wire.ts';
import { ASK, DATE, events, json, noise, OK, pinned, reply, STREAM } from './wire-replies.ts';

const delta = (value: object) => `data: ${JSON.stringify(value)}\n\n`;

/** What is answered: rows 4, 5, 8, 9 and 10. */
export const ANSWERED: readonly WireCase[] = [
  {
    name: 'fields that nobody knows',
    body: ASK,
    reply: json({
      ...OK,
      system_fingerprint: 'f',
      timings: { a: 1.0 },
      choices: [{ message: { reasoning_content: 'r', refusal: null, annotations: [], audio: {} } }],
      usage: { prompt_tokens: 1, completion_tokens_details: { reasoning_tokens: 3 }, cost: 0.1 },
    }),
  },
  {
    name: 'an answer without a length',
    body: ASK,
    reply: reply(200, { 'content-type': 'application/json' }, JSON.stringify(OK)),
  },
  {
    name: 'an answer in chunks',
    body: ASK,
    reply: events(['{"a":', '"', 'b"', '}'], { 'content-type': 'application/json' }),
  },
  {
    name: 'an answer of two megabytes',
    body: ASK,
    reply: reply(200, { 'content-type': 'application/json' }, Buffer.concat(Array.from({ length: 30 }, () => noise))),
  },
  { name: 'an answer of nothing', body: ASK, reply: reply(200, { 'content-length': '0' }) },
  { name: 'no content', body: ASK, reply: reply(204, {}) },
  {
    name: 'not modified',
    method: 'GET',
    path: '/v1/files/x',
    headers: { ...pinned, 'if-none-match': '"e"' },
    reply: reply(304, { etag: '"e"' }),
  },
  {
    name: 'limits, ids and times',
    body: ASK,
    reply: json(OK, 200, {
      'x-request-id': 'req_1',
      'x-ratelimit-remaining-requests': '59',
      'x-ratelimit-reset-tokens': '6m0s',
      'openai-processing-ms': '12',
      'openai-version': '2020-10-01',
      'cf-ray': 'x',
      'x-should-retry': 'true',
      server: 'uvicorn',
    }),
  },
  {
    name: 'a header beyond ASCII, and one with several values',
    body: ASK,
    reply: json(OK, 200, { 'x-latin': 'caf\u00e9', vary: 'a, b' }),
  },
  { name: 'a header of eight kilobytes', body: ASK, reply: json(OK, 200, { 'x-long': 'y'.repeat(8000) }) },
  {
    name: 'headers of ours that an upstream makes up',
    body: ASK,
    reply: json(OK, 200, {
      'x-federation-node': 'evil',
      'x-federation-failure': 'connect',
      'x-federation-whole': 'yes',
    }),
  },
  {
    name: 'a compressed answer',
    body: ASK,
    headers: { 'accept-encoding': 'gzip' },
    reply: reply(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' }, gzipSync(JSON.stringify(OK))),
  },
  {
    name: 'compressed events',
    body: STREAM,
    headers: { 'accept-encoding': 'br' },
    reply: events([brotliCompressSync('data: {}\n\n')], { 'content-encoding': 'br' }),
  },
  ...[400, 401, 403, 404, 409, 413, 422].map((status) => ({
    name: `${status} of the upstream`,
    body: ASK,
    reply: json({ error: { message: 'no', type: 'x', param: null, code: `c${status}` } }, status),
  })),
  {
    name: '429 with its times',
    body: ASK,
    reply: json({ error: { message: 'slow' } }, 429, {
      'retry-after': '7',
      'retry-after-ms': '7000',
      'x-ratelimit-remaining-tokens': '0',
    }),
  },
  { name: '500', body: ASK, reply: json({ error: { message: 'no' } }, 500) },
  {
    name: '502 in HTML',
    body: ASK,
    reply: reply(502, { 'content-type': 'text/html' }, '<html>\n<b>Bad Gateway</b></html>'),
  },
  {
    name: '503 in HTML',
    body: ASK,
    reply: reply(503, { 'content-type': 'text/html', 'retry-after': 'Sat, 21 Nov 2026 12:00:05 GMT' }, '<html>'),
  },
  {
    name: '529 of Anthropic',
    path: '/v1/messages',
    body: ASK,
    reply: json({ type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } }, 529, {
      'x-should-retry': 'true',
    }),
  },
  {
    name: 'events',
    body: STREAM,
    reply: events([
      delta({ choices: [{ index: 0, delta: { role: 'assistant' } }] }),
      delta({ choices: [{ index: 0, delta: { content: 'hi' } }] }),
      'data: [DONE]\n\n',
    ]),
  },
  {
    name: 'named events',
    path: '/v1/responses',
    body: STREAM,
    reply: events(['event: response.created\ndata: {"a":1}\n\n', 'event: response.completed\ndata: {}\n\n']),
  },
  {
    name: 'comments that keep alive',
    body: STREAM,
    reply: events([': OPENROUTER PROCESSING\n\n', ':\n\n', delta({}), ': ping\n\n', 'data: [DONE]\n\n']),
  },
  {
    name: 'events with CRLF and CR, ids and retries',
    body: STREAM,
    reply: events(['id: 1\r\nretry: 10\r\ndata: a\r\ndata: b\r\n\r\n', 'data: c\r\r', '\n\ndata:d\n\n']),
  },
  {
    name: 'several choices by turns, and calls of tools in pieces',
    body: STREAM,
    reply: events([
      delta({ choices: [{ index: 1, delta: {} }] }),
      delta({ choices: [{ index: 0, delta: { tool_calls: [{ index: 0, function: { arguments: '{"a' } }] } }] }),
      delta({ choices: [{ index: 1, delta: { tool_calls: [{ index: 1, function: { arguments: '":1}' } }] } }] }),
    ]),
  },
  {
    name: 'reasoning, logprobs and usage behind the choices',
    body: STREAM,
    reply: events([
      delta({ choices: [{ delta: { reasoning_content: 'r' }, logprobs: { content: [] } }] }),
      delta({ choices: [], usage: { prompt_tokens: 1, completion_tokens: 2 } }),
      'data: [DONE]\n\n',
    ]),
  },
  {
    name: 'an error in the stream',
    body: STREAM,
    reply: events([
      delta({ choices: [] }),
      'data: {"error":{"message":"overloaded","code":503}}\n\n',
      'event: error\ndata: {"type":"error"}\n\n',
    ]),
  },
  { name: 'a stream without its last line', body: STREAM, reply: events([delta({}), 'data: {"cut']) },
  {
    name: 'an event of a megabyte',
    body: STREAM,
    reply: events([`data: "${'é'.repeat(500_000)}"\n\n`, 'data: [DONE]\n\n']),
  },
  {
    name: 'a character that is cut in two',
    body: STREAM,
    reply: events([
      Buffer.from('data: "'),
      Buffer.from('😀').subarray(0, 1),
      Buffer.from('😀').subarray(1, 3),
      Buffer.from('😀').subarray(3),
      Buffer.from('"\n\n'),
    ]),
  },
  { name: 'a stream of nothing', body: STREAM, reply: events([]) },
  { name: 'a stream that breaks off', body: STREAM, reply: events([delta({ a: 1 }), 'data: {"cut'], {}, 'break') },
  {
    name: 'an answer that breaks off before its length',
    body: ASK,
    reply: events(['{"a":1'], { 'content-type': 'application/json', 'content-length': '100' }, 'break'),
  },
  {
    name: 'an answer that ends with its connection',
    body: ASK,
    reply: (response) =>
      void response.socket?.end(
        `HTTP/1.1 200 OK\r\ndate: ${DATE}\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n{"a":1}`,
      ),
  },
  {
    name: 'informational answers before it',
    body: ASK,
    reply: (response) => {
      response.writeProcessing();
      json(OK)(response);
    },
  },
];
