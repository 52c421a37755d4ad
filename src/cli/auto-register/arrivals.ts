import type { HubApi } from '#src/adapters/hub.ts';
import { createBell } from '#src/cli/auto-register/bell.ts';
import { isAway } from '#src/cli/auto-register/judge.ts';
import type { Arrival, Report, Unfinished } from '#src/cli/auto-register/report.ts';
import { BY_RULES } from '#src/core/approval.ts';
import { FederationError } from '#src/core/errors.ts';
import { fingerprint } from '#src/core/node.ts';
import type { OpenClawNodeView } from '#src/protocol/hub-api/openclaw-node.ts';
import type { Readiness } from '#src/protocol/hub-api/readiness.ts';

/** Nodes that the rules let in, until each is seen to be usable. */
export interface Arrivals {
  add(node: Arrival): void;
  has(fingerprint: string): boolean;
  /** Something is another now of the node with this id. */
  changed(id: string): void;
  /** Looks by this hub until `signal` is aborted, or all is told where that is wanted. Throws what says that the hub is away. */
  run(hub: HubApi, signal: AbortSignal): Promise<void>;
}

export interface ArrivalsOptions {
  readonly report: Pick<Report, 'usable' | 'unfinished'>;
  /** Whether it is enough that each was told to be usable or not. */
  readonly endsWhenTold: boolean;
  /** Time in which a node becomes usable where nothing is wrong. */
  readonly patienceMs?: number;
}

interface Followed {
  readonly node: Arrival;
  readonly since: number;
  lookAt: number;
  /** What was said of it; null where nothing was. */
  told: string | null;
}

const PATIENCE_MS = 30_000;
/** Some steps end with no event of the node, as a request that expires. */
const LOOK_AGAIN_MS = 60_000;

export function createArrivals({ report, endsWhenTold, patienceMs = PATIENCE_MS }: ArrivalsOptions): Arrivals {
  const bell = createBell();
  const followed = new Map<string, Followed>();
  const now = () => performance.now();
  /** Ids of what the rules let in before and the hub could not tell how far it is; null while that is asked. */
  let untold: ReadonlySet<string> | null = new Set();
  let areHalvesDue = false;

  function add(node: Arrival): void {
    const at = now();
    const known = followed.get(node.fingerprint);
    if (known === undefined) followed.set(node.fingerprint, { node, since: at, lookAt: at, told: null });
    else known.lookAt = at;
    bell.ring();
  }

  /** What was let in by halves before this was started. A hub whose gateway is away tells when that is back. */
  async function findHalves(hub: HubApi): Promise<void> {
    areHalvesDue = false;
    untold = null;
    const nodes = await hub.ask<OpenClawNodeView[]>('GET', '/openclaw-nodes');
    const ours = nodes.filter(({ approvedBy }) => approvedBy === BY_RULES);
    untold = new Set(ours.flatMap(({ state, id }) => (state === 'unknown' ? [id] : [])));
    for (const node of ours) if (node.state === 'half-approved') add(node);
  }

  async function look(hub: HubApi, one: Followed): Promise<void> {
    const impatientAt = one.since + patienceMs;
    one.lookAt = now() < impatientAt ? impatientAt : now() + LOOK_AGAIN_MS;
    const missing = await whatIsMissing(hub, one.node);
    if (missing === 'nothing') report.usable(one.node, now() - one.since);
    if (missing === 'nothing' || missing === 'the node') followed.delete(one.node.fingerprint);
    else if (now() >= impatientAt) tell(one, missing);
  }

  function tell(one: Followed, unfinished: Unfinished): void {
    const text = JSON.stringify(unfinished);
    if (text !== one.told) report.unfinished(one.node, unfinished);
    one.told = text;
  }

  return {
    add,
    has: (print) => followed.has(print),
    changed(id) {
      const one = followed.get(fingerprint(id));
      if (one !== undefined) one.lookAt = now();
      else if (untold?.has(id) !== false) areHalvesDue = true;
      else return;
      bell.ring();
    },
    async run(hub, signal) {
      // What happened while nobody listened was missed.
      for (const one of followed.values()) one.lookAt = now();
      areHalvesDue = !endsWhenTold;
      const isOver = () => endsWhenTold && [...followed.values()].every(({ told }) => told !== null);
      while (!signal.aborted && !isOver()) {
        if (areHalvesDue) await findHalves(hub);
        const next = [...followed.values()].find(({ lookAt }) => lookAt <= now());
        if (next !== undefined) await look(hub, next);
        else await bell.heard(Math.min(...[...followed.values()].map(({ lookAt }) => lookAt - now())), signal);
      }
    },
  };
}

/** The first step that is not done; what the hub says instead where it can’t tell. */
async function whatIsMissing(hub: HubApi, node: Arrival): Promise<Unfinished | 'nothing' | 'the node'> {
  try {
    const { usable, steps } = await hub.ask<Readiness>('GET', `/nodes/${node.fingerprint}/readiness`);
    const step = steps.find(({ done }) => !done);
    if (usable || step === undefined) return 'nothing';
    return { step: step.step, waitsFor: step.waitsFor ?? step.step, run: step.run };
  } catch (error) {
    if (!(error instanceof FederationError) || isAway(error)) throw error;
    if (error.code === 'NODE_NOT_FOUND') return 'the node';
    return { step: null, waitsFor: error.message, run: error.hint ?? null };
  }
}
