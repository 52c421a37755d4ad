import type { IncomingMessage } from 'node:http';
import { say } from '#src/adapters/terminal.ts';
import type { HubApi } from '#src/adapters/hub.ts';
import { followInterrupts } from '#src/cli/interrupt.ts';
import { resultText, summaryText } from '#src/core/result-text.ts';
import { FederationError } from '#src/core/errors.ts';
import { summarize } from '#src/core/outcome.ts';
import { FRAME, frameJson, frameReader } from '#src/protocol/frames.ts';
import type { Frame } from '#src/protocol/frames.ts';
import { lostResult } from '#src/protocol/hub-api/job.ts';
import type { JobCreate, JobEnded, JobOpened, Result } from '#src/protocol/hub-api/job.ts';

/** Where a job's output goes on this side. */
export interface OutputView {
  opened(job: JobOpened): void;
  /** Returns false when it can take no more for now; then `drained` resolves. */
  output(target: number, stream: 'stdout' | 'stderr', bytes: Buffer): boolean;
  drained(): Promise<void>;
  ended(target: number, result: Result): void;
}

export interface FinishedJob {
  readonly opened: JobOpened;
  readonly results: readonly Result[];
  /** Whether the person ended it from here. */
  readonly interrupted: boolean;
}

const HUB_GONE = 'the hub went away';
/** How long a hub that broke off may take to say why. */
const WHY_MS = 5000;

/** Runs a job and shows it as it goes. What had no end when the hub went silent is `unknown`. */
export async function runJob(hub: HubApi, job: JobCreate, view: OutputView): Promise<FinishedJob> {
  const leaving = new AbortController();
  const over = new AbortController();
  const response = await hub.open('POST', '/jobs', job, leaving.signal);
  let opened: JobOpened | null = null;
  let summary: JobEnded | null = null;
  const results: Result[] = [];
  const interrupts = followInterrupts({
    first: () => void cancel(hub, opened, results),
    second: () => leaving.abort(),
  });

  function onFrame(frame: Frame): void {
    switch (frame.type) {
      case FRAME.open:
        opened = frameJson(frame) as JobOpened;
        view.opened(opened);
        // Asked for before there was anything to cancel.
        if (interrupts.count > 0) void cancel(hub, opened, results);
        if (job.stdin === true) sendStdin(hub, opened.job, AbortSignal.any([leaving.signal, over.signal]));
        return;
      case FRAME.stdout:
      case FRAME.stderr:
        if (!view.output(frame.target, frame.type === FRAME.stdout ? 'stdout' : 'stderr', frame.payload)) {
          response.pause();
          void view.drained().then(() => response.resume());
        }
        return;
      case FRAME.exit:
        results[frame.target] = frameJson(frame) as Result;
        view.ended(frame.target, results[frame.target]!);
        return;
      case FRAME.summary:
        summary = frameJson(frame) as JobEnded;
        return;
      default:
    }
  }

  try {
    const whole = await readFrames(response, onFrame);
    if (opened === null) throw new FederationError('HUB_UNREACHABLE', 'the hub went away before the job began');
    const isWhole = whole && summary !== null;
    const why = isWhole || interrupts.count > 1 ? HUB_GONE : await whyCut(hub);
    const all = withoutEnd(opened, results, view, why);
    if (!isWhole) say(leftText(all, interrupts.count > 1, why));
    return { opened, results: all, interrupted: interrupts.count > 0 };
  } finally {
    interrupts.stop();
    // Input that the command did not wait for: its sending would keep this process for as long as the hub keeps it.
    over.abort();
    process.stdin.destroy();
  }
}

async function readFrames(response: IncomingMessage, onFrame: (frame: Frame) => void): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const reader = frameReader(onFrame);
  response.on('data', (chunk: Buffer) => {
    try {
      reader.push(chunk);
    } catch {
      response.destroy();
    }
  });
  response.on('end', () => resolve(reader.atBoundary && response.complete));
  response.on('error', () => resolve(false));
  response.on('close', () => resolve(false));
  return promise;
}

async function cancel(hub: HubApi, opened: JobOpened | null, results: readonly Result[]): Promise<void> {
  if (opened === null) return;
  const open = opened.targets.filter((_, target) => results[target] === undefined);
  say(`\nending it on ${open.map(({ node }) => node).join(', ')} … (Ctrl-C again leaves at once)`);
  // A job that has just ended by itself is not there to be cancelled any more; its stream says how it went.
  await hub.ask('POST', `/jobs/${opened.job}/cancel`).catch(() => undefined);
}

function sendStdin(hub: HubApi, job: string, signal: AbortSignal): void {
  hub.send(`/jobs/${job}/stdin`, process.stdin, signal).catch((error: unknown) => {
    // The command may end without reading all of its input; its own exit is what counts then.
    if (error instanceof FederationError && error.code !== 'HUB_UNREACHABLE') say(`input: ${error.message}`);
  });
}

/** Why a job's stream broke off. A hub that put this operator out is there, and says so to who asks again. */
async function whyCut(hub: HubApi): Promise<string> {
  try {
    await hub.ask('GET', '/status', undefined, AbortSignal.timeout(WHY_MS));
  } catch (error) {
    if (error instanceof FederationError && error.code === 'REVOKED') return 'this operator was revoked';
  }
  return HUB_GONE;
}

function withoutEnd(opened: JobOpened, results: readonly Result[], view: OutputView, why: string): Result[] {
  return opened.targets.map((target, at) => {
    const known = results[at];
    if (known !== undefined) return known;
    const result = lostResult(target, `${why} before the hub told the end; it may have run`);
    view.ended(at, result);
    return result;
  });
}

function leftText(results: readonly Result[], byPerson: boolean, why: string): string {
  const open = results.filter(({ outcome }) => outcome === 'unknown').map(({ node }) => node);
  if (open.length === 0) return `${why} before the hub confirmed the job’s end`;
  return byPerson ? `may still run on ${open.join(', ')}` : `${why}; may still run on ${open.join(', ')}`;
}

/** The words at the end: how many of each outcome, then each node that was not `ok`. */
export function sayResults(results: readonly Result[]): void {
  say(summaryText(summarize(results)));
  for (const result of results) if (result.outcome !== 'ok') say(`  ${result.node}: ${resultText(result)}`);
}
