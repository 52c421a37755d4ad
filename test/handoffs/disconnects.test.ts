import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ReadableStream, TextDecoderStream } from 'node:stream/web';
import { setTimeout as pause } from 'node:timers/promises';
import { EventSourceParserStream } from 'eventsource-parser/stream';
import { expect, it } from 'vitest';
import type { HandoffEvent } from '#src/core/handoff/event.ts';
import type { HandoffView } from '#src/protocol/handoffs.ts';
import { until } from '../e2e/until.ts';
import type { ScriptedRun } from '../support/agent-gateway.ts';
import { agentGateway } from '../support/agent-gateway.ts';
import { randomNumbers } from '../support/random.ts';
import type { Daemons } from './daemons.ts';
import { NODE, startDaemons } from './daemons.ts';

const DISCONNECTS = 100;
const SEED = 20_261_121;
/** Share of those that cut the caller off, and of those that end the hub; the others cut the link of the node. */
const [CALLER, HUB] = [0.6, 0.12];
const PACE_MS = 4;
const TEST_MS = 420_000;

/** What a caller read, to the byte: whole events, and of each the text behind `data:`. */
interface Caller {
  readonly lines: readonly string[];
  /** Times that it came with `after`. */
  readonly returns: number;
  readonly isOver: boolean;
  cut(): void;
}

function follow({ api }: Daemons, id: string): Caller & { readonly done: Promise<void> } {
  const lines: string[] = [];
  let connection = new AbortController();
  let returns = -1;
  let isOver = false;

  async function once(): Promise<void> {
    const { signal } = connection;
    const response = await api.open('GET', `/handoffs/${id}/events?after=${lines.length}`, undefined, signal);
    response.on('error', () => undefined);
    returns += 1;
    const messages = ReadableStream.from(response as AsyncIterable<Buffer>)
      .pipeThrough(new TextDecoderStream())
      .pipeThrough(new EventSourceParserStream());
    for await (const { id: seq, event, data } of messages) {
      if (event === 'standing') continue;
      // No other than the next one, after whatever it was that cut it off.
      if (seq !== String(lines.length + 1)) throw new Error(`${seq} came after ${lines.length}`);
      lines.push(data);
      isOver = (JSON.parse(data) as HandoffEvent).type === 'ended';
    }
  }

  async function run(): Promise<void> {
    while (!isOver) {
      await once().catch(async (error: unknown) => {
        if (error instanceof Error && / came after /.test(error.message)) throw error;
        await pause(20);
      });
      connection = new AbortController();
    }
  }

  return {
    lines,
    get returns() {
      return returns;
    },
    get isOver() {
      return isOver;
    },
    cut: () => connection.abort(),
    done: run(),
  };
}

it(
  'a transcript is the same to the byte, without a gap, after a hundred disconnects of caller, hub and node',
  async () => {
    const over = new AbortController();
    let whole = '';
    await using gateway = await agentGateway(async (run: ScriptedRun) => {
      for (let at = 0; !over.signal.aborted; at++) {
        const word = at % 50 === 49 ? `“${at}” 🦞\n` : `${at} `;
        whole += word;
        run.say(word);
        if (at % 500 === 499) run.tool('exec', { at }, `result ${at}`);
        await pause(PACE_MS, undefined, { signal: over.signal }).catch(() => undefined);
      }
      return 'that was all';
    });
    await using daemons = await startDaemons(gateway);
    const { hub, cable, api } = daemons;
    const { id } = await api.ask<HandoffView>('POST', '/handoffs', { key: 'long', target: NODE, task: 'count' });
    const caller = follow(daemons, id);
    caller.done.catch(() => over.abort());
    const random = randomNumbers(SEED);
    const counts = { caller: 0, hub: 0, link: 0 };

    /** Something came that was not there before: whatever was cut is whole again. */
    const more = async (than: number): Promise<void> =>
      void (await until(`more than ${than} events`, () => over.signal.aborted || caller.lines.length > than, 60_000));

    for (let at = 0; at < DISCONNECTS && !over.signal.aborted; at++) {
      await more(caller.lines.length + Math.floor(random() * 3));
      const kind = random();
      if (kind < CALLER) {
        counts.caller += 1;
        caller.cut();
      } else if (kind < CALLER + HUB) {
        counts.hub += 1;
        hub.kill();
      } else {
        counts.link += 1;
        cable.cut();
        await pause(random() * 50);
        cable.mend();
      }
    }
    await more(caller.lines.length);
    over.abort();
    await caller.done;

    expect(counts.caller + counts.hub + counts.link).toBe(DISCONNECTS);
    expect(hub.deaths).toBe(counts.hub);
    expect(caller.returns).toBeGreaterThanOrEqual(counts.caller);
    const events = caller.lines.map((line) => JSON.parse(line) as HandoffEvent);
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_event, at) => at + 1));
    expect(events.map((event) => (event.type === 'text' ? event.text : '')).join('')).toBe(whole);
    expect(events.at(-1)).toMatchObject({ type: 'ended', outcome: 'completed', text: 'that was all' });
    expect(gateway.asked).toHaveLength(1);

    // The same at the node, in the hub's mirror, which has the end in its store, and for whoever asks later.
    const told = `${caller.lines.join('\n')}\n`;
    const atNode = await readFile(join(daemons.workerHome, 'handoffs', `${id}-1`, 'events.ndjson'), 'utf8');
    expect(atNode).toBe(told);
    const mirror = await readFile(join(daemons.hubHome, 'handoffs', `${id}.ndjson`), 'utf8');
    expect(mirror).toBe(`${caller.lines.slice(0, -1).join('\n')}\n`);
    const later = follow(daemons, id);
    await later.done;
    expect(later.lines).toEqual(caller.lines);
  },
  TEST_MS,
);
