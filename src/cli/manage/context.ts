import { homePath } from '#src/adapters/home.ts';
import type { HubApi } from '#src/adapters/hub.ts';
import { findHub, isMachineHubMeant, machineHub } from '#src/adapters/hub.ts';

/** Flags that every command of manage-federation takes. */
export interface GlobalFlags {
  readonly home?: string;
  readonly json?: boolean;
  readonly yes?: boolean;
}

/** The hub of the home that is named; where none is, that of the user's own home or of the machine. */
export async function hubOf(flags: GlobalFlags): Promise<HubApi> {
  return isOnMachine(flags) ? machineHub() : findHub(homePath(flags.home));
}

/** Whether that is the machine's, of whose home a user sees nothing. */
export function isOnMachine({ home }: GlobalFlags): boolean {
  const named = home ?? process.env['OPENCLAW_FEDERATION_HOME'];
  return (named === undefined || named === '') && isMachineHubMeant(homePath(undefined));
}
