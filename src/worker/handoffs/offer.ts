import { once } from 'node:events';
import type { EventEmitter } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import type { Log } from '#src/adapters/log.ts';
import { FederationError } from '#src/core/errors.ts';
import type { OfferedAgent } from '#src/core/handoff/agent.ts';
import type { AgentRunner } from '#src/core/handoff/runner.ts';
import type { AgentOffer } from '#src/protocol/handoffs.ts';
import { MAX_OFFERED_AGENTS } from '#src/protocol/handoffs.ts';
import type { HubSession } from '#src/worker/hub-address.ts';

/** What the hub is asked to take. Throws FederationError. */
export interface AgentDesk {
  offerAgents(offer: AgentOffer): Promise<void>;
}

export interface AgentOfferParts {
  readonly runner: Pick<AgentRunner, 'agents' | 'isReady' | 'onReady'>;
  /** Those of the settings; none: all that the gateway has. */
  readonly settings: readonly OfferedAgent[];
  /** Ids of those that are offered whatever the settings name of the gateway’s. */
  readonly always?: readonly string[];
  readonly desk: AgentDesk;
  readonly session: () => HubSession | null;
  /** `linked` each time that the hub knows this node's credential. */
  readonly links: EventEmitter<{ linked: [] }>;
  readonly log: Log;
  readonly signal: AbortSignal;
}

export interface AgentOffering {
  offered(): readonly OfferedAgent[];
  /** Calls when they are others, until the returned function is called. */
  onChange(listener: () => void): () => void;
  /** Resolves when the signal is aborted and nothing is under way. */
  readonly done: Promise<void>;
}

/** Agents come and go in a gateway's settings without a word. */
const LOOK_MS = 60_000;
const RETRY_MS = 2000;
const SETTLE_MS = 20;

/** Finds out which agents there are, and tells the hub: at each link, and whenever they are others. */
export function offerAgents(parts: AgentOfferParts): AgentOffering {
  const { runner, settings, always = [], desk, session, links, log, signal } = parts;
  const listeners = new Set<() => void>();
  let agents: readonly OfferedAgent[] = [];

  async function look(): Promise<void> {
    if (!runner.isReady()) return;
    const found = await runner.agents();
    const named = settings.filter(({ id }) => !always.includes(id) && found.some((agent) => agent.id === id));
    const fitting = settings.length === 0 ? found : [...named, ...found.filter(({ id }) => always.includes(id))];
    const now = fitting.slice(0, MAX_OFFERED_AGENTS);
    if (JSON.stringify(now) === JSON.stringify(agents)) return;
    agents = now;
    log.info('agents of this node take handoffs', { agents: agents.map(({ id }) => id) });
    const missing = settings.filter(({ id }) => !found.some((agent) => agent.id === id)).map(({ id }) => id);
    if (missing.length > 0) log.warn('the gateway of this node has no such agents', { agents: missing });
    for (const listener of [...listeners]) listener();
  }

  async function run(): Promise<void> {
    let due = Promise.withResolvers<void>();
    const wake = (): void => due.resolve();
    const unready = runner.onReady(wake);
    links.on('linked', wake);
    const stopped = once(signal, 'abort').catch(() => undefined);
    // What the hub took, and in which session: it may have forgotten all with the link.
    let told = '';
    let toldIn: HubSession | null = null;
    let waitMs = 0;
    while (!signal.aborted) {
      const waiting = new AbortController();
      const any = AbortSignal.any([signal, waiting.signal]);
      await Promise.race([
        due.promise,
        stopped,
        pause(waitMs, undefined, { signal: any, ref: false }).catch(() => null),
      ]);
      waiting.abort();
      await pause(SETTLE_MS, undefined, { signal, ref: false }).catch(() => undefined);
      if (signal.aborted) break;
      due = Promise.withResolvers();
      waitMs = LOOK_MS;
      try {
        await look();
        const now = session();
        const telling = JSON.stringify(agents);
        if (now === null || (toldIn === now && told === telling)) continue;
        await desk.offerAgents({ agents: agents.map((agent) => ({ ...agent, tags: [...agent.tags] })) });
        [told, toldIn] = [telling, now];
      } catch (error) {
        if (!isFinal(error)) waitMs = RETRY_MS;
        else {
          [told, toldIn] = [JSON.stringify(agents), session()];
          log.warn('the hub does not take the agents of this node', { problem: String(error) });
        }
      }
    }
    unready();
    links.off('linked', wake);
  }

  return {
    offered: () => agents,
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    done: run(),
  };
}

/** Whether asking again would bring the same: the hub is an older one, or finds a fault in the offer. */
function isFinal(error: unknown): boolean {
  return (
    error instanceof FederationError &&
    !['HUB_UNREACHABLE', 'HUB_STOPPING', 'UNAUTHENTICATED', 'GATEWAY_UNREACHABLE', 'OPENCLAW_REFUSED'].includes(
      error.code,
    )
  );
}
