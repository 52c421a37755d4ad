import type OpenAI from 'openai';
import type { Reply, SdkCall } from './sdk.ts';
import { all, beginAndHang } from './sdk.ts';
import { events } from './wire-replies.ts';

type Create = OpenAI.ChatCompletionCreateParamsStreaming;

const HELLO: OpenAI.ChatCompletionMessageParam[] = [{ role: 'user', content: 'hello there' }];

const BASE = { id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: 'echo' };
const chunk = (delta: object, finish_reason: string | null = null, index = 0): string =>
  `data: ${JSON.stringify({ ...BASE, choices: [{ index, delta, finish_reason }] })}\n\n`;
const DONE = 'data: [DONE]\n\n';
const call = (index: number, more: object): object => ({ tool_calls: [{ index, ...more }] });
const named = (index: number): object =>
  call(index, { id: `call_${index}`, type: 'function', function: { name: 'f', arguments: '' } });
const argued = (index: number, text: string): object => call(index, { function: { arguments: text } });

function stream(name: string, body: object = {}, reply?: Reply): SdkCall<OpenAI> {
  const params = { model: 'echo', messages: HELLO, stream: true, ...body } as Create;
  return {
    name: `stream: ${name}`,
    ...(reply === undefined ? {} : { replies: [reply] }),
    run: (client) => all(client.chat.completions.create(params)),
  };
}

const cut = Buffer.from(chunk({ content: 'é漢😀' }));
const middle = cut.indexOf('😀') + 2;

/** Completions of chats as streams. */
export const STREAMS: readonly SdkCall<OpenAI>[] = [
  stream('plain'),
  stream('many words', { messages: [{ role: 'user', content: '[[words 200]]' }] }),
  stream('with its usage', { stream_options: { include_usage: true } }),
  stream('a tool is called', { messages: [{ role: 'user', content: '[[tool f]]' }] }),
  stream(
    'tools are called at once, their arguments by turns',
    { parallel_tool_calls: true },
    events([
      chunk(named(0)),
      chunk(named(1)),
      ...['{"a', '":1', '}'].flatMap((text) => [chunk(argued(0, text)), chunk(argued(1, text))]),
      chunk({}, 'tool_calls'),
      DONE,
    ]),
  ),
  stream(
    'reasoning before words',
    {},
    events([
      chunk({ role: 'assistant', reasoning_content: 'two ' }),
      chunk({ reasoning_content: 'and two', reasoning: 'x' }),
      chunk({ content: '4' }, 'stop'),
      DONE,
    ]),
  ),
  stream(
    'several choices by turns',
    { n: 2 },
    events([
      chunk({ content: 'a' }, null, 0),
      chunk({ content: 'b' }, null, 1),
      chunk({ content: 'c' }, 'stop', 1),
      chunk({}, 'length', 0),
      DONE,
    ]),
  ),
  stream(
    'comments that keep it alive, and lines that end in CRLF',
    {},
    events([
      ': ping\r\n\r\n',
      chunk({ content: 'a' }).replaceAll('\n', '\r\n'),
      ':\n\n',
      chunk({ content: 'b' }, 'stop'),
      DONE,
    ]),
  ),
  stream(
    'data in two lines',
    {},
    events([`data: {"id":"1","object":"chat.completion.chunk",\ndata: "choices":[]}\n\n`, DONE]),
  ),
  stream('a character in two packets', {}, events([cut.subarray(0, middle), cut.subarray(middle), DONE])),
  stream(
    'an event in three packets, and three in one',
    {},
    events([
      chunk({ content: 'a' }).slice(0, 9),
      chunk({ content: 'a' }).slice(9, 40),
      chunk({ content: 'a' }).slice(40),
      chunk({ content: 'b' }) + chunk({ content: 'c' }) + chunk({}, 'stop'),
      DONE,
    ]),
  ),
  stream('an event of 300 kB', {}, events([chunk({ content: 'x'.repeat(300_000) }), DONE])),
  stream('no [DONE] at its end', {}, events([chunk({ content: 'a' }), chunk({}, 'stop')])),
  stream('nothing but [DONE]', {}, events([DONE])),
  stream(
    'an error in the middle',
    {},
    events([
      chunk({ content: 'a' }),
      `data: ${JSON.stringify({ error: { message: 'overloaded', type: 'server_error', code: 'overloaded' } })}\n\n`,
      chunk({ content: 'b' }),
      DONE,
    ]),
  ),
  stream('a line that is no JSON', {}, events([chunk({ content: 'a' }), 'data: {oops\n\n', DONE])),
  {
    ...stream('it breaks off', {}, events([chunk({ content: 'a' }), chunk({ content: 'b' })], {}, 'break')),
    aborts: 1,
  },
  {
    name: 'stream: put together by the SDK',
    async run(client) {
      const running = client.chat.completions.stream({
        ...{ model: 'echo', messages: HELLO },
        stream_options: { include_usage: true },
      });
      const contents: string[] = [];
      running.on('content', (delta) => void contents.push(delta));
      return [await running.finalChatCompletion(), contents, await running.totalUsage()];
    },
  },
  {
    name: 'stream: its bytes as they came',
    run: async (client) =>
      (await client.chat.completions.create({ model: 'echo', messages: HELLO, stream: true }).asResponse()).text(),
  },
  {
    name: 'stream: the client aborts it in the middle',
    replies: [beginAndHang(chunk({ content: 'a' }))],
    aborts: 1,
    async run(client) {
      const stopping = new AbortController();
      const words: string[] = [];
      const running = await client.chat.completions.create(
        { model: 'echo', messages: HELLO, stream: true },
        { signal: stopping.signal },
      );
      for await (const { choices } of running) {
        words.push(choices[0]?.delta.content ?? '');
        stopping.abort();
      }
      return words;
    },
  },
  {
    name: 'stream: the client stops reading it',
    replies: [beginAndHang(chunk({ content: 'a' }))],
    aborts: 1,
    async run(client) {
      for await (const first of await client.chat.completions.create({
        model: 'echo',
        messages: HELLO,
        stream: true,
      })) {
        return first;
      }
      return null;
    },
  },
];
