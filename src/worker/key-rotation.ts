import { setTimeout as pause } from 'node:timers/promises';
import type { FileNews } from '#src/adapters/file-news.ts';
import type { Home } from '#src/adapters/home.ts';
import type { Log } from '#src/adapters/log.ts';
import { errorBody, exitCodeOf, FederationError } from '#src/core/errors.ts';
import type { KeyRotationRecord, KeyRotationRequest } from '#src/core/key-rotation.ts';
import { fingerprint } from '#src/core/node.ts';
import type { BackOff } from '#src/link/back-off.ts';
import { retryDelayMs } from '#src/link/back-off.ts';
import type { DialEvent } from '#src/link/dial.ts';
import { keyChangeText } from '#src/protocol/node-key.ts';
import type { Executor } from '#src/worker/exec.ts';
import type { HubSession } from '#src/worker/hub-address.ts';
import { openKeyRotationFiles } from '#src/worker/key-rotation-files.ts';
import type { NodeKeys } from '#src/worker/node-keys.ts';

/** What a change of the key asks of the hub. Throws what it refuses with, and HUB_UNREACHABLE without an answer. */
export interface KeyDesk {
  changeKey(publicKey: string, signature: string): Promise<void>;
}

export interface KeyRotationOptions {
  readonly home: Home;
  readonly keys: NodeKeys;
  readonly executor: Pick<Executor, 'running' | 'endAll' | 'hold'>;
  readonly desk: KeyDesk;
  /** Id of the hub that this node belongs to. */
  readonly hubId: () => string | null;
  readonly session: () => HubSession | null;
  /** Of the file that asks. */
  readonly news: FileNews;
  /** Called when the node has another id. */
  readonly onChanged: () => void;
  readonly log: Log;
  readonly retry?: BackOff;
  readonly signal: AbortSignal;
}

/** Gives this node a new key when a person asks for it, and brings to its end what a crash has cut off. */
export interface KeyRotation {
  event(event: DialEvent): void;
  /** The hub has said that it knows this node by another key. Never rejects. */
  rotated(): Promise<void>;
  /** Resolves after `signal`. */
  readonly done: Promise<void>;
}

const RETRY: BackOff = { minMs: 1000, maxMs: 30_000, patientMs: 30_000 };
const HOLD = 'the node takes a new key';

/**
 * The new key is on the disk before the hub hears of it, and takes the place of the old one when the hub has said that
 * it knows the node by it: by its answer, or by turning the old one away. Until then it is asked again with the same.
 */
export async function startKeyRotation(options: KeyRotationOptions): Promise<KeyRotation> {
  const { home, keys, executor, desk, hubId, session, news, onChanged, log, retry = RETRY, signal } = options;
  const files = openKeyRotationFiles(home);
  let record = await files.record();
  /** `dialling`: nobody knows yet what will come of it. */
  let link: 'dialling' | 'up' | 'down' = 'dialling';
  /** Whether the person agreed to the end of what runs. */
  let mayEnd = false;
  let failures = 0;
  let woken = Promise.withResolvers<void>();
  let retryAfterMs: number | null = null;
  let turn: Promise<unknown> = Promise.resolve();

  const wake = (): void => woken.resolve();
  const isRunning = (): boolean => record?.state === 'running';

  async function write(next: KeyRotationRecord): Promise<void> {
    record = next;
    await files.write(next);
  }

  async function end(problem: FederationError | null): Promise<void> {
    if (record === null || !isRunning()) return;
    const { requests } = record;
    mayEnd = false;
    await write({ ...record, state: problem === null ? 'done' : 'refused', problem: problem && errorBody(problem) });
    for (const id of requests) await files.dropRequest(id);
    if (problem === null) log.info('this node has a new key', { fingerprint: fingerprint(keys.current().id) });
    else log.warn('this node keeps its key', { code: problem.code, problem: problem.message });
  }

  async function take(request: KeyRotationRequest): Promise<void> {
    const { id, endRunning } = request;
    const isKnown = record?.requests.includes(id) === true;
    if (isKnown && !isRunning()) return files.dropRequest(id);
    mayEnd ||= endRunning;
    if (isKnown) return;
    if (record !== null && isRunning()) return write({ ...record, requests: [...record.requests, id] });
    if (link === 'dialling') return;
    // Before anybody looks at what runs: nothing begins meanwhile.
    executor.hold(HOLD);
    const asked = { requests: [id], state: 'running', from: keys.current().id, to: null, problem: null } as const;
    const problem = whyNot(endRunning);
    if (problem !== null) {
      executor.hold(null);
      record = asked;
      return end(problem);
    }
    const next = await keys.makeNext();
    log.info('a new key is wanted for this node', { fingerprint: fingerprint(next.id) });
    await write({ ...asked, to: next.id });
  }

  function whyNot(endRunning: boolean): FederationError | null {
    if (link !== 'up') {
      return new FederationError('HUB_UNREACHABLE', 'this node is not linked to its hub, which has to agree', {
        hint: 'deploy-federation doctor',
      });
    }
    const { running } = executor;
    if (running === 0 || endRunning) return null;
    const what = running === 1 ? 'a command runs here' : `${running} commands run here`;
    return new FederationError('CONFIRMATION_NEEDED', `${what}, and would be ended`, {
      hint: 'wait for the end, or: deploy-federation rotate-key --yes',
    });
  }

  async function askHub(): Promise<void> {
    const [next, asking, hub] = [keys.next(), session(), hubId()];
    if (next === null || asking === null || hub === null || link !== 'up') return;
    executor.hold(HOLD);
    if (executor.running > 0) {
      if (!mayEnd) throw new FederationError('CONFIRMATION_NEEDED', 'what runs here is waited for');
      await executor.endAll('cancelled');
    }
    const { publicKey } = next;
    const text = keyChangeText({ hubId: hub, nodeId: keys.current().id, publicKey, link: asking.link });
    await desk.changeKey(publicKey, next.sign(text));
    await adopt();
  }

  async function adopt(): Promise<void> {
    const before = keys.current().id;
    await keys.adoptNext();
    if (keys.current().id !== before) onChanged();
  }

  async function failed(error: FederationError): Promise<void> {
    executor.hold(null);
    // Only the link tells what became of a change whose credential is good no more.
    if (isFinal(error) && error.code !== 'UNAUTHENTICATED' && error.code !== 'CONFIRMATION_NEEDED') {
      await keys.dropNext();
      return end(error);
    }
    retryAfterMs = retryDelayMs(retry, failures++, Math.random());
    log.warn('the hub has not taken the new key yet', { code: error.code, problem: error.message });
    if (record !== null && isRunning()) await write({ ...record, problem: errorBody(error) });
  }

  async function step(): Promise<void> {
    retryAfterMs = null;
    const request = await files.request();
    if (request !== null) await take(request);
    if (isRunning() && record?.to === keys.current().id) {
      if (link === 'up') await end(null);
    } else if (isRunning() && keys.next() === null) {
      await end(new FederationError('STORE_DAMAGED', 'the new key is gone', { hint: 'deploy-federation rotate-key' }));
    }
    try {
      await askHub();
      failures = 0;
    } catch (error) {
      if (!(error instanceof FederationError)) throw error;
      await failed(error);
    }
  }

  /** Steps and what the link tells, one after the other. A full disk is no reason to stop. */
  function inTurn(work: () => Promise<void>): Promise<void> {
    const mine = turn.then(work).catch((error: unknown) => {
      if (signal.aborted) return;
      executor.hold(null);
      retryAfterMs = retry.maxMs;
      log.error('the key could not be changed', { problem: String(error) });
    });
    turn = mine;
    return mine;
  }

  async function run(): Promise<void> {
    while (!signal.aborted) {
      woken = Promise.withResolvers();
      await inTurn(step);
      const over = new AbortController();
      const any = AbortSignal.any([signal, over.signal]);
      const tick = retryAfterMs === null ? [] : [pause(retryAfterMs, undefined, { signal: any, ref: false })];
      await Promise.race([woken.promise, ...tick.map((one) => one.catch(() => undefined))]);
      over.abort();
    }
  }

  async function listen(): Promise<void> {
    while (!signal.aborted) {
      await news.next(signal);
      wake();
    }
    news.close();
  }

  signal.addEventListener('abort', wake);
  const done = Promise.all([run(), listen()]).then(() => undefined);

  return {
    event(event) {
      if (event.type !== 'connecting') link = event.type === 'welcome' ? 'up' : 'down';
      else if (link === 'up') link = 'dialling';
      // By the old key or by the new one: the link takes commands again.
      if (link === 'up') executor.hold(null);
      if (event.type === 'refused' && event.proven && isFinal(event.error)) void inTurn(() => end(event.error));
      if (event.type === 'waiting') void inTurn(() => end(held(event.held)));
      wake();
    },
    // It may be the very turn that waits for the hub's answer which ended the link.
    rotated: () => adopt().catch((error: unknown) => log.error('the new key is not kept', { problem: String(error) })),
    done,
  };
}

/** Whether the same question gets the same answer. */
function isFinal({ code }: FederationError): boolean {
  return exitCodeOf(code) !== 1;
}

function held(why: string | null): FederationError {
  const message = `the hub lets this node wait: ${why ?? 'it does not know its key'}`;
  return new FederationError('HELD', message, { hint: 'on the master: manage-federation pending' });
}
