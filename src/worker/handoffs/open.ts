import type { EventEmitter } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import type { Log } from '#src/adapters/log.ts';
import type { HandoffStore } from '#src/adapters/store/handoff-store.ts';
import type { JournalFile } from '#src/adapters/store/journal-file.ts';
import type { AgentRunner } from '#src/core/handoff/runner.ts';
import type { Settings } from '#src/core/settings.ts';
import type { Consent } from '#src/worker/consent.ts';
import type { Handoffs } from '#src/worker/handoffs/handoffs.ts';
import { createHandoffs } from '#src/worker/handoffs/handoffs.ts';
import { openMessages } from '#src/worker/handoffs/messages.ts';
import type { AgentDesk } from '#src/worker/handoffs/offer.ts';
import { offerAgents } from '#src/worker/handoffs/offer.ts';
import { createQueue } from '#src/worker/handoffs/queue.ts';
import { restoreHandoffs } from '#src/worker/handoffs/restore.ts';
import type { HandoffServing } from '#src/worker/handoffs/serve.ts';
import { createHandoffServing } from '#src/worker/handoffs/serve.ts';
import type { HubSession } from '#src/worker/hub-address.ts';

export interface NodeHandoffsParts {
  readonly store: HandoffStore;
  readonly messages: JournalFile;
  readonly runner: AgentRunner;
  readonly settings: Settings['handoffs'];
  readonly consent: Consent;
  readonly bootId: string;
  readonly desk: AgentDesk;
  readonly session: () => HubSession | null;
  readonly links: EventEmitter<{ linked: [] }>;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** What this node has to do with handoffs. */
export interface NodeHandoffs extends HandoffServing, Pick<Handoffs, 'endAll' | 'working'> {
  lockDown(on: boolean): void;
  /** Leaves what runs to its gateway; to be called when the signal is aborted. */
  close(): Promise<void>;
}

const PRUNE_MS = 3_600_000;
const DAY_MS = 86_400_000;

/** Starts all of it, with what a daemon before this one had accepted. */
export async function openNodeHandoffs(parts: NodeHandoffsParts): Promise<NodeHandoffs> {
  const { store, runner, settings, consent, bootId, log, signal } = parts;
  const { keepMaxBytes, keepDays, queueMax } = settings;
  const offering = offerAgents({ ...parts, settings: settings.agents, always: settings.foreign.map(({ id }) => id) });
  const { offered } = offering;
  const queue = createQueue({
    concurrency: (agent) => offered().find(({ id }) => id === agent)?.concurrency ?? 1,
    queueMax,
    isOpen: (agent) => runner.isReady(agent),
  });
  const unchanged = offering.onChange(queue.advance);
  const restored = await restoreHandoffs(store, { bootId, keepMaxBytes, log });
  const handoffs = createHandoffs({
    ...{ store, restored, runner, queue, consent, offered, bootId, keepMaxBytes, leave: signal, log },
  });
  const messages = await openMessages({ file: parts.messages, runner, consent, offered });
  const serving = createHandoffServing(handoffs, messages);
  const pruning = prune();

  async function prune(): Promise<void> {
    while (!signal.aborted) {
      await handoffs.prune(keepDays * DAY_MS).catch((error: unknown) => {
        log.warn('old handoffs could not be removed', { problem: String(error) });
      });
      await pause(PRUNE_MS, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  return {
    ...serving,
    endAll: handoffs.endAll,
    working: handoffs.working,
    lockDown(on) {
      handoffs.lockDown(on);
      messages.lockDown(on);
    },
    async close() {
      unchanged();
      await handoffs.close();
      await Promise.all([offering.done, pruning, runner.close()]);
      await messages.close();
    },
  };
}
