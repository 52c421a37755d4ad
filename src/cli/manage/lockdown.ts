import type { HubApi } from '#src/adapters/hub.ts';
import { say } from '#src/adapters/terminal.ts';
import type { GlobalFlags } from '#src/cli/manage/context.ts';
import { hubOf } from '#src/cli/manage/context.ts';
import { ago, printJson } from '#src/cli/print.ts';
import { FederationError } from '#src/core/errors.ts';
import { isLabelValue } from '#src/core/label.ts';
import type { LockdownStatus, LockedDown } from '#src/protocol/hub-api/lockdown.ts';
import type { Status } from '#src/protocol/hub-api/status.ts';

export interface LockdownFlags extends GlobalFlags {
  readonly reason?: string;
  readonly lift?: boolean;
}

/** What ends a lockdown. */
export const LIFT = 'manage-federation lockdown --lift';

/** `manage-federation lockdown`: nobody is asked, for it stops and takes nothing away. */
export async function lockdown({ reason, lift, ...flags }: LockdownFlags): Promise<number> {
  if (lift === true) {
    if (reason !== undefined) throw usage('--lift takes no --reason', LIFT);
    return liftLockdown(flags);
  }
  if (reason !== undefined && (reason === '' || !isLabelValue(reason))) {
    throw usage(
      '--reason: not one line of 1 to 256 characters',
      'manage-federation lockdown --reason "a key was stolen"',
    );
  }
  const hub = await hubOf(flags);
  const begun = await hub.ask<LockedDown>('POST', '/lockdown', reason === undefined ? {} : { reason });
  if (flags.json) printJson(begun);
  else sayBegun(begun);
  return begun.running === 0 && begun.unconfirmed.length === 0 ? 0 : 1;
}

/** Only what is known: a node that did not answer may still run something. */
function sayBegun({ ended, running, unconfirmed }: LockedDown): void {
  say(`locked down: no command runs on any node until: ${LIFT}`);
  if (ended > 0) say(`${jobs(ended)} ${ended === 1 ? 'was' : 'were'} ended`);
  if (running > 0) say(`the end of ${jobs(running)} is not confirmed yet: manage-federation jobs`);
  if (unconfirmed.length > 0) say(`not confirmed by ${unconfirmed.join(', ')}: something may still run there`);
}

async function liftLockdown(flags: GlobalFlags): Promise<number> {
  const lifted = await (await hubOf(flags)).ask<LockdownStatus>('POST', '/lockdown/lift');
  if (flags.json) printJson(lifted);
  else say(lifted === null ? 'nothing was locked down' : 'lifted: commands run again');
  return 0;
}

/** Says on standard error that nothing runs, where that is so. */
export async function sayLockdown(hub: HubApi): Promise<void> {
  const { lockdown: status } = await hub.ask<Status>('GET', '/status');
  if (status !== null) say(`${lockdownText(status)}: no command runs until: ${LIFT}`);
}

/** `locked down 3 min ago by ann (a key was stolen)` */
export function lockdownText({ since, by, reason }: NonNullable<LockdownStatus>): string {
  return `locked down ${ago(since)} by ${by}${reason === null ? '' : ` (${reason})`}`;
}

function jobs(count: number): string {
  return count === 1 ? '1 job' : `${count} jobs`;
}

function usage(message: string, hint: string): FederationError {
  return new FederationError('USAGE', message, { hint });
}
