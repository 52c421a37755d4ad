import { once } from 'node:events';
import { StringDecoder } from 'node:string_decoder';
import { harmless, say } from '#src/adapters/terminal.ts';
import type { OutputView } from '#src/cli/manage/job.ts';
import type { JobOpened } from '#src/protocol/hub-api/job.ts';

type StreamName = 'stdout' | 'stderr';

/** One node's output as it is: bytes on our stdout and stderr, made harmless only where a terminal would obey it. */
export function plainOutput(raw: boolean): OutputView {
  const writers = { stdout: writerTo(process.stdout, raw), stderr: writerTo(process.stderr, raw) };
  return {
    opened: () => undefined,
    output: (_, stream, bytes) => writers[stream](bytes),
    drained: () => drained([process.stdout, process.stderr]),
    ended: () => undefined,
  };
}

/** Writes bytes as they are, or made harmless where a terminal would obey them; false where it is full. */
export function writerTo(stream: NodeJS.WriteStream, raw: boolean): (bytes: Buffer) => boolean {
  if (raw || !stream.isTTY) return (bytes) => stream.write(bytes);
  const decoder = new StringDecoder('utf8');
  return (bytes) => stream.write(harmless(decoder.write(bytes)));
}

/** Longest line that is waited for: one that never ends must not fill the memory. */
const MAX_LINE = 64 * 1024;

/** Many nodes' output: `node: line`, whole lines only. */
export function linedOutput(): OutputView {
  let names: readonly string[] = [];
  const rests = new Map<string, { decoder: StringDecoder; text: string }>();

  function restOf(target: number, stream: StreamName) {
    const key = `${target} ${stream}`;
    if (!rests.has(key)) rests.set(key, { decoder: new StringDecoder('utf8'), text: '' });
    return rests.get(key)!;
  }

  function print(target: number, stream: StreamName, lines: readonly string[]): boolean {
    if (lines.length === 0) return true;
    const text = lines.map((line) => `${names[target]}: ${harmless(line.replace(/\r$/, ''))}\n`).join('');
    return process[stream].write(text);
  }

  return {
    opened(job) {
      names = job.targets.map(({ node }) => node);
      sayLeftOut(job);
    },
    output(target, stream, bytes) {
      const rest = restOf(target, stream);
      const lines = (rest.text + rest.decoder.write(bytes)).split('\n');
      rest.text = lines.pop() ?? '';
      if (rest.text.length > MAX_LINE) lines.push(rest.text.slice(0, MAX_LINE));
      if (rest.text.length > MAX_LINE) rest.text = rest.text.slice(MAX_LINE);
      return print(target, stream, lines);
    },
    drained: () => drained([process.stdout, process.stderr]),
    ended(target) {
      for (const stream of ['stdout', 'stderr'] as const) {
        const { decoder, text } = restOf(target, stream);
        const last = text + decoder.end();
        if (last !== '') print(target, stream, [last]);
      }
    },
  };
}

function sayLeftOut({ leftOut }: JobOpened): void {
  if (leftOut.length > 0) say(`left out: ${leftOut.map(leftOutText).join(', ')}`);
}

function leftOutText({ node, state, drained }: JobOpened['leftOut'][number]): string {
  return `${node} (${state}${drained ? ', drained' : ''})`;
}

/** Over all nodes; each gets its share, 64 KiB at least. */
const KEPT_BYTES = 64 << 20;
const KEPT_PER_NODE = 64 << 10;

export interface CollectedOutput extends OutputView {
  /** What a node printed, and whether some of it was cut. */
  of(target: number): { readonly stdout: string; readonly stderr: string; readonly truncated: boolean };
}

/** Output kept for `--json`, with a bound: what is over it is cut, and said to be. */
export function collectedOutput(): CollectedOutput {
  let share = KEPT_PER_NODE;
  const kept = new Map<number, Record<StreamName, Buffer[]> & { bytes: number; truncated: boolean }>();

  function keptOf(target: number) {
    if (!kept.has(target)) kept.set(target, { stdout: [], stderr: [], bytes: 0, truncated: false });
    return kept.get(target)!;
  }

  return {
    opened(job) {
      share = Math.max(KEPT_PER_NODE, Math.floor(KEPT_BYTES / job.targets.length));
      sayLeftOut(job);
    },
    output(target, stream, bytes) {
      const mine = keptOf(target);
      const room = share - mine.bytes;
      if (bytes.length > room) mine.truncated = true;
      // A copy: a slice would keep the whole chunk that it came in.
      if (room > 0) mine[stream].push(Buffer.from(bytes.subarray(0, room)));
      mine.bytes += Math.min(room, bytes.length);
      return true;
    },
    drained: async () => undefined,
    ended: () => undefined,
    of(target) {
      const { stdout, stderr, truncated } = keptOf(target);
      const text = (chunks: Buffer[]) => Buffer.concat(chunks).toString('utf8');
      return { stdout: text(stdout), stderr: text(stderr), truncated };
    },
  };
}

async function drained(streams: readonly NodeJS.WriteStream[]): Promise<void> {
  for (const stream of streams) if (stream.writableNeedDrain) await once(stream, 'drain');
}
