import type Anthropic from '@anthropic-ai/sdk';
import type { Reply, SdkCall } from './sdk.ts';
import { all, beginAndHang, hang } from './sdk.ts';
import { events, json, reply } from './wire-replies.ts';

type Create = Anthropic.MessageCreateParamsNonStreaming;

const PARAMS: Create = { model: 'echo', max_tokens: 64, messages: [{ role: 'user', content: 'hello there' }] };
const MESSAGE = {
  ...{ id: 'msg_1', type: 'message', role: 'assistant', model: 'echo', stop_reason: 'end_turn', stop_sequence: null },
  usage: { input_tokens: 3, output_tokens: 2 },
};
const SOON = { 'retry-after-ms': '1' };

function message(name: string, body: object = {}, content?: readonly object[]): SdkCall<Anthropic> {
  return {
    name: `message: ${name}`,
    ...(content === undefined ? {} : { replies: [json({ ...MESSAGE, content })] }),
    run: (client) => client.messages.create({ ...PARAMS, ...body }),
  };
}

function stream(name: string, pieces: readonly (string | Buffer)[], body: object = {}): SdkCall<Anthropic> {
  return {
    name: `stream: ${name}`,
    replies: [events(pieces)],
    run: (client) => all(client.messages.create({ ...PARAMS, ...body, stream: true })),
  };
}

const event = (value: { readonly type: string; readonly [field: string]: unknown }): string =>
  `event: ${value.type}\ndata: ${JSON.stringify(value)}\n\n`;
const START = event({ type: 'message_start', message: { ...MESSAGE, content: [], stop_reason: null } });
const block = (index: number, content_block: object): string =>
  event({ type: 'content_block_start', index, content_block });
const delta = (index: number, more: object): string => event({ type: 'content_block_delta', index, delta: more });
const stop = (index: number): string => event({ type: 'content_block_stop', index });
const END = [
  event({
    type: 'message_delta',
    delta: { stop_reason: 'end_turn', stop_sequence: null },
    usage: { output_tokens: 9 },
  }),
  event({ type: 'message_stop' }),
];

const refusal = (status: number, type: string, head: Readonly<Record<string, string>> = {}): Reply =>
  json({ type: 'error', error: { type, message: `it is ${status}` }, request_id: `req_${status}` }, status, {
    'request-id': `req_${status}`,
    ...head,
  });

function fails(name: string, ...replies: readonly Reply[]): SdkCall<Anthropic> {
  return { name: `failure: ${name}`, replies, run: (client) => client.messages.create(PARAMS) };
}

const tool = { name: 'weather', description: 'of a place', input_schema: { type: 'object', properties: {} } };

/** The messages API and its neighbours, in one piece and as a stream. */
export const CALLS: readonly SdkCall<Anthropic>[] = [
  message('plain'),
  message('with all that it may have', {
    ...{ temperature: 0.5, top_k: 5, top_p: 0.9, stop_sequences: ['END'], metadata: { user_id: 'u' } },
    ...{ system: [{ type: 'text', text: 'be short', cache_control: { type: 'ephemeral', ttl: '1h' } }] },
    ...{ service_tier: 'auto', x_vendor: null },
  }),
  message('a tool is called', { messages: [{ role: 'user', content: '[[tool weather]]' }], tools: [tool] }),
  message(
    'tools are called at once',
    { tools: [tool], tool_choice: { type: 'any', disable_parallel_tool_use: false } },
    [1, 2].map((at) => ({ type: 'tool_use', id: `toolu_${at}`, name: 'weather', input: { at } })),
  ),
  message('results of tools', {
    tools: [tool],
    messages: [
      { role: 'user', content: 'both' },
      { role: 'assistant', content: [{ type: 'tool_use', id: 'toolu_1', name: 'weather', input: {} }] },
      {
        role: 'user',
        content: [
          { type: 'tool_result', tool_use_id: 'toolu_1', content: [{ type: 'text', text: 'rain' }], is_error: true },
        ],
      },
    ],
  }),
  message('thinking', { thinking: { type: 'enabled', budget_tokens: 1024 } }, [
    { type: 'thinking', thinking: 'two and two', signature: 'c2ln' },
    { type: 'redacted_thinking', data: 'eA==' },
    { type: 'text', text: '4', citations: null },
  ]),
  message('pictures and papers', {
    messages: [
      {
        role: 'user',
        content: [
          { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'iVBOR'.repeat(40_000) } },
          { type: 'document', source: { type: 'url', url: 'https://example.org/a.pdf' }, citations: { enabled: true } },
          { type: 'text', text: 'é 漢 😀 \u2028 "\\/' },
        ],
      },
    ],
  }),
  {
    name: 'message: with betas',
    run: (client) =>
      client.beta.messages.create({ ...PARAMS, betas: ['context-1m-2025-08-07', 'files-api-2025-04-14'] }),
  },
  {
    name: 'message: headers of the caller, and the answer as it came',
    replies: [json({ ...MESSAGE, content: [] }, 200, { 'request-id': 'req_1', 'anthropic-organization-id': 'o' })],
    async run(client) {
      const headers = { 'anthropic-beta': 'x-1,y-2', 'anthropic-version': '2099-01-01', traceparent: '00-1-2-01' };
      const { data, request_id } = await client.messages.create(PARAMS, { headers }).withResponse();
      return [data, request_id];
    },
  },
  {
    name: 'tokens: are counted',
    run: (client) => client.messages.countTokens({ ...PARAMS, max_tokens: undefined } as never),
  },
  {
    name: 'tokens: are counted with tools and betas',
    replies: [json({ input_tokens: 12, context_management: null })],
    run: (client) =>
      client.beta.messages.countTokens({
        ...{ model: 'echo', messages: PARAMS.messages, betas: ['token-counting-2024-11-01'] },
        tools: [{ name: 'f', input_schema: { type: 'object' } }],
      }),
  },
  { name: 'stream: plain', run: (client) => all(client.messages.create({ ...PARAMS, stream: true })) },
  {
    name: 'stream: put together by the SDK',
    async run(client) {
      const running = client.messages.stream(PARAMS);
      const texts: string[] = [];
      running.on('text', (text) => void texts.push(text));
      return [await running.finalMessage(), texts];
    },
  },
  stream('thinking, words and a tool, with pings', [
    START,
    event({ type: 'ping' }),
    block(0, { type: 'thinking', thinking: '', signature: '' }),
    delta(0, { type: 'thinking_delta', thinking: 'hm' }),
    delta(0, { type: 'signature_delta', signature: 'c2ln' }),
    stop(0),
    block(1, { type: 'tool_use', id: 'toolu_1', name: 'weather', input: {} }),
    ...['{"a', '":1', '}'].map((partial_json) => delta(1, { type: 'input_json_delta', partial_json })),
    stop(1),
    ...END,
  ]),
  stream('CRLF, comments and packets in the middle of events', [
    `: hi\r\n\r\n${START.replaceAll('\n', '\r\n')}${block(0, { type: 'text', text: '' }).slice(0, 30)}`,
    block(0, { type: 'text', text: '' }).slice(30) + delta(0, { type: 'text_delta', text: 'é漢' }) + stop(0),
    ...END,
  ]),
  stream('an error in the middle', [
    START,
    event({ type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' }, request_id: 'req_9' }),
  ]),
  {
    ...stream('it breaks off', []),
    replies: [events([START, block(0, { type: 'text', text: '' })], {}, 'break')],
    aborts: 1,
  },
  fails('400', refusal(400, 'invalid_request_error')),
  fails('401', refusal(401, 'authentication_error')),
  fails('403', refusal(403, 'permission_error')),
  fails('404', refusal(404, 'not_found_error')),
  fails('413', refusal(413, 'request_too_large')),
  fails(
    '429 with its limits',
    refusal(429, 'rate_limit_error', {
      ...{ 'retry-after': '9', 'anthropic-ratelimit-requests-remaining': '0' },
      'anthropic-ratelimit-requests-reset': '2026-11-21T12:00:09Z',
    }),
  ),
  fails('500', refusal(500, 'api_error')),
  fails('529', refusal(529, 'overloaded_error', { 'x-should-retry': 'false' })),
  fails('503 as a web page', reply(503, { 'content-type': 'text/html' }, '<html>down</html>')),
  {
    ...fails('of a stream', refusal(400, 'invalid_request_error')),
    run: (client) => client.messages.create({ ...PARAMS, stream: true }),
  },
  {
    ...{ name: 'retry: after 429 and 529, with the same idempotency key', retries: 2 },
    replies: [
      refusal(429, 'rate_limit_error', SOON),
      refusal(529, 'overloaded_error', SOON),
      json({ ...MESSAGE, content: [] }),
    ],
    run: (client) => client.messages.create(PARAMS, { headers: { 'idempotency-key': 'k1' } }),
  },
  {
    ...{ name: 'retry: until it gives up', retries: 1, replies: [refusal(500, 'api_error', SOON)] },
    run: (client) => client.messages.create(PARAMS),
  },
  {
    ...{ name: 'abort: before the first byte', replies: [hang], aborts: 1 },
    async run(client, isAsked) {
      const stopping = new AbortController();
      void isAsked.then(() => stopping.abort());
      return client.messages.create(PARAMS, { signal: stopping.signal });
    },
  },
  {
    ...{ name: 'abort: in the middle of a stream', replies: [beginAndHang(START)], aborts: 1 },
    async run(client) {
      const running = await client.messages.create({ ...PARAMS, stream: true });
      const types: string[] = [];
      for await (const { type } of running) {
        types.push(type);
        running.controller.abort();
      }
      return types;
    },
  },
  {
    ...{ name: 'timeout: the client waits no longer', replies: [hang], timeoutMs: 1500, aborts: 1 },
    run: (client) => client.messages.create(PARAMS),
  },
];
