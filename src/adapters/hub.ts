import { existsSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Explain, HubApi } from '#src/adapters/hub-api.ts';
import { hubThrough } from '#src/adapters/hub-api.ts';
import { isRunning } from '#src/adapters/process/start-time.ts';
import { ownerOf } from '#src/adapters/unix-socket.ts';
import { FederationError } from '#src/core/errors.ts';
import type { HubRecord } from '#src/core/hub-record.ts';
import { HUB_RECORD_FILE } from '#src/core/hub-record.ts';

export type { HubApi } from '#src/adapters/hub-api.ts';

/** The hub of a home that this user can read. */
export interface HubClient extends HubApi {
  readonly record: HubRecord;
}

/** Finds the hub that runs with this home. Throws HUB_UNREACHABLE, or HOME_UNUSABLE where it is another user's. */
export async function findHub(home: string): Promise<HubClient> {
  const record = await readRecord(home);
  return { record, ...hubBehind(record.operator, async (cause) => unreachable(home, cause)) };
}

/** Where the hub of the whole machine is, which runs as a system service. */
export interface MachineHub {
  readonly socket: string;
  /** There while it is deployed, whether it runs or not. */
  readonly unit: string;
}

const MACHINE_HUB: MachineHub = {
  socket: '/run/openclaw-federation/operator.sock',
  unit: '/etc/systemd/system/federation-hub.socket',
};

/** Whether a user who names no home means the machine's hub: there is one, and none of their own runs with `home`. */
export function isMachineHubMeant(home: string, { socket, unit }: MachineHub = MACHINE_HUB): boolean {
  return (existsSync(socket) || existsSync(unit)) && !hasRunningHub(home);
}

/** Whether a hub runs with this home; what one that was killed left behind does not count. */
export function hasRunningHub(home: string): boolean {
  try {
    const { pid } = JSON.parse(readFileSync(join(home, HUB_RECORD_FILE), 'utf8')) as HubRecord;
    return isRunning(pid, null);
  } catch {
    return false;
  }
}

/** The hub of this machine. Its methods throw FORBIDDEN where the operator is somebody else. */
export function machineHub({ socket }: MachineHub = MACHINE_HUB): HubApi {
  return hubBehind(socket, async (cause) => {
    if ((cause as NodeJS.ErrnoException).code === 'EACCES') return await foreign(socket, cause);
    return new FederationError('HUB_UNREACHABLE', 'the hub of this machine does not answer', {
      hint: 'systemctl status federation-hub',
      cause,
    });
  });
}

async function foreign(socket: string, cause: unknown): Promise<FederationError> {
  const owner = await ownerOf(socket).catch(() => 'another user');
  return new FederationError('FORBIDDEN', `the hub of this machine is operated by ${owner}`, {
    hint: `run this as ${owner}, or as root`,
    cause,
  });
}

/** A hub by its operator's socket. */
function hubBehind(socketPath: string, explain: Explain): HubApi {
  const way = { to: { socketPath }, headers: { host: 'localhost' } };
  return hubThrough(async () => way, explain);
}

async function readRecord(home: string): Promise<HubRecord> {
  try {
    return JSON.parse(await readFile(join(home, HUB_RECORD_FILE), 'utf8')) as HubRecord;
  } catch (cause) {
    throw unreachable(home, cause);
  }
}

function unreachable(home: string, cause: unknown): FederationError {
  if ((cause as NodeJS.ErrnoException).code === 'EACCES') {
    return new FederationError('HOME_UNUSABLE', `${home} belongs to another user`, {
      hint: 'run this as that user',
      cause,
    });
  }
  return new FederationError('HUB_UNREACHABLE', `no hub answers for ${home}`, {
    hint: `start it (${startOf(home)}), or name its home with --home`,
    cause,
  });
}

/** What starts the hub of this home: `local` where it made it. */
function startOf(home: string): string {
  const folder = dirname(home);
  const isLocal = basename(home) === 'master' && ['local.json', 'w1'].some((name) => existsSync(join(folder, name)));
  return isLocal ? `deploy-federation local --dir ${folder}` : `federation-hub --home ${home}`;
}
