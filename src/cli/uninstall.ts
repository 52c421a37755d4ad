import { say } from '#src/adapters/terminal.ts';
import { contextOf } from '#src/cli/action-context.ts';
import { canAsk } from '#src/cli/confirm.ts';
import type { DeployFlags } from '#src/cli/deploy-flags.ts';
import type { DeployTools } from '#src/cli/deploy-tools.ts';
import { onMachine } from '#src/cli/deployment.ts';
import { scopeOf } from '#src/cli/inquiry.ts';
import { masterText } from '#src/cli/master-address.ts';
import { noticed } from '#src/cli/notice.ts';
import { showProgress } from '#src/cli/progress.ts';
import { askToGoOn } from '#src/cli/question.ts';
import { widthOf, wrapped } from '#src/cli/wrap.ts';
import { FederationError } from '#src/core/errors.ts';
import type { Facts } from '#src/deploy/facts.ts';
import type { DeploymentRecord } from '#src/deploy/record.ts';

export interface UninstallFlags extends Pick<DeployFlags, 'ssh' | 'system' | 'user' | 'runAs' | 'yes'> {
  /** Leaves the homes of hub and worker: keys, members, jobs. */
  readonly keepData?: boolean;
}

/** `deploy-federation uninstall`: takes back what the record says, last first. Returns the exit code. */
export function uninstall(flags: UninstallFlags, tools: DeployTools): Promise<number> {
  return onMachine(flags, tools, async (machine, signal) => {
    const asked = { scope: scopeOf(flags), runAs: flags.runAs ?? null };
    const facts = await noticed(`looking at ${machine.name}`, tools.gather(machine, asked, signal));
    if (facts.record === null) {
      say('nothing is deployed here');
      return 0;
    }
    const record = flags.keepData === true ? withoutData(facts.record, facts) : facts.record;
    const lines = record.entries.toReversed().map(({ key, action }) => ({ id: key, title: tools.describe(action) }));
    await consent(record, lines, flags, signal);
    const progress = showProgress(lines, false);
    try {
      await tools.undo(record, contextOf({ machine, signal }, facts, { progress: progress.line }), {
        onStep: ({ entry, state }) => progress.step(entry.key, state),
      });
    } catch (error) {
      if (!signal.aborted) throw error;
      say('stopped; to go on: deploy-federation uninstall');
      return 130;
    } finally {
      await progress.close();
    }
    sayAfter(record, facts, flags.keepData === true);
    return 0;
  });
}

/** Keys, members and jobs stay, and so does the user that they belong to. */
function withoutData(record: DeploymentRecord, { place }: Facts): DeploymentRecord {
  const isData = (path: string): boolean =>
    [place.workerHome, place.hubHome].some((home) => path === home || path.startsWith(`${home}/`));
  const entries = record.entries.filter(
    ({ action }) => action.do !== 'user' && !('path' in action && isData(action.path)),
  );
  return { ...record, entries };
}

interface Line {
  readonly id: string;
  readonly title: string;
}

async function consent(
  { wanted }: DeploymentRecord,
  lines: readonly Line[],
  { yes }: UninstallFlags,
  signal: AbortSignal,
): Promise<void> {
  say(`this machine was deployed as ${wanted.role}; what was done is taken back, the last first:`);
  const width = widthOf(process.stderr);
  for (const { title } of lines) for (const line of wrapped('  - ', title, width)) say(line);
  if (yes === true) return;
  if (canAsk()) return askToGoOn('take this back?', signal);
  throw new FederationError('CONFIRMATION_NEEDED', 'there is no terminal to ask on; nothing was done', {
    hint: 'add --yes',
  });
}

function sayAfter({ wanted }: DeploymentRecord, { worker, machine, place }: Facts, kept: boolean): void {
  if (kept) say(`kept: ${wanted.master === null ? `${place.hubHome}, ` : ''}${place.workerHome}`);
  else say('nothing of the federation is left here');
  if (wanted.master === null) return;
  say(`${masterText(wanted.master)} still knows the node; there:`);
  say(`  manage-federation revoke ${worker?.name ?? wanted.name ?? machine.hostname}`);
}
