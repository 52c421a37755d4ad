import type OpenAI from 'openai';
import type { SdkCall } from './sdk.ts';
import { all, hang } from './sdk.ts';
import { events, json, pinned } from './wire-replies.ts';

const HERE = { headers: pinned };

const RESPONSE = {
  ...{ id: 'resp_1', object: 'response', created_at: 1, status: 'completed', model: 'echo', output: [], error: null },
  ...{ usage: null, metadata: {}, tools: [], parallel_tool_calls: true },
};
const said = (text: string) => ({
  ...{ type: 'message', id: 'msg_1', role: 'assistant', status: 'completed' },
  content: [{ type: 'output_text', text, annotations: [] }],
});
const event = (value: { readonly type: string; readonly [field: string]: unknown }): string =>
  `event: ${value.type}\ndata: ${JSON.stringify(value)}\n\n`;
const CREATED = event({
  ...{ type: 'response.created', sequence_number: 0 },
  response: { ...RESPONSE, status: 'in_progress' },
});

/** The responses API: made by a model, and then known to the node that made them. */
export const RESPONSES: readonly SdkCall<OpenAI>[] = [
  { name: 'response: plain', run: (client) => client.responses.create({ model: 'echo', input: 'hello there' }) },
  {
    name: 'response: with all that it may have',
    run: (client) =>
      client.responses.create({
        ...{ model: 'echo', instructions: 'be short', previous_response_id: 'resp_0', store: true },
        input: [{ role: 'user', content: [{ type: 'input_text', text: 'hi' }] }],
        ...{
          reasoning: { effort: 'low', summary: 'auto' },
          include: ['reasoning.encrypted_content'],
          background: false,
        },
        ...{
          metadata: { a: 'b' },
          prompt_cache_key: 'k',
          max_output_tokens: 64,
          max_tool_calls: 1,
          service_tier: 'auto',
        },
      }),
  },
  {
    name: 'response: a function is called',
    replies: [
      json({
        ...RESPONSE,
        output: [
          { type: 'reasoning', id: 'rs_1', summary: [{ type: 'summary_text', text: 'hm' }] },
          {
            type: 'function_call',
            id: 'fc_1',
            call_id: 'call_1',
            name: 'f',
            arguments: '{"a": 1.0}',
            status: 'completed',
          },
        ],
      }),
    ],
    run: (client) =>
      client.responses.create({
        ...{ model: 'echo', tool_choice: { type: 'function', name: 'f' } },
        input: [
          { type: 'function_call', call_id: 'call_0', name: 'f', arguments: '{}' },
          { type: 'function_call_output', call_id: 'call_0', output: 'sun' },
        ],
        tools: [{ type: 'function', name: 'f', parameters: { type: 'object' }, strict: false }],
      }),
  },
  {
    name: 'response: structured output',
    replies: [json({ ...RESPONSE, output: [said('{"a":"b"}')] })],
    run: (client) =>
      client.responses.parse({
        ...{ model: 'echo', input: 'say' },
        text: { format: { type: 'json_schema', name: 'x', schema: { type: 'object' }, strict: true } },
      }),
  },
  {
    name: 'response: a stream',
    run: (client) => all(client.responses.create({ model: 'echo', input: 'hello there', stream: true })),
  },
  {
    name: 'response: a stream that the SDK puts together',
    replies: [
      events([
        CREATED,
        event({
          type: 'response.completed',
          sequence_number: 1,
          response: { ...RESPONSE, output: [said('hi')] },
        }),
      ]),
    ],
    run: (client) => client.responses.stream({ model: 'echo', input: 'hi' }).finalResponse(),
  },
  {
    name: 'response: a stream that fails in its words',
    replies: [
      events([
        CREATED,
        event({
          type: 'error',
          sequence_number: 1,
          code: 'server_is_overloaded',
          message: 'busy',
          param: null,
        }),
      ]),
    ],
    run: (client) => all(client.responses.create({ model: 'echo', input: 'hi', stream: true })),
  },
  {
    name: 'response: is read again',
    replies: [json(RESPONSE)],
    run: (client) => client.responses.retrieve('resp_1', { include: ['file_search_call.results'] }, HERE),
  },
  {
    name: 'response: is read again as a stream, from an event on',
    replies: [events([event({ type: 'response.completed', sequence_number: 8, response: RESPONSE })])],
    run: (client) => all(client.responses.retrieve('resp_1', { stream: true, starting_after: 7 }, HERE)),
  },
  {
    name: 'response: is cancelled',
    replies: [json({ ...RESPONSE, status: 'cancelled' })],
    run: (client) => client.responses.cancel('resp_1', HERE),
  },
  {
    name: 'response: is forgotten',
    replies: [json({ id: 'resp_1', object: 'response', deleted: true })],
    run: (client) => client.responses.delete('resp_1', HERE),
  },
  {
    name: 'response: what was asked, page by page',
    replies: [
      json({
        object: 'list',
        data: [{ ...said('a'), id: 'msg_1' }],
        first_id: 'msg_1',
        last_id: 'msg_1',
        has_more: true,
      }),
      json({
        object: 'list',
        data: [{ ...said('b'), id: 'msg_2' }],
        first_id: 'msg_2',
        last_id: 'msg_2',
        has_more: false,
      }),
    ],
    run: (client) => all(client.responses.inputItems.list('resp_1', { limit: 1, order: 'asc' }, HERE)),
  },
  {
    name: 'response: is not known',
    replies: [
      json({ error: { message: 'no such response', type: 'invalid_request_error', param: 'id', code: null } }, 404),
    ],
    run: (client) => client.responses.retrieve('resp_404', {}, HERE),
  },
  {
    name: 'response: the client aborts it before its first byte',
    replies: [hang],
    aborts: 1,
    async run(client, isAsked) {
      const stopping = new AbortController();
      const asking = client.responses.create({ model: 'echo', input: 'hi', stream: true }, { signal: stopping.signal });
      void isAsked.then(() => stopping.abort());
      return all(asking);
    },
  },
];
