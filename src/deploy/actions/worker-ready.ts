import { setTimeout as pause } from 'node:timers/promises';
import { FederationError } from '#src/core/errors.ts';
import type { ActionOf, UnitName } from '#src/deploy/action.ts';
import type { Context } from '#src/deploy/actions/context.ts';
import { filesAs } from '#src/deploy/actions/context.ts';
import type { ActionKind } from '#src/deploy/actions/kind.ts';
import type { WorkerStanding } from '#src/deploy/worker-standing.ts';
import { runningWorker } from '#src/deploy/worker-standing.ts';
import { journalCommand } from '#src/deploy/actions/systemctl.ts';
import { keepsFailing, notStarted } from '#src/deploy/actions/unit-failure.ts';

const LIGHT_MS = 60_000;
const NODE_HOST_MS = 240_000;
const ASK_MS = 250;
/** What it says meanwhile, at most this often. */
const SAY_MS = 5000;
/** A refused token makes it ask for approval at once: only what lasts is how it stands. */
const SETTLED_MS = 3000;

export const workerReady: ActionKind<'worker-ready'> = {
  key: () => null,
  isCheck: true,
  describe: ({ nodeHost, approval }) =>
    approval === 'needed'
      ? 'wait until the worker asks the hub to be let in'
      : `wait until the worker is a member${nodeHost ? ' and its node host connected' : ''}`,
  before: () => Promise.resolve(null),
  apply: waitForWorker,
  undo: () => Promise.resolve(),
};

async function waitForWorker(action: ActionOf<'worker-ready'>, context: Context): Promise<void> {
  const { signal, progress } = context;
  const withinMs = action.nodeHost ? NODE_HOST_MS : LIGHT_MS;
  const unit: UnitName = { name: 'openclaw-worker.service', scope: context.place.scope };
  const startedAt = performance.now();
  let standing: WorkerStanding | null = null;
  let link: WorkerStanding['link'] | undefined;
  let since = startedAt;
  let saidAt = startedAt;
  while (performance.now() - startedAt < withinMs) {
    const found = await readStanding(context);
    if (found?.link !== link) since = performance.now();
    link = found?.link;
    standing = found;
    if (standing !== null && isSettled(standing, action, context, performance.now() - since)) return;
    if (performance.now() - saidAt > SAY_MS) {
      saidAt = performance.now();
      if (standing === null && (await keepsFailing(context, unit))) throw await notStarted(context, unit, SILENT);
      progress(textOf(standing, action));
    }
    await pause(ASK_MS, undefined, { signal });
  }
  throw new FederationError('START_FAILED', `${textOf(standing, action)}, after ${Math.round(withinMs / 1000)} s`, {
    hint: standing?.problem?.hint ?? `${journalCommand(context, unit)}, and: deploy-federation doctor`,
  });
}

/** Whether that is what is waited for. Throws where it never will be. */
function isSettled(
  { link, held, problem, fingerprint, nodeHost }: WorkerStanding,
  { nodeHost: hasNodeHost, approval }: ActionOf<'worker-ready'>,
  { progress }: Context,
  forMs: number,
): boolean {
  if (link === 'member') return !hasNodeHost || nodeHost === 'connected';
  const approve = `on the master: manage-federation approve ${fingerprint}`;
  if (link === 'waiting' && approval === 'needed') {
    progress(`it waits for approval${held === null ? '' : ` (${held})`}; ${approve}`);
    return true;
  }
  if (forMs < SETTLED_MS) return false;
  if (link === 'refused' && problem !== null) {
    throw new FederationError(problem.code, problem.message, problem.hint === undefined ? {} : { hint: problem.hint });
  }
  if (link === 'waiting') {
    const why = held === null ? 'the join token did not let it in' : held;
    throw new FederationError('HELD', `the worker waits for approval: ${why}`, { hint: approve });
  }
  return false;
}

const SILENT = 'the worker has not said how it stands';

function textOf(standing: WorkerStanding | null, { nodeHost }: ActionOf<'worker-ready'>): string {
  if (standing === null) return SILENT;
  const { link, hub, problem, nodeHostProblem } = standing;
  if (link === 'member' && nodeHost) return `its node host is not connected${because(nodeHostProblem)}`;
  return `its link to ${hub}: ${link}${because(problem?.message ?? null)}`;
}

function because(problem: string | null): string {
  return problem === null ? '' : ` (${problem})`;
}

/** Null where no worker daemon runs. */
async function readStanding(context: Context): Promise<WorkerStanding | null> {
  const { machine, place, signal } = context;
  return runningWorker(machine, await filesAs(context, 'person'), place.workerHome, signal);
}
