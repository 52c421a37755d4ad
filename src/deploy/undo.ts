import { FederationError } from '#src/core/errors.ts';
import type { Action } from '#src/deploy/action.ts';
import type { Context } from '#src/deploy/actions/context.ts';
import { filesAs, keeperOf } from '#src/deploy/actions/context.ts';
import { kindOf } from '#src/deploy/actions/kinds.ts';
import { isOursBy, RECORD_KEY } from '#src/deploy/apply.ts';
import type { Place } from '#src/deploy/place.ts';
import type { DeploymentRecord, RecordEntry } from '#src/deploy/record/record.ts';
import { writeRecord } from '#src/deploy/record/file.ts';

export interface Keeping {
  /** Leaves the homes of hub and worker, and what of the record takes them away another time. */
  readonly keepData: boolean;
  /** Leaves Tailscale: what reaches the machine through it would be cut off in the middle. */
  readonly keepTailscale: boolean;
}

export interface Undoing extends Keeping {
  /** With the id of the step whose changes are taken back. */
  readonly onStep: (id: string, how: 'begun' | 'done' | 'failed') => void;
}

/**
 * Takes back all that a record says, the last first, and removes the record when nothing of it is left. What can't be
 * taken back does not keep the rest from it: it stays in the record, and STEP_FAILED names it at the end.
 */
export async function undoDeployment(
  record: DeploymentRecord,
  context: Context,
  { onStep, ...keeping }: Undoing,
): Promise<void> {
  const failures: string[] = [];
  let entries = record.entries;
  await remember(context, { ...record, state: 'removing' });
  const order = undoOrder(takenBack(record, context.place, keeping));
  const steps = stepNews(order, onStep);
  for (const entry of order) {
    context.signal.throwIfAborted();
    steps.begin(entry);
    try {
      await undoEntry(entry, context);
      entries = entries.filter((each) => each !== entry);
      await remember(context, { ...record, state: 'removing', entries });
      steps.end(entry, true);
    } catch (error) {
      context.signal.throwIfAborted();
      if (!(error instanceof FederationError)) throw error;
      failures.push(error.hint === undefined ? error.message : `${error.message} (${error.hint})`);
      steps.end(entry, false);
    }
  }
  if (failures.length > 0) {
    throw new FederationError('STEP_FAILED', `not all could be taken back: ${failures.join('; ')}`, {
      hint: 'mend that, then run it again: deploy-federation uninstall',
    });
  }
  if (entries.some((entry) => entry.key !== RECORD_KEY)) {
    return remember(context, { ...record, state: 'kept', entries });
  }
  onStep(RECORD_KEY, 'begun');
  // The record itself goes last, so that there is one as long as there is anything.
  await (await filesAs(context, keeperOf(context.place))).removeFolder(context.place.backups);
  for (const entry of entries) await undoEntry(entry, context);
  onStep(RECORD_KEY, 'done');
}

/** A full disk must not keep what fills it: without this line of the record, an entry is taken back once more. */
async function remember(context: Context, record: DeploymentRecord): Promise<void> {
  try {
    await writeRecord(context, record);
  } catch (error) {
    if (!(error instanceof FederationError) || error.code !== 'DISK_FULL') throw error;
  }
}

function takenBack({ entries }: DeploymentRecord, place: Place, keeping: Keeping): RecordEntry[] {
  return entries.filter(({ key, action }) => key !== RECORD_KEY && !isKept(action, place, keeping));
}

/** The ids that `onStep` hears of, in the order in which they end. */
export function undoSteps(record: DeploymentRecord, place: Place, keeping: Keeping): string[] {
  const entries = takenBack(record, place, keeping);
  const lastFirst = new Set(undoOrder(entries).toReversed().map(stepOf));
  const isAll = entries.length === record.entries.filter(({ key }) => key !== RECORD_KEY).length;
  return [...[...lastFirst].toReversed(), ...(isAll ? [RECORD_KEY] : [])];
}

/** When systemd reads its units once more, at the end. */
export const RELOAD_STEP = 'reload';

/** What belongs to many steps ends none of them. */
function stepOf({ action, step }: RecordEntry): string {
  return action.do === 'reload' ? RELOAD_STEP : step;
}

/** systemd reads its units once more when their files are gone. */
export function undoOrder(entries: readonly RecordEntry[]): readonly RecordEntry[] {
  const isReload = ({ action }: RecordEntry): boolean => action.do === 'reload';
  const lastFirst = entries.toReversed();
  return [...lastFirst.filter((entry) => !isReload(entry)), ...lastFirst.filter(isReload)];
}

/** Whether a change is left as it is, because a person wants that. */
export function isKept(action: Action, place: Place, { keepData, keepTailscale }: Keeping): boolean {
  const kind = kindOf(action);
  return (keepData && kind.isData?.(action, place) === true) || (keepTailscale && kind.isTailnet?.(action) === true);
}

function undoEntry({ action, before, wrote }: RecordEntry, context: Context): Promise<void> {
  return kindOf(action).undo(action, before, context, isOursBy(wrote));
}

/** A step is taken back when its last entry is. */
function stepNews(order: readonly RecordEntry[], onStep: Undoing['onStep']) {
  const left = Map.groupBy(order, stepOf);
  const begun = new Set<string>();
  const failed = new Set<string>();
  return {
    begin(entry: RecordEntry): void {
      const step = stepOf(entry);
      if (!begun.has(step)) onStep(step, 'begun');
      begun.add(step);
    },
    end(entry: RecordEntry, succeeded: boolean): void {
      const step = stepOf(entry);
      if (!succeeded) failed.add(step);
      const rest = (left.get(step) ?? []).filter((each) => each !== entry);
      left.set(step, rest);
      if (rest.length === 0) onStep(step, failed.has(step) ? 'failed' : 'done');
    },
  };
}
