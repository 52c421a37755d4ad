import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { LookupFunction } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FederationError } from '#src/core/errors.ts';
import { exitCodeOf } from '#src/core/errors.ts';
import type { NodeFacts } from '#src/core/node.ts';
import type { BackOff } from '#src/link/back-off.ts';
import { BACK_OFF, patientDelayMs, retryDelayMs } from '#src/link/back-off.ts';
import type { Ending } from '#src/link/hold.ts';
import { holdLink } from '#src/link/hold.ts';
import type { KeyPair } from '#src/link/key.ts';
import type { HubAddress } from '#src/core/hub-address.ts';
import type { Welcome } from '#src/protocol/handshake.ts';

export interface DialOptions {
  readonly hub: HubAddress;
  /** Resolves the hub's name, at each attempt; Node's own way where it is not given. */
  readonly lookup?: LookupFunction;
  /** Asked for at each attempt: a node may get another one. */
  key(): KeyPair;
  /** Id of the hub that must be met; null takes the first and reports its id. */
  pin(): string | null;
  facts(): NodeFacts;
  /** Secret of a join token; it is sent to the pinned hub alone. */
  secret(): string | null;
  /**
   * `address` is the hub's IP address. No stream is served before it resolves. What it throws (EPOCH_STALE) drops the
   * link.
   */
  onWelcome(welcome: Welcome, hubId: string, address: string): Promise<void>;
  /** `raw`: names and values by turns, as they came. */
  onStream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, raw: readonly string[]): void;
  onEvent(event: DialEvent): void;
  /** The hub has proved itself, and knows this node by another key now. Where that one is `key` then, it is tried at once. */
  onKeyRotated?(): Promise<void>;
  readonly versions?: readonly number[];
  readonly backOff?: BackOff;
  readonly handshakeMs?: number;
  readonly signal: AbortSignal;
}

export type DialEvent =
  | { readonly type: 'connecting' }
  | { readonly type: 'waiting'; readonly held: string | null; readonly hubId: string }
  | { readonly type: 'welcome'; readonly welcome: Welcome; readonly hubId: string }
  /** `proven`: by the hub itself, and not by whatever else answers at its address. */
  | { readonly type: 'refused'; readonly error: FederationError; readonly proven: boolean }
  | { readonly type: 'lost'; readonly error: FederationError; readonly retryInMs: number };

/** Keeps a link to the hub until the signal is aborted; resolves then. No failure of the hub or the network ends it. */
export async function keepLink(options: DialOptions): Promise<void> {
  const { signal, backOff = BACK_OFF } = options;
  let failures = 0;
  while (!signal.aborted) {
    options.onEvent({ type: 'connecting' });
    const key = options.key();
    const ending = await holdLink(options, key);
    if (signal.aborted) return;
    if (ending.proven && ending.error.code === 'KEY_ROTATED') await options.onKeyRotated?.();
    if (options.key().id !== key.id) {
      failures = 0;
      continue;
    }
    if (ending.reached !== 'nothing') failures = 0;
    const retryInMs = mustBePatient(ending)
      ? patientDelayMs(backOff, Math.random())
      : retryDelayMs(backOff, failures, Math.random());
    failures += 1;
    if (ending.refused) options.onEvent({ type: 'refused', error: ending.error, proven: ending.proven });
    else options.onEvent({ type: 'lost', error: ending.error, retryInMs });
    await sleep(retryInMs, undefined, { signal }).catch(() => undefined);
  }
}

/** Whether only a person can change the answer. A hub that fails or restarts is met again soon. */
function mustBePatient({ error, reached, refused }: Ending): boolean {
  if (reached === 'waiting' && !refused) return true;
  // two daemons with one key would take the link from each other without end
  if (error.code === 'LINK_REPLACED') return true;
  // the next attempt comes without the token
  if (error.code.startsWith('TOKEN_')) return false;
  return refused && exitCodeOf(error.code) !== 1;
}
