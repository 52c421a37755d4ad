import { EventEmitter } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openMirrorFiles } from '#src/adapters/store/mirror-files.ts';
import { openSqliteStore } from '#src/adapters/store/sqlite.ts';
import { FederationError } from '#src/core/errors.ts';
import type { HandoffDeed, HandoffEvent } from '#src/core/handoff/event.ts';
import { isOver } from '#src/core/handoff/state.ts';
import { resolveSettings } from '#src/core/settings.ts';
import { NO_PERMIT } from '#src/hub/approvals/permits.ts';
import type { Fleet } from '#src/hub/fleet/fleet.ts';
import type { HandoffWish } from '#src/hub/handoffs/desk.ts';
import type { Handoffs } from '#src/hub/handoffs/handoffs.ts';
import { createAskerKeys } from '#src/hub/handoffs/asker-keys.ts';
import { openHandoffs } from '#src/hub/handoffs/handoffs.ts';
import type { Said } from '#src/hub/handoffs/said.ts';
import type { WorkerCalls } from '#src/hub/handoffs/worker-calls.ts';
import type { Link } from '#src/link/accept.ts';
import type { HandoffOrder, HandoffStanding } from '#src/protocol/handoffs.ts';
import { eventually } from '../../support/eventually.ts';
import { aMember, SILENT_LOG } from '../../support/member.ts';
import { randomNumbers } from '../../support/random.ts';

/** What a worker keeps over all that happens to its link: it is what the guarantees are held against. */
interface Run {
  readonly order: HandoffOrder;
  readonly events: HandoffEvent[];
}

class Node {
  readonly id: string;
  readonly runs = new Map<string, Run>();
  readonly wake = new EventEmitter();
  /** How often an agent began, by handoff. */
  readonly begun = new Map<string, number>();
  link: Link | null = null;
  refuses = false;
  /** Of the next answers, whether they get lost behind what they answer. */
  losesAnswers = false;
  readonly name: string;

  constructor(name: string) {
    this.name = name;
    this.id = Buffer.from(name).toString('hex').padEnd(64, '0');
    this.wake.setMaxListeners(0);
  }

  say(run: Run, deed: HandoffDeed): void {
    run.events.push({ seq: run.events.length + 1, ...deed });
    this.wake.emit('said');
  }

  step(random: () => number): void {
    for (const [id, run] of this.runs) {
      if (isEnded(run) || random() < 0.5) continue;
      if (run.events.length === 0) {
        this.begun.set(id, (this.begun.get(id) ?? 0) + 1);
        this.say(run, { type: 'started', attempt: run.order.attempt, agent: run.order.agent });
      } else if (random() < 0.6) this.say(run, { type: 'text', text: `${this.name} ${run.events.length}` });
      else this.end(run, 'completed');
    }
  }

  end(run: Run, outcome: 'completed' | 'cancelled'): void {
    this.say(run, { type: 'ended', outcome, text: outcome, problem: null, usage: null });
  }
}

const isEnded = ({ events }: Run): boolean => events.at(-1)?.type === 'ended';
const lost = (): FederationError => new FederationError('LINK_LOST', 'the link was lost');

function standing({ order, events }: Run): HandoffStanding {
  const state = events.length === 0 ? 'waiting' : 'started';
  return { id: order.id, attempt: order.attempt, state, position: null, seq: events.length };
}

/** The nodes, and what a hub sees of them. */
function world(names: readonly string[]) {
  const nodes = names.map((name) => new Node(name));
  const members = new Map(nodes.map(({ id, name }) => [id, aMember({ id, name })]));
  let generation = 0;
  let changes: Fleet['changes'] = new EventEmitter();

  const at = (link: Link): Node => {
    const node = nodes.find((one) => one.link === link);
    if (node === undefined) throw lost();
    return node;
  };
  async function answered<T>(link: Link, work: (node: Node) => T): Promise<T> {
    await new Promise((resolve) => setImmediate(resolve));
    const node = at(link);
    const result = work(node);
    if (node.losesAnswers) throw lost();
    return result;
  }

  const calls: WorkerCalls = {
    order: (link, order) =>
      answered(link, (node) => {
        const known = node.runs.get(order.id);
        if (known !== undefined) return standing(known);
        if (node.refuses) throw new FederationError('QUEUE_FULL', 'no room');
        const run: Run = { order, events: [] };
        node.runs.set(order.id, run);
        return standing(run);
      }),
    cancel: (link, id) =>
      answered(link, (node) => {
        const run = node.runs.get(id);
        if (run === undefined) throw new FederationError('HANDOFF_NOT_FOUND', 'no such handoff');
        if (!isEnded(run)) node.end(run, 'cancelled');
        return standing(run);
      }),
    async *events(link, id, after, signal): AsyncGenerator<readonly Said[]> {
      let seq = after;
      const run = at(link).runs.get(id);
      if (run === undefined) throw new FederationError('HANDOFF_NOT_FOUND', 'no such handoff');
      const { wake } = at(link);
      while (!signal.aborted && nodes.some((node) => node.link === link)) {
        const said = run.events.slice(seq);
        if (said.length > 0) yield said;
        seq += said.length;
        if (isEnded(run) && seq === run.events.length) return;
        if (said.length > 0) continue;
        const { promise, resolve } = Promise.withResolvers<void>();
        const on = (): void => resolve();
        wake.once('said', on);
        signal.addEventListener('abort', on, { once: true });
        await promise;
        wake.off('said', on);
        signal.removeEventListener('abort', on);
      }
    },
    artefact: () => Promise.reject(lost()),
    deliver: () => Promise.reject(lost()),
  };

  function up(node: Node, handoffs: Handoffs | null): void {
    generation += 1;
    node.link = { nodeId: node.id, generation } as Link;
    changes.emit('up', node.link);
    handoffs?.offered.put(node.id, generation, [{ id: 'main', description: '', tags: [], concurrency: 2 }]);
  }
  function down(node: Node): void {
    const { link } = node;
    if (link === null) return;
    node.link = null;
    node.wake.emit('said');
    changes.emit('down', link);
  }

  return {
    ...{ nodes, members, calls, up, down },
    fleet: () => {
      changes = new EventEmitter();
      changes.setMaxListeners(0);
      const link = (id: string) => nodes.find((node) => node.id === id)?.link ?? undefined;
      return { link, changes } as unknown as Fleet;
    },
  };
}

const operator = { kind: 'operator', name: 'ann' } as const;

test.each(Array.from({ length: 12 }, (_, seed) => [seed]))(
  'whatever happens in whatever order, it is begun once at most, and no end is lost (seed %i)',
  async (seed) => {
    const random = randomNumbers(seed + 1);
    const pick = <T>(all: readonly T[]): T => all[Math.floor(random() * all.length)]!;
    const folder = await mkdtemp(join(tmpdir(), 'handoffs-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const resolved = resolveSettings({ flags: {}, environment: {}, file: {}, parseValue: (text) => text });
    if (!resolved.ok) throw new Error(resolved.problems.join());
    const { nodes, members, calls, fleet, up, down } = world(['w1', 'w2', 'w3']);

    async function openHub() {
      const stopping = new AbortController();
      const store = openSqliteStore(join(folder, 'hub.sqlite'));
      const handoffs = await openHandoffs({
        ...{ settings: resolved.ok ? resolved.settings : never(), store, fleet: fleet(), calls },
        files: await openMirrorFiles(join(folder, 'handoffs')),
        members: () => members,
        onMember: () => undefined,
        permits: { permit: () => NO_PERMIT, verdicts: () => Promise.reject(new Error('not asked')) },
        denied: () => null,
        keys: createAskerKeys([]),
        ...{ log: SILENT_LOG, signal: stopping.signal, lostMs: 60_000 },
      });
      return {
        ...{ handoffs, desk: handoffs.desk },
        async close() {
          stopping.abort();
          for (const node of nodes) down(node);
          await handoffs.close();
          await store.close();
        },
      };
    }

    let hub = await openHub();
    const asked = new Map<string, { readonly wish: HandoffWish; readonly id: string }>();
    const cancelled = new Set<string>();
    /** The longest that anybody saw of each. */
    const seen = new Map<string, readonly string[]>();

    async function look(id: string, withinMs: number): Promise<void> {
      const gone = new AbortController();
      setTimeout(() => gone.abort(), withinMs).unref();
      const events: string[] = [];
      for await (const one of await hub.desk.follow(id, 0, operator, gone.signal)) {
        if (one.kind === 'event') events.push(JSON.stringify(one.event));
      }
      const before = seen.get(id) ?? [];
      const common = Math.min(before.length, events.length);
      expect(events.slice(0, common)).toEqual(before.slice(0, common));
      if (events.length > before.length) seen.set(id, events);
    }

    async function create(): Promise<void> {
      const key = `k${Math.floor(random() * 12)}`;
      const wish: HandoffWish = {
        ...{ key, target: random() < 0.6 ? 'main' : pick(nodes).name, task: key, context: '', files: [] },
        ...{ deadline: null, idleTimeoutMs: 60_000, queueTimeoutMs: 600_000, rerunnable: false },
        cancelOnDisconnect: false,
      };
      const known = asked.get(key);
      const again = known === undefined ? wish : known.wish;
      const made = await hub.desk.create(again, operator).catch((error: unknown) => {
        // Nobody offers it now.
        if (error instanceof FederationError && error.code === 'AGENT_NOT_FOUND') return null;
        throw error;
      });
      if (made === null) return;
      expect(made.isNew).toBe(known === undefined);
      expect(made.view.id).toBe(known?.id ?? made.view.id);
      asked.set(key, { wish: again, id: made.view.id });
    }

    for (const node of nodes) up(node, hub.handoffs);
    for (let at = 0; at < 60; at += 1) {
      const dice = random();
      const node = pick(nodes);
      const ids = [...asked.values()].map(({ id }) => id);
      if (dice < 0.25) await create();
      else if (dice < 0.6) for (const one of nodes) one.step(random);
      else if (dice < 0.68) down(node);
      else if (dice < 0.8 && node.link === null) up(node, hub.handoffs);
      else if (dice < 0.84) node.refuses = !node.refuses;
      else if (dice < 0.88) node.losesAnswers = !node.losesAnswers;
      else if (dice < 0.92 && ids.length > 0) {
        const id = pick(ids);
        cancelled.add(id);
        await hub.desk.cancel(id, operator);
      } else if (dice < 0.97 && ids.length > 0) await look(pick(ids), 5);
      else if (dice >= 0.97) {
        await hub.close();
        hub = await openHub();
        for (const one of nodes) if (random() < 0.7) up(one, hub.handoffs);
      }
      await new Promise((resolve) => setTimeout(resolve, random() * 4));
    }

    // All is well again: everything comes to its end.
    for (const node of nodes) {
      Object.assign(node, { refuses: false, losesAnswers: false });
      if (node.link === null) up(node, hub.handoffs);
    }
    for (const { id } of asked.values()) {
      await eventually(`${id} is over`, async () => {
        for (const node of nodes) node.step(random);
        return isOver((await hub.desk.get(id, operator)).state);
      });
    }
    for (const { id } of asked.values()) {
      const view = await hub.desk.get(id, operator);
      const begun = nodes.reduce((sum, node) => sum + (node.begun.get(id) ?? 0), 0);
      expect(begun).toBeLessThanOrEqual(1);
      expect(view.state).toBe(cancelled.has(id) && view.state !== 'completed' ? 'cancelled' : 'completed');
      const run = nodes.flatMap((node) => node.runs.get(id) ?? []).find(({ events }) => events.length > 0);
      await look(id, 10_000);
      const whole = (seen.get(id) ?? []).map((line) => JSON.parse(line) as HandoffEvent);
      // Byte for byte what its node said; of one that no node had, the hub’s one word.
      const { problem } = view;
      const ownWord = { seq: 1, type: 'ended', outcome: 'cancelled', text: '', problem, usage: null };
      expect(whole).toEqual(run?.events ?? [ownWord]);
    }
    await hub.close();
  },
);

function never(): never {
  throw new Error('the settings are there');
}
