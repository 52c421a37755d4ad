import { createHash } from 'node:crypto';
import { dirname } from 'node:path/posix';
import { isDeepStrictEqual } from 'node:util';
import { FederationError } from '#src/core/errors.ts';
import type { Action, Plan, Step } from '#src/deploy/action.ts';
import type { Context } from '#src/deploy/actions/context.ts';
import { filesAs, keeperOf } from '#src/deploy/actions/context.ts';
import type { BeforeFolder } from '#src/deploy/actions/folder.ts';
import type { IsOurs } from '#src/deploy/actions/kind.ts';
import { kindOf } from '#src/deploy/actions/kinds.ts';
import type { DeploymentRecord, RecordEntry } from '#src/deploy/record/record.ts';
import { readRecord, writeRecord } from '#src/deploy/record/file.ts';
import type { Wanted } from '#src/deploy/wanted.ts';

export interface Applying {
  readonly wanted: Wanted;
  /** With the id of the step. */
  readonly onStep: (id: string, how: 'begun' | 'done' | 'failed') => void;
}

/**
 * Carries a plan out, one action after the other. How each thing was before is durable before it is changed, so that
 * this may be cut off anywhere and be run again, or taken back. Throws
 * what stopped it, with how to go on for its hint.
 */
export async function applyPlan(plan: Plan, context: Context, { wanted, onStep }: Applying): Promise<void> {
  const log = await openLog(context, wanted);
  for (const step of plan.steps) {
    onStep(step.id, 'begun');
    try {
      for (const action of step.actions) {
        context.signal.throwIfAborted();
        await log.around(step, action, () => kindOf(action).apply(action, context));
      }
    } catch (error) {
      onStep(step.id, 'failed');
      throw explain(error, step, context.signal);
    }
    onStep(step.id, 'done');
  }
  await log.finish();
}

function explain(error: unknown, step: Step, signal: AbortSignal): FederationError {
  if (signal.aborted)
    return new FederationError('STEP_FAILED', `stopped before this was so: ${step.title}`, { cause: error });
  // Anything else is a bug.
  if (!(error instanceof FederationError)) throw error;
  return error;
}

interface Log {
  /** Does a change of the machine that is in the record before it begins. */
  around(step: Step, action: Action, change: () => Promise<void>): Promise<void>;
  finish(): Promise<void>;
}

async function openLog(context: Context, wanted: Wanted): Promise<Log> {
  const found = await readRecord(context);
  let record: DeploymentRecord = found ?? { version: 1, wanted, state: 'applying', entries: [] };
  // Where a join token came from counts until it has let the node in.
  const settled: Wanted = { ...wanted, token: null };
  const isAsWanted = isDeepStrictEqual(found?.wanted, settled);

  async function keep(change: Partial<DeploymentRecord>): Promise<void> {
    const next = { ...record, wanted, ...change };
    await writeRecord(context, next);
    record = next;
  }

  async function begin(step: Step, action: Action, key: string): Promise<void> {
    // Before any copy is laid beside it.
    if (record.entries.length === 0) await keep({ state: 'applying', entries: [await ownEntry(context)] });
    const earlier = record.entries.find((entry) => entry.key === key);
    const entry = await entryOf({ step, action, key, earlier: earlier ?? null }, context);
    const done = record.entries.map((each): RecordEntry => ({ ...each, state: 'done' }));
    const entries = earlier === undefined ? [...done, entry] : done.map((each) => (each.key === key ? entry : each));
    await keep({ state: 'applying', entries });
  }

  return {
    async around(step, action, change) {
      const key = kindOf(action).key(action);
      if (key !== null) await begin(step, action, key);
      await change();
    },
    async finish() {
      if (record.state === 'deployed' && isAsWanted) return;
      const entries = record.entries.length === 0 ? [await ownEntry(context)] : record.entries;
      await keep({
        wanted: settled,
        state: 'deployed',
        entries: entries.map((entry) => ({ ...entry, state: 'done' })),
      });
    },
  };
}

interface Beginning {
  readonly step: Step;
  readonly action: Action;
  readonly key: string;
  readonly earlier: RecordEntry | null;
}

async function entryOf({ step, action, key, earlier }: Beginning, context: Context): Promise<RecordEntry> {
  const kind = kindOf(action);
  const before = earlier === null ? await kind.before(action, context) : earlier.before;
  const known = earlier?.action.do === action.do ? earlier.action : null;
  return {
    key,
    step: step.id,
    action: kind.remember?.(action, known) ?? action,
    before,
    wrote: await contents(action, earlier, context),
    state: 'begun',
  };
}

/** What a person has written is not ours because we write it again with something of ours in it. */
async function contents(action: Action, earlier: RecordEntry | null, context: Context): Promise<readonly string[]> {
  const known = earlier?.wrote ?? [];
  const content = await kindOf(action).content?.(action, context);
  if (content === undefined) return known;
  const { now, next } = content;
  const isTheirs = earlier?.state === 'done' && now !== null && !isOursBy(known)(now);
  return isTheirs ? known : [...new Set([...known, sha256(next)])];
}

/** Whether a content is one of those that the record names. */
export function isOursBy(wrote: readonly string[]): IsOurs {
  return (content) => wrote.includes(sha256(content));
}

function sha256(content: string | Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}

/**
 * The record and its folder are a change of the machine too: the first one. Whatever is there, they are ours by their
 * names, and what a run that was cut off has left of them is no reason to leave it for ever.
 */
async function ownEntry(context: Context): Promise<RecordEntry> {
  const { place } = context;
  const path = dirname(place.record);
  const owner = keeperOf(place);
  const missing = await (await filesAs(context, owner)).missingFolders(path);
  const before: BeforeFolder = { was: 'absent', missing: [...new Set([...missing, place.prefix, path])] };
  const action: Action = { do: 'folder', path, mode: 0o700, owner };
  return { key: RECORD_KEY, step: RECORD_KEY, action, before, wrote: [], state: 'done' };
}

/** Key of the entry for the record itself. */
export const RECORD_KEY = 'record';
