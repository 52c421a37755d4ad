import { z } from 'zod';
import { FederationError } from '#src/core/errors.ts';
import type { Action } from '#src/deploy/action.ts';
import type { Wanted } from '#src/deploy/wanted.ts';

/**
 * What was done to a machine, kept there and written before each change: a deployment that was cut off is taken up by
 * it, and uninstall takes back what it says, last first.
 */
export interface DeploymentRecord {
  readonly version: 1;
  readonly wanted: Wanted;
  /** `applying` until the last step is done. */
  readonly state: 'applying' | 'deployed' | 'removing';
  readonly entries: readonly RecordEntry[];
}

export interface RecordEntry {
  /** One thing of the machine: `write /etc/systemd/system/openclaw-worker.service`. First change first. */
  readonly key: string;
  readonly step: string;
  /** Without texts that are secret. */
  readonly action: Action;
  /** How it was before the first change, as the kind of action keeps it. */
  readonly before: unknown;
  /** SHA-256, hex, of each content that we put there: another one is a person's. */
  readonly wrote: readonly string[];
  readonly state: 'begun' | 'done';
}

const isThing = (value: unknown): boolean => typeof value === 'object' && value !== null;

/** Its shape: what actions and wishes hold in detail is as this program wrote it. */
const recordSchema = z.object({
  version: z.literal(1),
  wanted: z.custom<Wanted>(isThing),
  state: z.enum(['applying', 'deployed', 'removing']),
  entries: z.array(
    z.object({
      key: z.string(),
      step: z.string(),
      action: z.custom<Action>((value) => isThing(value) && typeof (value as { do?: unknown }).do === 'string'),
      before: z.unknown().default(null),
      wrote: z.array(z.string()),
      state: z.enum(['begun', 'done']),
    }),
  ),
});

/** Throws VERSION_UNSUPPORTED for a record of a later version, STORE_DAMAGED for what is none. */
export function readRecord(path: string, text: string): DeploymentRecord {
  const value = parsed(text);
  const { data, success } = recordSchema.safeParse(value);
  if (success) return data;
  const { version } = z.object({ version: z.number() }).catch({ version: 1 }).parse(value);
  throw version > 1
    ? new FederationError('VERSION_UNSUPPORTED', `${path} was written by a later version`, {
        hint: 'use the deploy-federation that deployed this machine, or a later one',
      })
    : new FederationError('STORE_DAMAGED', `${path} can’t be read: it is no record of a deployment`, {
        hint: `move it away (mv ${path} ${path}.old); what was deployed is then taken for the person’s own`,
      });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}
