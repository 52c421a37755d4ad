import type OpenAI from 'openai';
import type { SdkCall } from './sdk.ts';
import { json } from './wire-replies.ts';

type Create = OpenAI.ChatCompletionCreateParamsNonStreaming;
type Message = OpenAI.ChatCompletionMessageParam;

const user = (content: string): Message[] => [{ role: 'user', content }];
const weather = {
  type: 'function' as const,
  function: {
    name: 'weather',
    description: 'of a place',
    parameters: { type: 'object', properties: { model: { type: 'string' }, word: { type: 'string' } } },
  },
};

/** A body as a client may send it, known to its types or not. */
function chat(name: string, body: object = {}, answer?: object): SdkCall<OpenAI> {
  const params = { model: 'echo', messages: user('hello there'), ...body } as Create;
  return {
    name: `chat: ${name}`,
    ...(answer === undefined ? {} : { replies: [json(answer)] }),
    run: (client) => client.chat.completions.create(params),
  };
}

const answered = (message: object, more: object = {}): object => ({
  ...{ id: 'chatcmpl-1', object: 'chat.completion', created: 1, model: 'echo' },
  choices: [
    { index: 0, message: { role: 'assistant', content: null, refusal: null, ...message }, finish_reason: 'stop' },
  ],
  ...more,
});
const toolCall = (id: string, args: string) => ({
  ...{ id, type: 'function' },
  function: { name: 'weather', arguments: args },
});

/** Completions of chats in one piece. */
export const CHATS: readonly SdkCall<OpenAI>[] = [
  chat('plain'),
  chat('with a history', {
    messages: [
      { role: 'system', content: 'be short' },
      { role: 'developer', content: 'be shorter' },
      { role: 'user', content: 'hi', name: 'ann' },
      { role: 'assistant', content: 'yes?' },
      ...user('[[words 5]]'),
    ],
  }),
  chat('sampling', {
    ...{ temperature: 0.25, top_p: 1e-8, frequency_penalty: -2, presence_penalty: 1.5, seed: 9_007_199_254_740_991 },
    ...{ stop: ['\n', 'END'], max_completion_tokens: 5, logit_bias: { '50256': -100 } },
  }),
  chat(
    'several choices',
    { n: 2 },
    {
      ...{ id: 'chatcmpl-2', object: 'chat.completion', created: 1, model: 'echo' },
      choices: [0, 1].map((index) => ({
        index,
        message: { role: 'assistant', content: `${index}` },
        finish_reason: 'stop',
      })),
    },
  ),
  chat(
    'log probabilities',
    { logprobs: true, top_logprobs: 1 },
    {
      ...answered({ content: 'hi' }),
      choices: [
        {
          ...{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content: 'hi' } },
          logprobs: {
            content: [{ token: 'hi', logprob: -0.000_012_3, bytes: [104, 105], top_logprobs: [] }],
            refusal: null,
          },
        },
      ],
    },
  ),
  chat('a tool is called', { messages: user('[[tool weather]]'), tools: [weather], tool_choice: 'auto' }),
  chat(
    'tools are called at once',
    { tools: [weather], parallel_tool_calls: true },
    answered({ tool_calls: [toolCall('call_1', '{"word":"a"}'), toolCall('call_2', '{"word": "\\u00e9" }')] }),
  ),
  chat('results of tools', {
    tools: [weather],
    tool_choice: { type: 'function', function: { name: 'weather' } },
    messages: [
      ...user('both'),
      { role: 'assistant', tool_calls: [toolCall('call_1', '{}'), toolCall('call_2', '{}')] },
      { role: 'tool', tool_call_id: 'call_1', content: 'sun' },
      { role: 'tool', tool_call_id: 'call_2', content: [{ type: 'text', text: 'rain' }] },
    ],
  }),
  {
    name: 'chat: the SDK runs a tool and asks again',
    replies: [
      json(answered({ tool_calls: [toolCall('call_1', '{"word":"hello"}')] })),
      json(answered({ content: 'it is said' })),
    ],
    async run(client) {
      const runner = client.chat.completions.runTools({
        ...{ model: 'echo', messages: user('say hello') },
        tools: [
          {
            type: 'function',
            function: {
              ...{ name: 'weather', description: 'of a place', parameters: { type: 'object' }, parse: JSON.parse },
              function: ({ word }: { word: string }) => `said ${word}`,
            },
          },
        ],
      });
      return [await runner.finalContent(), runner.messages];
    },
  },
  chat('functions of old', { functions: [{ name: 'weather' }], function_call: { name: 'weather' } }),
  {
    name: 'chat: structured output',
    replies: [json(answered({ content: '{"city":"Zürich","degrees":21.0}' }))],
    run: (client) =>
      client.chat.completions.parse({
        ...{ model: 'echo', messages: user('where') },
        response_format: {
          type: 'json_schema',
          json_schema: {
            ...{ name: 'place', strict: true },
            schema: { type: 'object', properties: { city: { type: 'string' }, degrees: { type: 'number' } } },
          },
        },
      }),
  },
  chat('any JSON', { response_format: { type: 'json_object' } }, answered({ content: '{"a":1}' })),
  chat('a refusal', {}, answered({ refusal: 'I can’t help with that' })),
  chat(
    'reasoning that is told',
    { reasoning_effort: 'high', verbosity: 'low' },
    answered(
      { content: '4', reasoning_content: 'two and two', reasoning_details: [{ type: 'reasoning.text', text: 'two' }] },
      {
        usage: {
          prompt_tokens: 3,
          completion_tokens: 9,
          total_tokens: 12,
          completion_tokens_details: { reasoning_tokens: 8 },
        },
      },
    ),
  ),
  chat('images', {
    messages: [
      {
        role: 'user',
        content: [
          { type: 'text', text: 'what' },
          { type: 'image_url', image_url: { url: 'https://example.org/a.png', detail: 'low' } },
          { type: 'image_url', image_url: { url: `data:image/png;base64,${'iVBOR'.repeat(60_000)}` } },
        ],
      },
    ],
  }),
  chat(
    'sound in and out',
    {
      ...{ modalities: ['text', 'audio'], audio: { voice: 'alloy', format: 'wav' } },
      messages: [
        { role: 'user', content: [{ type: 'input_audio', input_audio: { data: 'UklGRg==', format: 'wav' } }] },
      ],
    },
    answered({ audio: { id: 'audio_1', data: 'UklGRg==', expires_at: 2, transcript: 'hi' } }),
  ),
  chat('a prediction', { prediction: { type: 'content', content: 'hello' } }),
  chat('what belongs to a service', {
    ...{ store: true, metadata: { a: 'b' }, service_tier: 'flex', user: 'u', safety_identifier: 's' },
    ...{ prompt_cache_key: 'k', prompt_cache_retention: '24h' },
  }),
  chat('what only some servers know', {
    ...{ top_k: 40, min_p: 0.05, guided_json: { type: 'object' }, chat_template_kwargs: { enable_thinking: false } },
    ...{ provider: { order: ['a'] }, x_vendor: null },
  }),
  chat(
    'a search with its sources',
    { web_search_options: { search_context_size: 'low' } },
    answered({
      content: 'see',
      annotations: [
        { type: 'url_citation', url_citation: { url: 'https://a.example', title: 'a', start_index: 0, end_index: 3 } },
      ],
    }),
  ),
  chat('every kind of character', { messages: user('é 漢 😀 \u0000 \u2028 "\\/ \ud83d') }),
  chat(
    'fields that nobody knows',
    {},
    answered({ content: 'hi' }, { timings: { predicted_ms: 1.5 }, cost: 1e-7, x: null }),
  ),
  {
    name: 'chat: headers and a query of the caller',
    run: (client) =>
      client.chat.completions.create(
        { model: 'echo', messages: user('hi') },
        {
          headers: { 'openai-beta': 'x=v1', traceparent: '00-1-2-01', 'x-own': 'a, b' },
          query: { a: 'ü&=', b: ['1', '2'] },
        },
      ),
  },
  {
    name: 'chat: the answer as it came',
    replies: [
      json(answered({ content: 'raw' }), 200, { 'x-request-id': 'req_1', 'x-ratelimit-remaining-tokens': '7' }),
    ],
    async run(client) {
      const { data, response, request_id } = await client.chat.completions
        .create({ model: 'echo', messages: user('hi') })
        .withResponse();
      return [data, response.status, request_id];
    },
  },
];
