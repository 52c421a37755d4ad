import type { ServerResponse } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import type { SeenRequest } from './model-server.ts';

/** As the endpoints take it, all of them at once. */
interface Asked {
  readonly model?: string;
  readonly stream?: boolean;
  readonly stream_options?: { readonly include_usage?: boolean };
  readonly messages?: readonly { readonly role: string; readonly content: unknown }[];
  readonly prompt?: string;
  readonly input?: unknown;
}

/**
 * What a model server answers that has a model which says back what it was told. Orders in the last message:
 *
 *     [[status 503]]        an error of that status, with `retry-after: 1`
 *     [[html 502]]          the same as a web page
 *     [[words 5]]           so many words
 *     [[pause 100]]         so many milliseconds before each piece of a stream
 *     [[wait 100]]          so many milliseconds before the first byte
 *     [[hang]]              no byte of an answer at all
 *     [[break 2]]           the connection breaks off after so many pieces of a stream
 *     [[tool NAME]]         a call of that tool with {"word":"hello"}
 */
export async function answerAsModel(request: SeenRequest, response: ServerResponse): Promise<void> {
  const path = request.path.split('?')[0] ?? '';
  const asked = (request.json ?? {}) as Asked;
  const text = lastWords(asked);
  const status = Number(order(text, 'status') ?? 0);
  const html = Number(order(text, 'html') ?? 0);
  if (order(text, 'hang') !== null) return;
  await pause(Number(order(text, 'wait') ?? 0));
  if (html > 0) {
    response.writeHead(html, { 'content-type': 'text/html' }).end('<html><body>bad gateway</body></html>');
    return;
  }
  if (status > 0) {
    response.setHeader('retry-after', '1');
    return sendJson(response, status, { error: { message: `asked to fail with ${status}`, type: 'server_error' } });
  }
  const answer = ANSWERS[path];
  if (answer === undefined) {
    return sendJson(response, 404, { error: { message: `no ${path}`, type: 'invalid_request_error' } });
  }
  const said: Said = {
    model: asked.model ?? 'echo',
    words: wordsOf(text),
    tool: order(text, 'tool'),
    usage: asked.stream_options?.include_usage === true,
    input: Math.max(1, Math.ceil(request.body.length / 4)),
  };
  if (asked.stream !== true || answer.stream === undefined) return sendJson(response, 200, answer.whole(said));
  await stream(response, answer.stream(said), Number(order(text, 'pause') ?? 0), order(text, 'break'));
}

interface Said {
  readonly model: string;
  readonly words: readonly string[];
  readonly tool: string | null;
  readonly usage: boolean;
  /** Tokens of the question. */
  readonly input: number;
}

interface Shape {
  whole(said: Said): object;
  /** Server-sent events, each with its end. */
  stream?(said: Said): string[];
}

const ANSWERS: Readonly<Record<string, Shape>> = {
  '/v1/chat/completions': { whole: chat, stream: chatStream },
  '/v1/completions': { whole: completion, stream: completionStream },
  '/v1/responses': { whole: responseOf, stream: responseStream },
  '/v1/embeddings': { whole: embedding },
  '/v1/messages': { whole: message, stream: messageStream },
  '/v1/messages/count_tokens': { whole: ({ input }) => ({ input_tokens: input }) },
};

async function stream(
  response: ServerResponse,
  pieces: readonly string[],
  pauseMs: number,
  breakAfter: string | null,
): Promise<void> {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
  for (const [at, piece] of pieces.entries()) {
    if (breakAfter !== null && at >= Number(breakAfter)) {
      // Time for what was sent to be seen: what breaks off at once is no answer to anybody on the way.
      await pause(50);
      response.destroy();
      return;
    }
    if (pauseMs > 0) await pause(pauseMs);
    if (response.destroyed) return;
    response.write(piece);
  }
  response.end();
}

function usageOf({ input, words }: Said) {
  return {
    prompt_tokens: input,
    completion_tokens: words.length,
    total_tokens: input + words.length,
    prompt_tokens_details: { cached_tokens: 1 },
  };
}

function toolCallOf(name: string) {
  return { id: 'call_1', type: 'function', function: { name, arguments: '{"word":"hello"}' } };
}

function chat(said: Said): object {
  const { model, words, tool } = said;
  const message =
    tool === null
      ? { role: 'assistant', content: words.join(' ') }
      : { role: 'assistant', content: null, tool_calls: [toolCallOf(tool)] };
  const finish_reason = tool === null ? 'stop' : 'tool_calls';
  return {
    ...{ id: 'chatcmpl-1', object: 'chat.completion', created: 1, model },
    choices: [{ index: 0, message, finish_reason, logprobs: null }],
    usage: usageOf(said),
  };
}

function chatStream(said: Said): string[] {
  const { model, words, tool, usage } = said;
  const base = { id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model };
  const chunk = (delta: object, finish_reason: string | null = null) =>
    data({ ...base, choices: [{ index: 0, delta, finish_reason }] });
  const pieces =
    tool === null
      ? words.map((word, at) => chunk({ content: at === 0 ? word : ` ${word}` }))
      : [chunk({ tool_calls: [{ index: 0, ...toolCallOf(tool) }] })];
  const last = usage ? [data({ ...base, choices: [], usage: usageOf(said) })] : [];
  return [
    chunk({ role: 'assistant', content: '' }),
    ...pieces,
    chunk({}, tool === null ? 'stop' : 'tool_calls'),
    ...last,
    'data: [DONE]\n\n',
  ];
}

function completion(said: Said): object {
  const choices = [{ index: 0, text: said.words.join(' '), finish_reason: 'stop', logprobs: null }];
  return { id: 'cmpl-1', object: 'text_completion', created: 1, model: said.model, choices, usage: usageOf(said) };
}

function completionStream({ model, words }: Said): string[] {
  const base = { id: 'cmpl-1', object: 'text_completion', created: 1, model };
  const pieces = words.map((word) => data({ ...base, choices: [{ index: 0, text: `${word} `, finish_reason: null }] }));
  return [...pieces, 'data: [DONE]\n\n'];
}

function responseOf({ model, words, input }: Said): object {
  const content = [{ type: 'output_text', text: words.join(' '), annotations: [] }];
  return {
    ...{ id: 'resp_1', object: 'response', created_at: 1, status: 'completed', model },
    output: [{ type: 'message', id: 'msg_1', role: 'assistant', status: 'completed', content }],
    usage: {
      input_tokens: input,
      input_tokens_details: { cached_tokens: 1 },
      output_tokens: words.length,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: input + words.length,
    },
  };
}

function responseStream(said: Said): string[] {
  const whole = responseOf(said);
  const deltas = said.words.map((word, at) => ({
    ...{ type: 'response.output_text.delta', item_id: 'msg_1', output_index: 0, content_index: 0 },
    delta: at === 0 ? word : ` ${word}`,
  }));
  const started = { type: 'response.created', response: { ...whole, status: 'in_progress', output: [], usage: null } };
  const events = [started, ...deltas, { type: 'response.completed', response: whole }];
  return events.map((event, at) => named(event.type, { ...event, sequence_number: at }));
}

function embedding({ model, input }: Said): object {
  const data = [{ object: 'embedding', index: 0, embedding: [0.25, -0.5, 1] }];
  return { object: 'list', data, model, usage: { prompt_tokens: input, total_tokens: input } };
}

function message({ model, words, tool, input }: Said): object {
  const content =
    tool === null
      ? [{ type: 'text', text: words.join(' ') }]
      : [{ type: 'tool_use', id: 'toolu_1', name: tool, input: { word: 'hello' } }];
  return {
    ...{ id: 'msg_1', type: 'message', role: 'assistant', model, content, stop_sequence: null },
    stop_reason: tool === null ? 'end_turn' : 'tool_use',
    usage: { input_tokens: input, cache_read_input_tokens: 1, output_tokens: words.length },
  };
}

function messageStream(said: Said): string[] {
  const { words, input } = said;
  const start = { ...message({ ...said, words: [] }), content: [], stop_reason: null };
  const text = { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } };
  const deltas = words.map((word, at) => ({
    ...{ type: 'content_block_delta', index: 0 },
    delta: { type: 'text_delta', text: at === 0 ? word : ` ${word}` },
  }));
  const usage = { input_tokens: input, cache_read_input_tokens: 1, output_tokens: words.length };
  const delta = { type: 'message_delta', delta: { stop_reason: 'end_turn', stop_sequence: null }, usage };
  const events = [
    { type: 'message_start', message: start },
    text,
    ...deltas,
    { type: 'content_block_stop', index: 0 },
    delta,
    { type: 'message_stop' },
  ];
  return events.map((event) => named(event.type, event));
}

const data = (value: object): string => `data: ${JSON.stringify(value)}\n\n`;
const named = (event: string, value: object): string => `event: ${event}\n${data(value)}`;

/** The text of the last message, of whatever endpoint. */
function lastWords({ messages, prompt, input }: Asked): string {
  return textOf(messages?.at(-1)?.content ?? prompt ?? (Array.isArray(input) ? input.at(-1) : input) ?? '');
}

function textOf(content: unknown): string {
  if (typeof content === 'string') return content;
  if (Array.isArray(content)) return content.map(textOf).join(' ');
  if (typeof content !== 'object' || content === null) return '';
  const { text, content: inner } = content as { text?: unknown; content?: unknown };
  return textOf(text ?? inner ?? '');
}

/** What an order says; an empty text where it says nothing more, null where it was not given. */
function order(text: string, word: string): string | null {
  return (
    new RegExp(`\\[\\[${word}(?: ([^\\]]*))?\\]\\]`)
      .exec(text)
      ?.slice(1)
      .map((value) => value ?? '')[0] ?? null
  );
}

function wordsOf(text: string): readonly string[] {
  const count = order(text, 'words');
  if (count !== null) return Array.from({ length: Number(count) }, (_, at) => `word${at + 1}`);
  const plain = text.replace(/\[\[[^\]]*\]\]/g, '').trim();
  return plain === '' ? ['hello'] : plain.split(/\s+/);
}

/** Answers with JSON, and its length. */
export function sendJson(response: ServerResponse, status: number, value: object): void {
  const text = JSON.stringify(value);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
  response.end(text);
}
