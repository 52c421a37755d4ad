import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { parseDocument } from 'yaml';
import { homePath } from '#src/adapters/home.ts';
import type { HubApi } from '#src/adapters/hub.ts';
import { findHub, hasRunningHub, isMachineHubMeant, machineHub } from '#src/adapters/hub.ts';
import { readLogin } from '#src/adapters/login-file.ts';
import { SETTINGS_FILE } from '#src/adapters/settings-file.ts';
import { FederationError } from '#src/core/errors.ts';
import { parseHubAddress } from '#src/core/hub-address.ts';

/** Flags that every command of manage-federation takes. */
export interface GlobalFlags {
  readonly home?: string;
  readonly json?: boolean;
  readonly yes?: boolean;
}

/**
 * The hub of the home that is named; where none is, that of the user's own home or of the machine. A home without a hub
 * that runs may have a login to one on another machine.
 */
export async function hubOf(flags: GlobalFlags): Promise<HubApi> {
  if (isOnMachine(flags)) return machineHub();
  const home = homePath(flags.home);
  const login = hasRunningHub(home) ? null : readLogin(home);
  // Its modules are for those who are away alone.
  if (login !== null) return (await import('#src/cli/manage/logged-in.ts')).loggedInHub(home, login);
  try {
    return await findHub(home);
  } catch (error) {
    throw onWorker(error, flags);
  }
}

/** Who types it on a worker wants the master, and is not to start a hub. */
function onWorker(error: unknown, flags: GlobalFlags): unknown {
  const hub = isHomeNamed(flags) ? null : masterOfWorkerHere();
  if (hub === null || !(error instanceof FederationError) || error.code !== 'HUB_UNREACHABLE') return error;
  return new FederationError(error.code, `no hub runs here: this machine is a worker of ${hub}`, {
    hint: `run it on ${hub}, or here after: manage-federation login ${hub}`,
    cause: error,
  });
}

/** Host of the hub that the settings of this user's deployed worker name; null where there is none. */
function masterOfWorkerHere(): string | null {
  try {
    const text = readFileSync(join(homedir(), '.openclaw-worker', SETTINGS_FILE), 'utf8');
    const settings = parseDocument(text);
    const hub: unknown = settings.getIn(['worker', 'hub']);
    return typeof hub === 'string' && settings.getIn(['role']) !== 'master'
      ? (parseHubAddress(hub)?.host ?? null)
      : null;
  } catch {
    return null;
  }
}

/** Whether that is the machine's, of whose home a user sees nothing. */
export function isOnMachine(flags: GlobalFlags): boolean {
  return !isHomeNamed(flags) && isMachineHubMeant(homePath(undefined));
}

function isHomeNamed({ home }: GlobalFlags): boolean {
  return (home ?? process.env['OPENCLAW_FEDERATION_HOME'] ?? '') !== '';
}
