import { writeFile } from 'node:fs/promises';

/** A llama with two layers and weights by chance: it says nothing that means anything, and the same each time. */
const WIDTH = 64;
const LAYERS = 2;
const HEADS = 4;
const FORWARD = 128;
const CONTEXT = 2048;

const [STRING, UINT32, INT32, FLOAT32, ARRAY] = [8, 4, 5, 6, 9] as const;
const ALIGNMENT = 32;

interface Token {
  readonly text: string;
  readonly score: number;
  /** As GGUF counts them: 1 normal, 2 unknown, 3 control, 6 byte. */
  readonly type: number;
}

/** Writes it as GGUF, version 3: what llama.cpp reads. */
export async function writeTinyModel(path: string): Promise<void> {
  const tokens = vocabulary();
  const tensors = tensorsFor(tokens.length);
  const facts = metadata(tokens);
  let offset = 0;
  const heads = tensors.map(([name, shape]) => {
    const head = [text(name), uint32(shape.length), ...shape.map(uint64), uint32(0), uint64(offset)];
    offset += padded(4 * sizeOf(shape));
    return Buffer.concat(head);
  });
  const head = Buffer.concat([
    ...[Buffer.from('GGUF'), uint32(3), uint64(tensors.length), uint64(facts.length)],
    ...facts,
    ...heads,
  ]);
  const chance = generator(1);
  const weights = tensors.map(([name, shape]) => fill(sizeOf(shape), name.includes('norm') ? () => 1 : chance));
  await writeFile(path, Buffer.concat([pad(head), ...weights.map(pad)]));
}

function vocabulary(): readonly Token[] {
  const letters = Array.from('abcdefghijklmnopqrstuvwxyz');
  const bytes = Array.from({ length: 256 }, (_, at) => at.toString(16).toUpperCase().padStart(2, '0'));
  return [
    { text: '<unk>', score: 0, type: 2 },
    { text: '<s>', score: 0, type: 3 },
    { text: '</s>', score: 0, type: 3 },
    ...bytes.map((byte) => ({ text: `<0x${byte}>`, score: 0, type: 6 })),
    ...['▁', ...letters, ...letters.map((letter) => `▁${letter}`)].map((word) => ({ text: word, score: -1, type: 1 })),
  ];
}

type Tensor = readonly [name: string, shape: readonly number[]];

function tensorsFor(words: number): readonly Tensor[] {
  const layers = Array.from({ length: LAYERS }, (_, at): readonly Tensor[] => {
    const named = (name: string): string => `blk.${at}.${name}.weight`;
    return [
      [named('attn_norm'), [WIDTH]],
      ...['attn_q', 'attn_k', 'attn_v', 'attn_output'].map((name): Tensor => [named(name), [WIDTH, WIDTH]]),
      [named('ffn_norm'), [WIDTH]],
      [named('ffn_gate'), [WIDTH, FORWARD]],
      [named('ffn_up'), [WIDTH, FORWARD]],
      [named('ffn_down'), [FORWARD, WIDTH]],
    ];
  });
  return [
    ['token_embd.weight', [WIDTH, words]],
    ['output_norm.weight', [WIDTH]],
    ['output.weight', [WIDTH, words]],
    ...layers.flat(),
  ];
}

function metadata(tokens: readonly Token[]): readonly Buffer[] {
  const word = (key: string, value: string) => Buffer.concat([text(key), uint32(STRING), text(value)]);
  const count = (key: string, value: number) => Buffer.concat([text(key), uint32(UINT32), uint32(value)]);
  const real = (key: string, value: number) => Buffer.concat([text(key), uint32(FLOAT32), float32(value)]);
  const list = (key: string, type: number, values: readonly Buffer[]) =>
    Buffer.concat([text(key), uint32(ARRAY), uint32(type), uint64(values.length), ...values]);
  return [
    word('general.architecture', 'llama'),
    word('general.name', 'tiny'),
    count('general.file_type', 0),
    count('llama.context_length', CONTEXT),
    count('llama.embedding_length', WIDTH),
    count('llama.block_count', LAYERS),
    count('llama.feed_forward_length', FORWARD),
    count('llama.attention.head_count', HEADS),
    count('llama.attention.head_count_kv', HEADS),
    real('llama.attention.layer_norm_rms_epsilon', 1e-5),
    count('llama.rope.dimension_count', WIDTH / HEADS),
    count('llama.vocab_size', tokens.length),
    word('tokenizer.ggml.model', 'llama'),
    list(
      'tokenizer.ggml.tokens',
      STRING,
      tokens.map((token) => text(token.text)),
    ),
    list(
      'tokenizer.ggml.scores',
      FLOAT32,
      tokens.map(({ score }) => float32(score)),
    ),
    list(
      'tokenizer.ggml.token_type',
      INT32,
      tokens.map(({ type }) => uint32(type)),
    ),
    count('tokenizer.ggml.bos_token_id', 1),
    count('tokenizer.ggml.eos_token_id', 2),
    count('tokenizer.ggml.unknown_token_id', 0),
  ];
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((size, side) => size * side, 1);
}

/** The same numbers each time, from -0.1 to 0.1. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    return (state / 0x7fff_ffff - 0.5) * 0.2;
  };
}

function fill(size: number, value: () => number): Buffer {
  return Buffer.from(Float32Array.from({ length: size }, value).buffer);
}

function padded(size: number): number {
  return Math.ceil(size / ALIGNMENT) * ALIGNMENT;
}

function pad(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(padded(bytes.length) - bytes.length)]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function uint64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

function float32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return bytes;
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([uint64(bytes.length), bytes]);
}
