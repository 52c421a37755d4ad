import { createHash } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { followHandoff } from '#src/adapters/handoffs/follow.ts';
import { handIn } from '#src/adapters/handoffs/hand-in.ts';
import type { HandoffEvent } from '#src/core/handoff/event.ts';
import type { HandoffView } from '#src/protocol/handoffs.ts';
import type { AgentGateway, ScriptedRun } from '../support/agent-gateway.ts';
import { agentGateway } from '../support/agent-gateway.ts';
import type { Daemons } from './daemons.ts';
import { NODE, startDaemons } from './daemons.ts';

/** Who asks for the same at once. */
const CALLERS = 100;
const WORDS = Array.from({ length: 40 }, (_, at) => `word ${at} `);
const ANSWER = WORDS.join('').trim();

/** On the way to the worker's disk and back; crash.ts finds them. */
const ON_DISK = [
  'before anything is written',
  'before the record has its name',
  'behind the record’s rename',
  'before `starting`',
  'before the last event',
  'behind the last event, which nobody has heard',
  'before the end is marked',
  'behind the mark of the end',
] as const;
/** On the way to its gateway and back. */
const AT_GATEWAY = [
  'before it is accepted',
  'behind the acceptance',
  'in the middle, and comes back behind the end',
  'in the middle, and comes back before the end',
  'behind the last word',
] as const;

let gateway: AgentGateway;
let daemons: Daemons;

const isAt = ({ message }: ScriptedRun, place: string): boolean => message.split('\n')[0] === place;

async function work(run: ScriptedRun): Promise<string> {
  if (isAt(run, 'behind the acceptance')) daemons.worker.kill();
  for (const [at, word] of WORDS.entries()) {
    if (at === 20 && isAt(run, 'in the middle, and comes back behind the end')) daemons.worker.kill();
    if (at === 20 && isAt(run, 'in the middle, and comes back before the end')) {
      daemons.worker.kill();
      await gateway.connected();
    }
    run.say(word);
    await pause(10);
  }
  if (isAt(run, 'behind the last word')) daemons.worker.kill();
  return ANSWER;
}

beforeAll(async () => {
  gateway = await agentGateway(work);
  gateway.beforeAccept = (run) => {
    if (isAt(run, 'before it is accepted')) daemons.worker.kill();
  };
  daemons = await startDaemons(gateway);
});
afterAll(async () => {
  await daemons?.[Symbol.asyncDispose]();
  await gateway?.[Symbol.asyncDispose]();
});

interface Seen {
  readonly id: string;
  readonly isNew: boolean;
  readonly events: readonly HandoffEvent[];
  readonly view: HandoffView;
}

async function caller(task: string): Promise<Seen> {
  const order = { key: createHash('sha256').update(task).digest('hex'), target: NODE, task };
  const options = { signal: AbortSignal.timeout(100_000), patienceMs: Infinity, onAway: () => undefined };
  const { view, isNew } = await handIn<HandoffView>(daemons.api, '/handoffs', order, options);
  const events: HandoffEvent[] = [];
  for await (const news of followHandoff(daemons.api, view.id, { ...options, after: 0 })) {
    if (news.kind === 'event') events.push(news.event);
    if (news.kind === 'over') return { id: view.id, isNew, events, view: news.view };
  }
  throw new Error('it never ended');
}

/** What one of a hundred saw, after all saw the same. */
async function askedByAll(task: string): Promise<Seen> {
  await daemons.untilOffered();
  const { deaths } = daemons.worker;
  const all = await Promise.all(Array.from({ length: CALLERS }, () => caller(task)));
  const [first] = all;
  expect(new Set(all.map(({ id }) => id)).size).toBe(1);
  expect(all.filter(({ isNew }) => isNew)).toHaveLength(1);
  for (const { events, view } of all) {
    expect(events).toEqual(first!.events);
    expect({ ...view, seq: 0 }).toEqual({ ...first!.view, seq: 0 });
  }
  expect(first!.events.map(({ seq }) => seq)).toEqual(first!.events.map((_event, at) => at + 1));
  expect(daemons.worker.deaths).toBe(deaths + 1);
  return first!;
}

const askedFor = (task: string) => gateway.asked.filter((run) => isAt(run, task));

function expectWhole({ view, events }: Seen, task: string): void {
  expect(view).toMatchObject({ state: 'completed', text: ANSWER, attempt: 1 });
  expect(events[0]).toMatchObject({ type: 'started' });
  expect(events.filter(({ type }) => type === 'started' || type === 'ended')).toHaveLength(2);
  expect(events.at(-1)).toMatchObject({ type: 'ended', outcome: 'completed', text: ANSWER });
  // What was said while nobody listened is in the answer alone; nothing is said twice.
  const said = events.flatMap((event) => (event.type === 'text' ? event.text.split(/(?<= )(?=w)/) : []));
  expect(said).toEqual(WORDS.filter((word) => said.includes(word)));
  expect(askedFor(task)).toHaveLength(1);
}

it.each(ON_DISK)('is done once for a hundred who ask at once, where its node dies %s', async (task) => {
  await daemons.crashAt(task);
  expectWhole(await askedByAll(task), task);
});

it.each(AT_GATEWAY)(
  'is done once for a hundred who ask at once, where its node dies at the gateway %s',
  async (task) => {
    expectWhole(await askedByAll(task), task);
  },
);

it('is not done, and called lost, where its node dies when nobody can tell whether it was asked for', async () => {
  const task = 'behind `starting`';
  await daemons.crashAt(task);
  const { view, events } = await askedByAll(task);
  expect(view.state).toBe('lost');
  expect(events.at(-1)).toMatchObject({ type: 'ended', outcome: 'lost' });
  expect(askedFor(task)).toHaveLength(0);
});
