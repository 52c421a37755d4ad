import { say } from '#src/adapters/terminal.ts';
import { canAsk, confirm } from '#src/cli/confirm.ts';
import type { GlobalFlags } from '#src/cli/manage/context.ts';
import { hubOf } from '#src/cli/manage/context.ts';
import { parseDuration } from '#src/cli/manage/duration.ts';
import { ago, printJson, printTable, shortId } from '#src/cli/print.ts';
import { FederationError } from '#src/core/errors.ts';
import type { GhostView, Pruned } from '#src/protocol/hub-api/prune.ts';

export interface PruneFlags extends GlobalFlags {
  readonly unseen: string;
  readonly dryRun?: boolean;
}

/** `manage-federation prune`: shows what would go, and takes away that and nothing else when a person agrees. */
export async function prune(flags: PruneFlags): Promise<number> {
  const wanted = { unseenSeconds: parseDuration(flags.unseen, '--unseen') / 1000 };
  const hub = await hubOf(flags);
  const found = await hub.ask<Pruned>('POST', '/prune', { ...wanted, dryRun: true });
  if (found.unasked !== null) say(`the gateway’s devices were not looked at: ${found.unasked}`);
  if (flags.dryRun === true || found.ghosts.length === 0) return show(found, flags);
  if (flags.yes !== true) await agree(found.ghosts, flags);
  const only = found.ghosts.map(({ id }) => id);
  return show(await hub.ask<Pruned>('POST', '/prune', { ...wanted, only }), flags);
}

async function agree(ghosts: readonly GhostView[], { json }: PruneFlags): Promise<void> {
  const count = ghosts.length === 1 ? '1 ghost' : `${ghosts.length} ghosts`;
  if (!canAsk()) {
    throw new FederationError('CONFIRMATION_NEEDED', `this takes away ${count}`, {
      hint: 'look with --dry-run, then add --yes',
    });
  }
  if (json !== true) printGhosts(ghosts);
  await confirm(`take away ${count}?`);
}

/** Exit code 1 where something that was to go is still there. */
function show(pruned: Pruned, { json }: PruneFlags): number {
  const { ghosts, done } = pruned;
  const left = ghosts.filter(({ problem }) => problem !== null);
  if (json === true) printJson(pruned);
  else if (ghosts.length === 0) say('no ghosts');
  else if (!done) printGhosts(ghosts);
  else {
    const gone = ghosts.filter(({ problem }) => problem === null).map(({ name }) => name);
    if (gone.length > 0) say(`pruned ${gone.join(', ')}`);
    for (const { name, problem } of left) say(`${name} is still there: ${problem}`);
  }
  return left.length === 0 ? 0 : 1;
}

const WHAT: Readonly<Record<GhostView['kind'], string>> = {
  member: 'member',
  revoked: 'former member',
  device: 'OpenClaw device',
};

function printGhosts(ghosts: readonly GhostView[]): void {
  printTable(
    ['NAME', 'WHAT', 'REASON', 'SEEN', 'ID'],
    ghosts.map(({ name, kind, reason, lastSeenAt, id }) => [
      name,
      WHAT[kind],
      reason,
      lastSeenAt === null ? '-' : ago(lastSeenAt),
      shortId(id),
    ]),
  );
}
