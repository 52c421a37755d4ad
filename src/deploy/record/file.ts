import { join } from 'node:path/posix';
import { z } from 'zod';
import type { Machine, Person } from '#src/adapters/machine/machine.ts';
import { filesOf } from '#src/adapters/machine/files.ts';
import { FederationError } from '#src/core/errors.ts';
import type { Action } from '#src/deploy/action.ts';
import type { Place } from '#src/deploy/place.ts';
import type { DeploymentRecord } from '#src/deploy/record/record.ts';
import { recordSchema, unknownChanges } from '#src/deploy/record/schema.ts';

export interface RecordPlace {
  readonly machine: Machine;
  readonly place: Place;
  readonly person: Person;
  readonly signal: AbortSignal;
}

/** A megabyte would be a deployment of thousands of steps. */
const MAX_BYTES = 1 << 20;

/** What was done to a machine; null where nothing was. Throws STORE_DAMAGED for what is no record of ours. */
export async function readRecord(at: RecordPlace): Promise<DeploymentRecord | null> {
  const files = filesFor(at);
  const path = at.place.record;
  const state = await files.stat(path);
  if (state === null) return null;
  // Whoever could change it would decide what root removes.
  const keeper = at.place.scope === 'system' ? 0 : at.person.uid;
  if (state.kind !== 'file') throw damaged(at, 'it is no file');
  if (state.uid !== keeper || (state.mode & 0o022) !== 0) throw damaged(at, 'others may write it');
  if (state.size > MAX_BYTES) throw damaged(at, `it is ${state.size} bytes long`);
  return parseRecord(at, (await files.read(path))?.toString('utf8') ?? '');
}

/** What a record says. Throws STORE_DAMAGED as readRecord does. */
export function parseRecord(at: RecordPlace, text: string): DeploymentRecord {
  try {
    const record: unknown = JSON.parse(text);
    const [stranger] = unknownChanges(record);
    if (stranger !== undefined) throw tooNew(at, stranger);
    const parsed = recordSchema.parse(record);
    if (at.place.scope === 'user' && parsed.entries.some(({ action }) => isRoots(action, at.person))) {
      throw damaged(at, 'it names what root alone may change');
    }
    return parsed;
  } catch (cause) {
    if (cause instanceof FederationError) throw cause;
    throw damaged(at, cause instanceof z.ZodError ? problemOf(cause) : 'it is no JSON', cause);
  }
}

/** A person writes their own record: by sudo it must not become a list of orders to root. */
function isRoots(action: Action, person: Person): boolean {
  if ('owner' in action && action.owner === 'root') return true;
  switch (action.do) {
    case 'user':
    case 'tailscale':
    case 'tailnet':
      return true;
    case 'reload':
      return action.scope === 'system';
    case 'unit':
      return action.unit.scope === 'system';
    case 'linger':
      return action.user !== person.name;
    default:
      return false;
  }
}

function tooNew({ machine, place }: RecordPlace, key: string): FederationError {
  const program = join(place.commands, 'deploy-federation');
  return new FederationError(
    'STORE_DAMAGED',
    `another version deployed this machine: what it did as ${JSON.stringify(key)} is not known here`,
    { hint: `use the version that did it; on ${machine.name} itself: ${program}` },
  );
}

function problemOf({ issues: [issue] }: z.ZodError): string {
  return issue === undefined ? 'it does not fit' : `${issue.path.join('.')}: ${issue.message}`;
}

function damaged({ machine, place }: RecordPlace, problem: string, cause?: unknown): FederationError {
  return new FederationError('STORE_DAMAGED', `the record of what was deployed can’t be trusted: ${problem}`, {
    hint: `look at ${place.record} on ${machine.name}; nothing is taken back by it`,
    cause,
  });
}

/** Durable when this resolves. */
export async function writeRecord(at: RecordPlace, record: DeploymentRecord): Promise<void> {
  const content = `${JSON.stringify(record, null, 2)}\n`;
  await filesFor(at).write({ path: at.place.record, content, mode: 0o600, owner: null, folderMode: 0o700 });
}

function filesFor({ machine, place, person, signal }: RecordPlace) {
  return filesOf(machine, place.scope === 'system' ? 'root' : person, signal);
}
