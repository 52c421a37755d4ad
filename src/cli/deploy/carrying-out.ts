import { reportError, say } from '#src/adapters/terminal.ts';
import { contextOf } from '#src/cli/deploy/action-context.ts';
import type { Deployment } from '#src/cli/deploy/tools.ts';
import type { StepState } from '#src/cli/deploy/report.ts';
import { deploymentReport } from '#src/cli/deploy/report.ts';
import { resultLines } from '#src/cli/deploy/result.ts';
import type { Inquired } from '#src/cli/deploy/inquiry.ts';
import { look } from '#src/cli/deploy/inquiry.ts';
import type { OwnHub } from '#src/cli/deploy/own-hub.ts';
import { printJson } from '#src/cli/print.ts';
import { showProgress, STOPPING } from '#src/cli/deploy/progress.ts';
import { resumeText } from '#src/cli/deploy/resume-text.ts';
import { errorBody, exitCodeOf, FederationError } from '#src/core/errors.ts';
import type { Plan } from '#src/deploy/action.ts';
import { changes } from '#src/deploy/plan/already.ts';
import type { Context } from '#src/deploy/actions/context.ts';

export interface Agreed extends Inquired {
  readonly hub: OwnHub | null;
}

/** Applies the plan before the person's eyes, and says what came of it. Returns the exit code. */
export async function carryOut(plan: Plan, { facts, wanted, hub }: Agreed, deployment: Deployment): Promise<number> {
  const { token, flags, tools } = deployment;
  const states = new Map<string, StepState>();
  const progress = showProgress(
    plan.steps.filter(({ actions }) => actions.length > 0),
    flags.json === true,
  );
  const onAbort = (): void => progress.line(STOPPING);
  deployment.signal.addEventListener('abort', onAbort, { once: true });
  const mint: Context['mint'] = (asked) => hub?.mint(asked) ?? Promise.reject(new Error('no hub here makes a token'));
  try {
    await tools.apply(plan, contextOf(deployment, facts, { joinToken: token, mint, progress: progress.line }), {
      wanted,
      onStep(id, how) {
        if (how !== 'begun') states.set(id, how);
        progress.step(id, how);
      },
    });
    await progress.close();
  } catch (error) {
    await progress.close();
    return stoppedAt(error, plan, states, deployment);
  } finally {
    deployment.signal.removeEventListener('abort', onAbort);
  }
  // It is done: a Ctrl-C from here on only keeps it from being told.
  const found = await look({ ...deployment, signal: AbortSignal.timeout(LOOK_MS) }, wanted.runAs);
  if (flags.json === true) printJson(deploymentReport(deployment, plan, { states, facts: found, wanted }));
  else for (const line of resultLines(found, wanted)) say(line);
  return 0;
}

const LOOK_MS = 60_000;

/** Says what was done, what was not, and how to go on. A failure is thrown on, or becomes a part of the JSON. */
function stoppedAt(error: unknown, plan: Plan, states: ReadonlyMap<string, StepState>, deployment: Deployment): number {
  const { flags, signal } = deployment;
  if (!(error instanceof FederationError)) throw error;
  const isBegun = plan.steps.some((step) => changes(step) && states.has(step.id));
  const explained = isBegun ? withWayOn(error, deployment) : error;
  const body = errorBody(explained);
  if (flags.json === true) {
    printJson({ ...deploymentReport(deployment, plan, { states }), error: body });
    return signal.aborted ? INTERRUPTED : exitCodeOf(body.code);
  }
  // On a terminal the list of all steps stands above.
  if (!process.stderr.isTTY) sayHowFar(plan, states);
  if (!signal.aborted) throw explained;
  reportError(explained);
  return INTERRUPTED;
}

function withWayOn(error: FederationError, { role, flags, master, signal }: Deployment): FederationError {
  const resume = resumeText(role, flags, master);
  const first = error.hint ?? 'mend that';
  const hint = signal.aborted ? `to go on: ${resume}` : `${first}; then: ${resume}`;
  return new FederationError(error.code, error.message, { hint, cause: error });
}

function sayHowFar({ steps }: Plan, states: ReadonlyMap<string, StepState>): void {
  const titles = (state: StepState | undefined): string[] =>
    steps.filter(({ id, actions }) => actions.length > 0 && states.get(id) === state).map(({ title }) => title);
  for (const title of titles('done')) say(`done: ${title}`);
  for (const title of [...titles('failed'), ...titles(undefined)]) say(`not done: ${title}`);
}

const INTERRUPTED = 130;
