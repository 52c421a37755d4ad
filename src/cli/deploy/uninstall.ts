import { say } from '#src/adapters/terminal.ts';
import { contextOf } from '#src/cli/deploy/action-context.ts';
import { canAsk } from '#src/cli/confirm.ts';
import type { DeployFlags } from '#src/cli/deploy/flags.ts';
import type { DeployTools } from '#src/cli/deploy/tools.ts';
import { onMachine } from '#src/cli/deploy/deployment.ts';
import { scopeOf } from '#src/cli/deploy/inquiry.ts';
import { masterText } from '#src/cli/deploy/master-address.ts';
import { noticed } from '#src/cli/deploy/notice.ts';
import { undoText } from '#src/cli/deploy/undo-text.ts';
import type { ProgressStep } from '#src/cli/deploy/progress.ts';
import { showProgress, STOPPING } from '#src/cli/deploy/progress.ts';
import { askToGoOn } from '#src/cli/deploy/question.ts';
import { commandText } from '#src/cli/deploy/resume-text.ts';
import { widthOf, wrapped } from '#src/cli/deploy/wrap.ts';
import { FederationError } from '#src/core/errors.ts';
import type { Facts } from '#src/deploy/facts.ts';
import { isMember } from '#src/deploy/plan/worker.ts';
import type { DeploymentRecord } from '#src/deploy/record/record.ts';
import { refuseAsRoot, refuseWithoutRoot } from '#src/deploy/root-deployment.ts';
import type { Keeping } from '#src/deploy/undo.ts';
import { isKept, RELOAD_STEP, undoOrder, undoSteps } from '#src/deploy/undo.ts';

export interface UninstallFlags extends Pick<DeployFlags, 'ssh' | 'system' | 'user' | 'runAs' | 'yes'> {
  /** Leaves the homes of hub and worker: keys, members, jobs. */
  readonly keepData?: boolean;
}

/** `deploy-federation uninstall`: takes back what the record says, last first. Returns the exit code. */
export function uninstall(flags: UninstallFlags, tools: DeployTools): Promise<number> {
  return onMachine(flags, tools, async (machine, signal) => {
    const asked = { scope: scopeOf(flags), runAs: flags.runAs ?? null };
    const facts = await noticed(`looking at ${machine.name}`, tools.gather(machine, asked, signal));
    refuseWithoutRoot(facts, 'deploy-federation uninstall');
    refuseAsRoot(facts, 'deploy-federation uninstall');
    if (facts.record === null) {
      say('nothing is deployed here');
      return 0;
    }
    const { record } = facts;
    const keepData = flags.keepData === true;
    const keepTailscale = facts.login.address !== null && facts.tailscale.addresses.includes(facts.login.address);
    const keeping = { keepData, keepTailscale };
    await consent(record, facts, { ...keeping, yes: flags.yes === true }, signal);
    const progress = showProgress(progressSteps(record, facts, keeping), false);
    const onAbort = (): void => progress.line(STOPPING);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      const context = contextOf({ machine, signal }, facts, { progress: progress.line });
      await tools.undo(record, context, { ...keeping, onStep: progress.step });
    } catch (error) {
      const again = commandText(['uninstall', ...(keepData ? ['--keep-data'] : [])], flags);
      if (!signal.aborted) throw withWayOn(error, again);
      say(`stopped; to go on: ${again}`);
      return 130;
    } finally {
      signal.removeEventListener('abort', onAbort);
      await progress.close();
    }
    sayAfter(record, facts, keepData);
    if (record.entries.some(({ action }) => isKept(action, facts.place, { keepData: false, keepTailscale }))) {
      say('Tailscale stays: this goes by it. Once more, by another address of the machine, takes it away too');
    }
    return 0;
  });
}

function progressSteps(record: DeploymentRecord, { place }: Facts, keeping: Keeping): ProgressStep[] {
  return undoSteps(record, place, keeping).map((id) => ({
    id,
    title: id === RELOAD_STEP ? 'systemd has read its units' : `taken back: ${id.replaceAll('-', ' ')}`,
  }));
}

async function consent(
  record: DeploymentRecord,
  { place }: Facts,
  { yes, ...keeping }: Keeping & { readonly yes: boolean },
  signal: AbortSignal,
): Promise<void> {
  const entries = record.entries.filter(({ action }) => !isKept(action, place, keeping));
  say(`deployed as ${record.wanted.role}; this is taken back, the last first:`);
  const width = widthOf(process.stderr);
  for (const entry of undoOrder(entries)) {
    for (const line of wrapped('  - ', undoText(entry, place), width)) say(line);
  }
  if (yes) return;
  if (canAsk()) return askToGoOn('take this back?', signal);
  throw new FederationError('CONFIRMATION_NEEDED', 'there is no terminal to ask on; nothing was done', {
    hint: 'add --yes',
  });
}

function withWayOn(error: unknown, again: string): unknown {
  if (!(error instanceof FederationError) || error.code !== 'STEP_FAILED') return error;
  return new FederationError(error.code, error.message, { hint: `mend that, then: ${again}`, cause: error });
}

function sayAfter({ wanted }: DeploymentRecord, facts: Facts, kept: boolean): void {
  const { worker, machine, place } = facts;
  if (kept) say(`kept: ${wanted.master === null ? `${place.hubHome}, ` : ''}${place.workerHome}`);
  else say('nothing of the federation is left here');
  if (wanted.master === null || !isMember(facts)) return;
  say(`${masterText(wanted.master)} still knows the node; there:`);
  say(`  manage-federation revoke ${worker?.name ?? wanted.name ?? machine.hostname}`);
}
