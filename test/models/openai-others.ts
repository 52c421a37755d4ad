import type OpenAI from 'openai';
import { toFile } from 'openai';
import type { SdkCall } from './sdk.ts';
import { all } from './sdk.ts';
import { events, json, noise, pinned, reply } from './wire-replies.ts';

const HERE = { headers: pinned };

const FILE = {
  id: 'file-1',
  object: 'file',
  bytes: 3,
  created_at: 1,
  filename: 'a.jsonl',
  purpose: 'batch',
  status: 'processed',
};
const BATCH = { id: 'batch_1', object: 'batch', endpoint: '/v1/embeddings', status: 'validating', created_at: 1 };
const IMAGE = { created: 1, data: [{ b64_json: noise.subarray(0, 3000).toString('base64'), revised_prompt: 'a cat' }] };
const sound = (name = 'a.wav') => toFile(noise.subarray(0, 5000), name, { type: 'audio/wav' });
const picture = () => toFile(noise.subarray(0, 5000), 'ä "b".png', { type: 'image/png' });
const EMBEDDING = { object: 'list', model: 'echo', usage: { prompt_tokens: 1, total_tokens: 1 } };

/** Every other endpoint; what names no model goes to the node that a header names. */
export const OTHERS: readonly SdkCall<OpenAI>[] = [
  { name: 'completion: plain', run: (client) => client.completions.create({ model: 'echo', prompt: 'once upon' }) },
  {
    name: 'completion: of several prompts, with all that it may have',
    run: (client) =>
      client.completions.create({
        ...{ model: 'echo', prompt: ['a', 'b'], suffix: 'end', echo: true, logprobs: 2, best_of: 2, n: 1 },
        ...{ max_tokens: 4, stop: '\n' },
      }),
  },
  {
    name: 'completion: a stream',
    run: (client) => all(client.completions.create({ model: 'echo', prompt: '[[words 20]]', stream: true })),
  },
  {
    name: 'embedding: as numbers',
    run: (client) => client.embeddings.create({ model: 'echo', input: 'a', encoding_format: 'float' }),
  },
  {
    name: 'embedding: as the SDK asks for it by itself',
    replies: [json({ ...EMBEDDING, data: [{ object: 'embedding', index: 0, embedding: 'AACAPgAAAL8AAIA/' }] })],
    run: (client) => client.embeddings.create({ model: 'echo', input: 'a' }),
  },
  {
    name: 'embedding: of many',
    replies: [
      json({
        ...EMBEDDING,
        data: Array.from({ length: 50 }, (_, index) => ({ object: 'embedding', index, embedding: [index / 7, -1e-9] })),
      }),
    ],
    run: (client) =>
      client.embeddings.create({
        ...{ model: 'echo', encoding_format: 'float', dimensions: 2, user: 'u' },
        input: Array.from({ length: 50 }, (_, at) => [at, 1]),
      }),
  },
  {
    name: 'moderation',
    replies: [
      json({ id: 'modr-1', model: 'echo', results: [{ flagged: false, categories: {}, category_scores: {} }] }),
    ],
    run: (client) => client.moderations.create({ model: 'echo', input: [{ type: 'text', text: 'hi' }] }),
  },
  {
    name: 'file: is sent',
    replies: [json(FILE)],
    run: async (client) =>
      client.files.create({ file: await toFile(Buffer.from('{}\n'), 'a.jsonl'), purpose: 'batch' }, HERE),
  },
  {
    name: 'files: page by page',
    replies: [
      json({ object: 'list', data: [FILE], first_id: 'file-1', last_id: 'file-1', has_more: true }),
      json({
        object: 'list',
        data: [{ ...FILE, id: 'file-2' }],
        first_id: 'file-2',
        last_id: 'file-2',
        has_more: false,
      }),
    ],
    run: (client) => all(client.files.list({ purpose: 'batch', limit: 1 }, HERE)),
  },
  { name: 'file: is looked at', replies: [json(FILE)], run: (client) => client.files.retrieve('file-1', HERE) },
  {
    name: 'file: its bytes',
    replies: [reply(200, { 'content-type': 'application/octet-stream' }, noise)],
    run: async (client) =>
      Buffer.from(await (await client.files.content('file-1', HERE)).arrayBuffer()).toString('hex'),
  },
  {
    name: 'file: is removed',
    replies: [json({ id: 'file-1', object: 'file', deleted: true })],
    run: (client) => client.files.delete('file-1', HERE),
  },
  {
    name: 'speech: its bytes',
    replies: [reply(200, { 'content-type': 'audio/mpeg', 'transfer-encoding': 'chunked' }, noise)],
    run: async (client) => {
      const spoken = await client.audio.speech.create({ model: 'echo', voice: 'alloy', input: 'hi' }, HERE);
      return Buffer.from(await spoken.arrayBuffer()).toString('hex');
    },
  },
  {
    name: 'transcription: as JSON',
    replies: [json({ text: 'hello', usage: { type: 'duration', seconds: 1 } })],
    run: async (client) =>
      client.audio.transcriptions.create(
        { model: 'echo', file: await sound(), language: 'en', timestamp_granularities: ['word', 'segment'] },
        HERE,
      ),
  },
  {
    name: 'transcription: as text',
    replies: [reply(200, { 'content-type': 'text/plain; charset=utf-8' }, 'hello\nthere')],
    run: async (client) =>
      client.audio.transcriptions.create({ model: 'echo', file: await sound(), response_format: 'srt' }, HERE),
  },
  {
    name: 'transcription: a stream',
    replies: [
      events([
        'data: {"type":"transcript.text.delta","delta":"hel"}\n\n',
        'data: {"type":"transcript.text.delta","delta":"lo"}\n\n',
        'data: {"type":"transcript.text.done","text":"hello"}\n\n',
        'data: [DONE]\n\n',
      ]),
    ],
    run: async (client) =>
      all(client.audio.transcriptions.create({ model: 'echo', file: await sound(), stream: true }, HERE)),
  },
  {
    name: 'image: is made',
    replies: [json(IMAGE)],
    run: (client) => client.images.generate({ model: 'echo', prompt: 'a cat', size: '1024x1024', n: 1 }, HERE),
  },
  {
    name: 'image: is made as a stream',
    replies: [
      events([
        'event: image_generation.partial_image\ndata: {"type":"image_generation.partial_image","b64_json":"aGk="}\n\n',
        'event: image_generation.completed\ndata: {"type":"image_generation.completed","b64_json":"aGk="}\n\n',
      ]),
    ],
    run: (client) =>
      all(client.images.generate({ model: 'echo', prompt: 'a cat', stream: true, partial_images: 1 }, HERE)),
  },
  {
    name: 'image: is changed',
    replies: [json(IMAGE)],
    run: async (client) =>
      client.images.edit({ model: 'echo', image: [await picture(), await picture()], prompt: 'as a dog' }, HERE),
  },
  {
    name: 'rerank, of which the SDK knows nothing',
    replies: [json({ results: [{ index: 1, relevance_score: 0.5 }] })],
    run: (client) => client.post('/rerank', { body: { model: 'echo', query: 'a', documents: ['b', 'c'] } }),
  },
  {
    name: 'batch: is made',
    replies: [json(BATCH)],
    run: (client) =>
      client.batches.create({ input_file_id: 'file-1', endpoint: '/v1/embeddings', completion_window: '24h' }, HERE),
  },
  {
    name: 'batch: is cancelled',
    replies: [json({ ...BATCH, status: 'cancelling' })],
    run: (client) => client.batches.cancel('batch_1', HERE),
  },
  {
    name: 'stored chat: is changed',
    replies: [json({ id: 'chatcmpl-1', object: 'chat.completion', metadata: { a: 'b' } })],
    run: (client) => client.chat.completions.update('chatcmpl-1', { metadata: { a: 'b' } }, HERE),
  },
  {
    name: 'stored chats: a list',
    replies: [json({ object: 'list', data: [{ id: 'chatcmpl-1' }], has_more: false })],
    run: (client) => all(client.chat.completions.list({ metadata: { a: 'b' }, order: 'desc' }, HERE)),
  },
];
