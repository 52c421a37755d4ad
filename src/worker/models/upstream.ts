import { setTimeout as pause } from 'node:timers/promises';
import type { AskedServer } from '#src/adapters/models/ask-models.ts';
import { errorBody, FederationError } from '#src/core/errors.ts';
import type { OfferedModel } from '#src/core/models/catalog.ts';
import type { ToldModel } from '#src/core/models/offer.ts';
import { offerOf } from '#src/core/models/offer.ts';
import type { SharedUpstream } from '#src/core/models/share.ts';
import type { Upstream } from '#src/worker/models/share.ts';

/** One upstream of models.yaml, for as long as it stands there unchanged. */
export interface KeptUpstream {
  /** Undefined while its key can't be read, or OpenClaw's gateway is not there. */
  current(): Upstream | undefined;
  models(): readonly OfferedModel[];
  /** Why it is not asked, or not all of it is offered. */
  problem(): string | null;
  stop(): void;
  readonly done: Promise<void>;
}

export interface UpstreamParts {
  readonly ask: (server: AskedServer, signal: AbortSignal) => Promise<readonly ToldModel[]>;
  /** Where its requests go and what they prove themselves by, read anew. Throws FederationError. */
  readonly reach: (shared: SharedUpstream) => Promise<AskedServer>;
}

/** First pause after a question that was not answered; each further one is twice as long. */
const RETRY_MS = 5000;
/** A server that restarts is away for one question; one that is away for more offers nothing. */
const FORGET_AFTER = 2;

export function keepUpstream(
  shared: SharedUpstream,
  { ask, reach }: UpstreamParts,
  onChange: (change: 'offer' | 'status') => void,
): KeptUpstream {
  const stopping = new AbortController();
  const { signal } = stopping;
  let current: Upstream | undefined;
  let told: readonly ToldModel[] | null = null;
  let models: readonly OfferedModel[] = [];
  let problem: string | null = null;

  async function look(): Promise<void> {
    // What it was reached by is not used any more where that can't be read: a key that was taken away is not good.
    current = await reach(shared).then(
      (server) => upstreamOf(shared, server),
      (error: unknown) => {
        current = undefined;
        throw error;
      },
    );
    // Whoever names its models may have a server that can't list them.
    if (shared.models === 'ask') told = await ask(current, signal);
  }

  function tell(failure: unknown): void {
    const offer = offerOf(shared, told);
    const offered = current === undefined ? [] : offer.models;
    const changed = JSON.stringify(offered) !== JSON.stringify(models);
    const said = failure === null ? unfitText(offer.unfit) : messageOf(failure);
    const isNews = said !== problem;
    models = offered;
    problem = said;
    if (changed) onChange('offer');
    if (changed || isNews) onChange('status');
  }

  async function keep(): Promise<void> {
    for (let failures = 0; !signal.aborted;) {
      let failure: unknown = null;
      try {
        await look();
        failures = 0;
      } catch (error) {
        failure = error;
        failures += 1;
        if (failures >= FORGET_AFTER) told = null;
      }
      if (signal.aborted) return;
      tell(failure);
      const everyMs = shared.askEverySeconds * 1000;
      const waitMs = failures === 0 ? everyMs : Math.min(everyMs, RETRY_MS * 2 ** (failures - 1));
      await pause(waitMs, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  return {
    current: () => current,
    models: () => models,
    problem: () => problem,
    stop: () => stopping.abort(),
    done: keep(),
  };
}

function upstreamOf(shared: SharedUpstream, { api, baseUrl, headers }: AskedServer): Upstream {
  const { connectSeconds, firstByteSeconds, idleSeconds, totalSeconds } = shared.timeouts;
  return {
    ...{ name: shared.name, api, baseUrl, headers, concurrency: shared.concurrency },
    timeouts: {
      connectMs: connectSeconds * 1000,
      firstByteMs: firstByteSeconds * 1000,
      idleMs: idleSeconds * 1000,
      totalMs: totalSeconds === undefined ? null : totalSeconds * 1000,
    },
  };
}

/** One sentence, and what to do. */
function messageOf(error: unknown): string {
  if (!(error instanceof FederationError)) return 'internal error';
  const { message, hint } = errorBody(error);
  return hint === undefined ? message : `${message}; ${hint}`;
}

function unfitText(names: readonly string[]): string | null {
  if (names.length === 0) return null;
  const some = names.slice(0, 3).map((name) => JSON.stringify(name.slice(0, 80)));
  return `${names.length} of its names can’t be written by clients (${some.join(', ')}); name them in a list, each with as:`;
}
