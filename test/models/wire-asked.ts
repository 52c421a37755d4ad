import { gzipSync } from 'node:zlib';
import type { WireCase } from './wire.ts';
import { ASK, json, noise, ok, pinned, reply } from './wire-replies.ts';

const said = (extra: string) => `{"model":"echo","messages":[],${extra}}`;
const boundary = 'multipart/form-data; boundary=----b7';
const form = (fields: readonly (readonly [head: string, value: string | Buffer])[]) =>
  Buffer.concat([
    ...fields.flatMap(([head, value]) => [
      Buffer.from(`------b7\r\nContent-Disposition: form-data; ${head}\r\n\r\n`),
      Buffer.from(value as string),
      Buffer.from('\r\n'),
    ]),
    Buffer.from('------b7--\r\n'),
  ]);

/** What is asked: rows 1, 2, 3, 6 and 7 of what a proxy has to pass through. */
export const ASKED: readonly WireCase[] = [
  { name: 'a plain request', body: ASK, reply: ok },
  {
    name: 'numbers as they are written',
    body: said('"seed":12345678901234567890,"temperature":1.0,"top_p":1e-8,"x":-0'),
    reply: ok,
  },
  { name: 'keys that come twice', body: said('"x":1,"x":2,"stop":["a"],"stop":["b"]'), reply: ok },
  {
    name: 'escapes and every kind of character',
    body: said(String.raw`"a":"\u00e9\ud83d\ude00é😀\/","b":"\u0000"`),
    reply: ok,
  },
  { name: 'white space and the order of keys', body: ` {\r\n\t"messages" : [ ] ,\n "model" : "echo" } \n`, reply: ok },
  { name: 'a byte order mark', body: `\uFEFF${ASK}`, reply: ok },
  {
    name: 'an unpaired surrogate and bytes that are no UTF-8',
    body: Buffer.from([...Buffer.from('{"model":"echo","x":"'), 0xff, 0xc3, ...Buffer.from('"}')]),
    reply: ok,
  },
  {
    name: 'tools',
    body: said(
      '"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"model":{"type":"string"}}}}}],"tool_choice":"auto","parallel_tool_calls":false',
    ),
    reply: ok,
  },
  { name: 'functions of old', body: said('"functions":[{"name":"f"}],"function_call":"auto"'), reply: ok },
  {
    name: 'a response format',
    body: said('"response_format":{"type":"json_schema","json_schema":{"strict":true,"schema":{}}}'),
    reply: ok,
  },
  {
    name: 'sampling',
    body: said(
      '"n":2,"logprobs":true,"top_logprobs":5,"logit_bias":{"50256":-100},"seed":7,"stop":"x","prediction":{"type":"content","content":"x"}',
    ),
    reply: ok,
  },
  {
    name: 'reasoning and services',
    body: said(
      '"reasoning_effort":"high","verbosity":"low","service_tier":"flex","store":true,"metadata":{"a":"b"},"web_search_options":{}',
    ),
    reply: ok,
  },
  {
    name: 'caches and identities',
    body: said('"prompt_cache_key":"k","prompt_cache_retention":"24h","safety_identifier":"s","user":"u"'),
    reply: ok,
  },
  {
    name: 'what vendors add',
    body: said(
      '"top_k":40,"min_p":0.05,"chat_template_kwargs":{"thinking":true},"guided_json":{},"reasoning":{"max_tokens":9},"provider":{"order":["x"]},"x_vendor":null',
    ),
    reply: ok,
  },
  {
    name: 'modalities and audio',
    body: said('"modalities":["text","audio"],"audio":{"voice":"alloy","format":"wav"}'),
    reply: ok,
  },
  {
    name: 'a picture by its address and one in the text',
    body: said(
      `"m":[{"type":"image_url","image_url":{"url":"data:image/png;base64,${'iVBORw0KGgo'.repeat(500)}"}},{"type":"input_audio","input_audio":{"data":"UklGRg==","format":"wav"}}]`,
    ),
    reply: ok,
  },
  { name: 'a body of five megabytes', body: said(`"image":"${'QUJD'.repeat(1_300_000)}"`), reply: ok },
  { name: 'a body in chunks without a length', body: ['{"mod', 'el":"ec', 'ho","messages":', '[]}'], reply: ok },
  { name: 'large chunks without a length', body: ['{"model":"echo","x":"', 'y'.repeat(3_000_000), '"}'], reply: ok },
  { name: 'a client that waits for 100 Continue', headers: { expect: '100-continue' }, body: ASK, reply: ok },
  { name: 'no content type', headers: { 'content-type': 'text/plain' }, body: ASK, reply: ok },
  {
    name: 'a compressed request, pinned',
    headers: { 'content-encoding': 'gzip', ...pinned },
    body: gzipSync(ASK),
    reply: ok,
  },
  {
    name: 'headers of OpenAI',
    headers: {
      'openai-beta': 'assistants=v2',
      'OpenAI-Organization': 'org',
      'openai-project': 'p',
      'x-stainless-lang': 'js',
      'x-stainless-retry-count': '0',
      'user-agent': 'OpenAI/JS 7.57.0',
    },
    body: ASK,
    reply: ok,
  },
  {
    name: 'an idempotency key and a trace',
    headers: {
      'Idempotency-Key': 'stainless-node-retry-1',
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      tracestate: 'a=b',
    },
    body: ASK,
    reply: ok,
  },
  {
    name: 'what the client accepts',
    headers: { accept: 'application/json', 'accept-encoding': 'gzip, br', 'accept-language': 'de' },
    body: ASK,
    reply: ok,
  },
  {
    name: 'a header that comes twice, and one beyond ASCII',
    headers: { 'x-twice': ['a', 'b'], 'x-latin': 'caf\u00e9' },
    body: ASK,
    reply: ok,
  },
  {
    name: 'credentials and headers of a hop',
    headers: {
      cookie: 'a=b',
      'x-api-key': 'k'.repeat(43),
      te: 'trailers',
      connection: 'x-hop',
      'x-federation-session': 's',
    },
    body: ASK,
    reply: ok,
  },
  { name: 'a query', path: '/v1/chat/completions?api-version=2024-10-21&x=%20y', body: ASK, reply: ok },
  {
    name: 'completions',
    path: '/v1/completions',
    body: '{"model":"echo","prompt":"x"}',
    reply: json({ choices: [{ text: 'x' }] }),
  },
  {
    name: 'responses',
    path: '/v1/responses',
    body: '{"model":"echo","input":"x","include":["reasoning.encrypted_content"]}',
    reply: json({ id: 'resp_1', output: [] }),
  },
  {
    name: 'a response of before',
    method: 'GET',
    path: '/v1/responses/resp_1?include=x',
    headers: pinned,
    reply: json({ id: 'resp_1' }),
  },
  {
    name: 'a response that is deleted',
    method: 'DELETE',
    path: '/v1/responses/resp_1',
    headers: pinned,
    reply: json({ deleted: true }),
  },
  {
    name: 'a response that is cancelled',
    path: '/v1/responses/resp_1/cancel',
    headers: { ...pinned, 'content-length': '0' },
    reply: json({ id: 'resp_1' }),
  },
  {
    name: 'embeddings',
    path: '/v1/embeddings',
    body: '{"model":"echo","input":["a"],"encoding_format":"base64"}',
    reply: json({ data: [{ embedding: 'AACAPw==' }] }),
  },
  {
    name: 'a ranking',
    path: '/v1/rerank',
    body: '{"model":"echo","query":"q","documents":["a"]}',
    reply: json({ results: [{ index: 0 }] }),
  },
  {
    name: 'messages of Anthropic',
    path: '/v1/messages',
    headers: { 'anthropic-version': '2023-06-01', 'anthropic-beta': 'prompt-caching-2024-07-31' },
    body: '{"model":"echo","max_tokens":1,"messages":[]}',
    reply: json({ type: 'message' }, 200, { 'request-id': 'req_1', 'anthropic-ratelimit-tokens-remaining': '9' }),
  },
  {
    name: 'tokens that are counted',
    path: '/v1/messages/count_tokens',
    body: '{"model":"echo","messages":[]}',
    reply: json({ input_tokens: 3 }),
  },
  {
    name: 'speech',
    path: '/v1/audio/speech',
    body: '{"model":"echo","input":"x","voice":"a"}',
    reply: reply(200, { 'content-type': 'audio/mpeg' }, noise),
  },
  {
    name: 'a transcription',
    path: '/v1/audio/transcriptions',
    headers: { 'content-type': boundary },
    body: form([
      ['name="file"; filename="a.wav"', noise],
      ['name="model"', 'echo'],
    ]),
    reply: json({ text: 'x' }),
  },
  {
    name: 'pictures',
    path: '/v1/images/generations',
    body: '{"model":"echo","prompt":"x"}',
    reply: json({ data: [{ b64_json: 'AAAA' }] }),
  },
  {
    name: 'a file that is stored',
    path: '/v1/files',
    headers: { ...pinned, 'content-type': boundary },
    body: form([
      ['name="purpose"', 'batch'],
      ['name="file"; filename="a.jsonl"', '{}\n'],
    ]),
    reply: json({ id: 'file-1' }),
  },
  {
    name: 'the content of a file',
    method: 'GET',
    path: '/v1/files/file-1/content',
    headers: { ...pinned, range: 'bytes=0-9' },
    reply: reply(
      206,
      { 'content-type': 'application/octet-stream', 'content-range': 'bytes 0-9/70000' },
      noise.subarray(0, 10),
    ),
  },
  {
    name: 'a batch',
    path: '/v1/batches',
    headers: pinned,
    body: '{"input_file_id":"file-1","endpoint":"/v1/chat/completions"}',
    reply: json({ id: 'batch_1' }, 201),
  },
  {
    name: 'a path that nobody knows',
    method: 'PUT',
    path: '/v1/vendor/thing',
    headers: pinned,
    body: '{"a":1}',
    reply: reply(202, {}),
  },
  {
    name: 'a question for the head alone',
    method: 'HEAD',
    path: '/v1/files/file-1',
    headers: pinned,
    reply: reply(200, { 'content-type': 'application/json', 'content-length': '77' }),
  },
];
