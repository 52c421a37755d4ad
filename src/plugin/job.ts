import type { IncomingMessage } from 'node:http';
import type { HubApi } from '#src/adapters/hub-api.ts';
import { FederationError } from '#src/core/errors.ts';
import { FRAME, frameJson, frameReader } from '#src/protocol/frames.ts';
import type { Frame } from '#src/protocol/frames.ts';
import { lostResult } from '#src/protocol/hub-api/job.ts';
import type { JobCreate, JobOpened, Result } from '#src/protocol/hub-api/job.ts';

export interface JobView {
  output(target: number, stream: 'stdout' | 'stderr', bytes: Buffer): void;
  /** How one part ended; `left` are still open. */
  ended(result: Result, left: number): void;
}

export interface FinishedJob {
  readonly opened: JobOpened;
  /** One for each target, in their order. */
  readonly results: readonly Result[];
}

/**
 * How long a job that is stopped before it was opened may take to be, so that it can be cancelled at all. A gateway that
 * stops gives its plugins five seconds to end their calls.
 */
const CANCEL_MS = 3000;

/**
 * Runs a job to its end. When `signal` is aborted, the hub is told to end it wherever it runs, nothing more is waited for,
 * and the reason is thrown. Throws what the hub answers; what had no end when the hub went silent is `unknown`.
 */
export async function runJob(hub: HubApi, job: JobCreate, view: JobView, signal: AbortSignal): Promise<FinishedJob> {
  signal.throwIfAborted();
  const leaving = new AbortController();
  const opening = Promise.withResolvers<JobOpened | null>();
  const stop = (): void => void cancel(hub, opening.promise).finally(() => leaving.abort());
  signal.addEventListener('abort', stop, { once: true });
  try {
    const response = await hub.open('POST', '/jobs', job, leaving.signal);
    const finished = await follow(response, opening.resolve, view);
    signal.throwIfAborted();
    return finished;
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', stop);
    opening.resolve(null);
  }
}

const LOST = 'the hub went away before it told the end; it may have run, and may still';

async function cancel(hub: HubApi, opening: Promise<JobOpened | null>): Promise<void> {
  const inTime = AbortSignal.timeout(CANCEL_MS);
  const late = new Promise<null>((resolve) => inTime.addEventListener('abort', () => resolve(null)));
  const opened = await Promise.race([opening, late]);
  // A job that has just ended by itself is not there to be cancelled any more.
  if (opened !== null) await hub.ask('POST', `/jobs/${opened.job}/cancel`, undefined, inTime).catch(() => undefined);
}

async function follow(
  response: IncomingMessage,
  onOpened: (opened: JobOpened) => void,
  view: JobView,
): Promise<FinishedJob> {
  let opened: JobOpened | null = null;
  const results = new Map<number, Result>();

  function onFrame(frame: Frame): void {
    switch (frame.type) {
      case FRAME.open:
        opened = frameJson(frame) as JobOpened;
        onOpened(opened);
        return;
      case FRAME.stdout:
      case FRAME.stderr:
        view.output(frame.target, frame.type === FRAME.stdout ? 'stdout' : 'stderr', frame.payload);
        return;
      case FRAME.exit: {
        const result = frameJson(frame) as Result;
        results.set(frame.target, result);
        view.ended(result, (opened?.targets.length ?? 0) - results.size);
        return;
      }
      default:
    }
  }

  const reader = frameReader(onFrame);
  try {
    for await (const chunk of response) reader.push(chunk as Buffer);
  } catch {
    // What has no result by now is unknown, and said to be.
  }
  // It is set in a function, which the compiler does not follow.
  const known = opened as JobOpened | null;
  if (known === null) throw new FederationError('HUB_UNREACHABLE', 'the hub went away before the job began');
  return { opened: known, results: known.targets.map((target, at) => results.get(at) ?? lostResult(target, LOST)) };
}
