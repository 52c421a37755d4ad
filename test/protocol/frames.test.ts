import { expect, test } from 'vitest';
import { FederationError } from '#src/core/errors.ts';
import type { Frame, FrameType } from '#src/protocol/frames.ts';
import {
  FRAME,
  FRAME_HEADER_BYTES,
  MAX_FRAME_BYTES,
  encodeFrame,
  encodeJsonFrame,
  frameHeader,
  frameJson,
  frameReader,
} from '#src/protocol/frames.ts';
import { randomNumbers } from '../support/random.ts';

const PIECEWISE: ReadonlySet<number> = new Set([FRAME.stdout, FRAME.stderr, FRAME.stdin]);

interface Read {
  readonly frames: Frame[];
  readonly atBoundary: boolean;
}

function read(chunks: readonly Buffer[]): Read {
  const frames: Frame[] = [];
  const reader = frameReader((frame) => frames.push({ ...frame, payload: Buffer.from(frame.payload) }));
  for (const chunk of chunks) reader.push(chunk);
  return { frames, atBoundary: reader.atBoundary };
}

/** Code of the error that reading ends with. */
function faultOf(chunks: readonly Buffer[]): string | null {
  try {
    read(chunks);
    return null;
  } catch (error) {
    return error instanceof FederationError ? error.code : `a bug: ${String(error)}`;
  }
}

/** Output of one target in pieces is the same as in one piece. */
function joined(frames: readonly Frame[]): string[] {
  const texts: { key: string; piecewise: boolean; text: string }[] = [];
  for (const { type, target, payload } of frames) {
    const key = `${type}/${target}`;
    const last = texts.at(-1);
    const text = payload.toString('latin1');
    if (PIECEWISE.has(type) && last?.key === key) last.text += text;
    else texts.push({ key, piecewise: PIECEWISE.has(type), text });
  }
  return texts.filter(({ piecewise, text }) => !piecewise || text !== '').map(({ key, text }) => `${key} ${text}`);
}

const SAMPLE = Buffer.concat([
  encodeJsonFrame(FRAME.open, 0, { id: 'x' }),
  encodeJsonFrame(FRAME.started, 0, { pid: 1 }),
  encodeFrame(FRAME.stdout, 0, Buffer.from('out\n\x00\xff')),
  encodeFrame(FRAME.stderr, 65_535, Buffer.from('err')),
  encodeFrame(FRAME.stdout, 1, Buffer.alloc(0)),
  encodeFrame(FRAME.stdin, 0, Buffer.from('in')),
  encodeFrame(FRAME.stdinEnd, 0, Buffer.alloc(0)),
  encodeFrame(FRAME.cancel, 0, Buffer.alloc(0)),
  encodeJsonFrame(FRAME.exit, 0, { kind: 'ended' }),
  encodeJsonFrame(FRAME.summary, 0, {}),
]);

test('a frame is what its grammar says', () => {
  expect([...encodeFrame(FRAME.stderr, 0x0102, Buffer.from('hi'))]).toEqual([4, 0, 1, 2, 0, 0, 0, 2, 0x68, 0x69]);
  expect(frameHeader(FRAME.stdout, 0, MAX_FRAME_BYTES)).toHaveLength(FRAME_HEADER_BYTES);
});

test('the numbers of the types never change', () => {
  expect(FRAME).toEqual({
    open: 1,
    started: 2,
    stdout: 3,
    stderr: 4,
    exit: 5,
    summary: 6,
    stdin: 7,
    stdinEnd: 8,
    cancel: 9,
    go: 10,
  });
});

test('what is written is what is read', () => {
  const { frames, atBoundary } = read([SAMPLE]);
  expect(atBoundary).toBe(true);
  expect(Buffer.concat(frames.map(({ type, target, payload }) => encodeFrame(type, target, payload)))).toEqual(SAMPLE);
});

test('where the bytes are split makes no difference, at any one place', () => {
  const whole = joined(read([SAMPLE]).frames);
  for (let at = 0; at <= SAMPLE.length; at += 1) {
    const { frames, atBoundary } = read([SAMPLE.subarray(0, at), SAMPLE.subarray(at)]);
    expect(atBoundary).toBe(true);
    expect(joined(frames)).toEqual(whole);
  }
});

test('bytes that come one by one make no difference', () => {
  const bytes = [...SAMPLE].map((byte) => Buffer.of(byte));
  expect(joined(read(bytes).frames)).toEqual(joined(read([SAMPLE]).frames));
});

test('bytes that come in random pieces make no difference', () => {
  const next = randomNumbers(20_261_120);
  const whole = joined(read([SAMPLE]).frames);
  for (let round = 0; round < 300; round += 1) {
    const chunks: Buffer[] = [];
    for (let at = 0; at < SAMPLE.length;) {
      const size = Math.floor(next() * 12);
      chunks.push(SAMPLE.subarray(at, at + size));
      at += size;
    }
    expect(joined(read(chunks).frames)).toEqual(whole);
  }
});

test('a stream that is cut at any byte hands on nothing but what was whole, and knows that it was cut', () => {
  const ends = boundaries(SAMPLE);
  const jsonTypes = new Set<FrameType>([FRAME.open, FRAME.started, FRAME.exit, FRAME.summary]);
  const whole = read([SAMPLE]).frames.filter(({ type }) => jsonTypes.has(type));
  for (let at = 0; at <= SAMPLE.length; at += 1) {
    const { frames, atBoundary } = read([SAMPLE.subarray(0, at)]);
    expect(atBoundary).toBe(ends.has(at));
    const records = frames.filter(({ type }) => jsonTypes.has(type));
    expect(records).toEqual(whole.slice(0, records.length));
  }
});

test('output is handed on as it comes and not kept until its frame is whole', () => {
  const frame = encodeFrame(FRAME.stdout, 3, Buffer.from('abcdef'));
  const { frames, atBoundary } = read([frame.subarray(0, FRAME_HEADER_BYTES + 2)]);
  expect(frames).toEqual([{ type: FRAME.stdout, target: 3, payload: Buffer.from('ab') }]);
  expect(atBoundary).toBe(false);
});

test('every type that is unknown is a fault, however its header comes', () => {
  const known: ReadonlySet<number> = new Set(Object.values(FRAME));
  for (let type = 0; type <= 255; type += 1) {
    const header = Buffer.from([type, 0, 0, 0, 0, 0, 0, 0]);
    for (const chunks of [[header], [header.subarray(0, 3), header.subarray(3)]]) {
      expect([type, faultOf(chunks)]).toEqual([type, known.has(type) ? null : 'LINK_LOST']);
    }
  }
});

test('a second byte that is not zero is a fault', () => {
  expect(() => read([Buffer.from([FRAME.stdout, 1, 0, 0, 0, 0, 0, 0])])).toThrow('malformed frame');
});

test('the longest frame passes and a longer one is a fault before its payload comes', () => {
  const longest = encodeFrame(FRAME.exit, 0, Buffer.alloc(MAX_FRAME_BYTES));
  expect(read([longest]).frames[0]?.payload).toHaveLength(MAX_FRAME_BYTES);
  for (const length of [MAX_FRAME_BYTES + 1, 0xffff_ffff]) {
    expect(() => read([frameHeader(FRAME.stdout, 0, length)])).toThrow('a frame is too long');
  }
});

test('random bytes are a fault or frames, and never anything else', () => {
  const next = randomNumbers(7);
  let faults = 0;
  for (let round = 0; round < 500; round += 1) {
    const bytes = Buffer.from(Array.from({ length: 64 }, () => Math.floor(next() * 256)));
    // a known type at the front, so that the length is reached
    bytes[0] = 1 + Math.floor(next() * 9);
    bytes[1] = 0;
    const fault = faultOf([bytes]);
    expect(['LINK_LOST', null]).toContain(fault);
    if (fault !== null) faults += 1;
  }
  expect(faults).toBeGreaterThan(400);
});

test('JSON that is none is a fault of the link', () => {
  const frame: Frame = { type: FRAME.exit, target: 0, payload: Buffer.from('{"kind":') };
  expect(() => frameJson(frame)).toThrow(expect.objectContaining({ code: 'LINK_LOST' }));
});

function boundaries(stream: Buffer): Set<number> {
  const ends = new Set([0]);
  for (let at = 0; at < stream.length;) {
    at += FRAME_HEADER_BYTES + stream.readUInt32BE(at + 4);
    ends.add(at);
  }
  return ends;
}
