import { readdirSync, readFileSync } from 'node:fs';
import { percentile } from '../figure.ts';
import type { Connection, Took, Way } from './client.ts';
import { connectTo } from './client.ts';

const ASK = '{"model":"echo","messages":[{"role":"user","content":"hello there"}]}';
const streamOf = (count: number, everyMs: number): string =>
  `{"model":"echo","stream":true,"messages":[{"role":"user","content":"[[chunks ${count} ${everyMs}]]"}]}`;
/** A picture of 4 MiB. */
const LARGE = `{"model":"echo","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,${'iVBORw0K'.repeat(512 * 1024)}"}}]}]}`;

const middle = percentile(0.5);

export type Kind = 'whole' | 'first-byte' | 'large';

const BODY = { whole: ASK, 'first-byte': streamOf(2, 0), large: LARGE } as const;

/** A busy machine gets fewer rounds in, but some. */
const LEAST_ROUNDS = 5;

/**
 * Milliseconds of one request by each of the ways, the median of the rounds that this time has room for. In a round each
 * way is asked once, one behind the other, so that what disturbs one disturbs all.
 */
export async function timesOf(ways: readonly Way[], kind: Kind, withinMs: number): Promise<number[]> {
  return connected(ways, async (connections) => {
    const times: number[][] = ways.map(() => []);
    const of = (took: Took): number => (kind === 'first-byte' ? took.firstByteMs : took.totalMs);
    const until = performance.now() + withinMs;
    for (let round = 0; round < LEAST_ROUNDS || performance.now() < until; round++) {
      for (const [at, connection] of connections.entries()) times[at]!.push(of(await connection.ask(BODY[kind])));
    }
    return times.map(middle);
  });
}

/** Of each connection, where it is processor time that counts. */
const REQUESTS_EACH = 40;

/** Requests a second by so many connections at once. */
export function rateOf(way: Way, connections: number, milliseconds: number): Promise<number> {
  return connected(
    Array.from({ length: connections }, () => way),
    async (opened) => {
      let count = 0;
      const startedAt = performance.now();
      await Promise.all(
        opened.map(async (connection) => {
          for (; performance.now() - startedAt < milliseconds; count++) await connection.ask(ASK);
        }),
      );
      return count / ((performance.now() - startedAt) / 1000);
    },
  );
}

/** Processor time of these processes for each request of so many connections: it is steadier than time where others work. */
export function processorOf(way: Way, pids: readonly number[], connections: number): Promise<number> {
  return connected(
    Array.from({ length: connections }, () => way),
    async (opened) => {
      const used = (): number => pids.reduce((sum, pid) => sum + processorMs(pid), 0);
      const before = used();
      await Promise.all(
        opened.map(async (connection) => {
          for (let count = 0; count < REQUESTS_EACH; count++) await connection.ask(ASK);
        }),
      );
      return (1000 * (used() - before)) / (REQUESTS_EACH * connections);
    },
  );
}

export interface Streamed {
  /** From the server's hand into the client's, the median of all pieces. */
  readonly chunkMs: number;
  /** Processor time of the process for each piece. */
  readonly chunkCpuMicroseconds: number;
}

/** Streams at once, each with a piece every so many milliseconds. `pid`: whose processor time is told. */
export function streamsBy(
  way: Way,
  { streams, chunks, everyMs }: { readonly streams: number; readonly chunks: number; readonly everyMs: number },
  pid: number,
): Promise<Streamed> {
  return connected(
    Array.from({ length: streams }, () => way),
    async (opened) => {
      const delays: number[] = [];
      const note = (part: Buffer): void => {
        const now = process.hrtime.bigint();
        for (const [, left] of part.toString('latin1').matchAll(/"left":"(\d+)"/g)) {
          delays.push(Number(now - BigInt(left!)) / 1e6);
        }
      };
      const before = processorMs(pid);
      await Promise.all(opened.map((connection) => connection.ask(streamOf(chunks, everyMs), note)));
      const used = processorMs(pid) - before;
      if (delays.length < streams * chunks * 0.9) throw new Error(`${delays.length} pieces came`);
      return { chunkMs: middle(delays), chunkCpuMicroseconds: (1000 * used) / delays.length };
    },
  );
}

async function connected<T>(ways: readonly Way[], work: (connections: Connection[]) => Promise<T>): Promise<T> {
  const opened = await Promise.all(ways.map(connectTo));
  try {
    return await work(opened);
  } finally {
    for (const connection of opened) connection.close();
  }
}

/** Of all threads; exact, unlike the ticks of /proc/PID/stat. */
function processorMs(pid: number): number {
  const tasks = readdirSync(`/proc/${pid}/task`);
  const used = tasks.map((task) => Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]));
  return used.reduce((sum, nanoseconds) => sum + nanoseconds, 0) / 1e6;
}
