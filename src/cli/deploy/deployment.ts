import { harmless, say } from '#src/adapters/terminal.ts';
import { givenBotToken } from '#src/cli/deploy/bot-token.ts';
import { carryOut } from '#src/cli/deploy/carrying-out.ts';
import { consent } from '#src/cli/deploy/consent.ts';
import type { DeployFlags } from '#src/cli/deploy/flags.ts';
import { fileChangeLines, fileChanges } from '#src/cli/deploy/file-changes.ts';
import { checkFlags } from '#src/cli/deploy/flags.ts';
import type { Deployment, DeployTools } from '#src/cli/deploy/tools.ts';
import { deploymentReport } from '#src/cli/deploy/report.ts';
import { foreground } from '#src/cli/deploy/foreground.ts';
import { followInterrupts } from '#src/cli/interrupt.ts';
import { inquire } from '#src/cli/deploy/inquiry.ts';
import { givenToken } from '#src/cli/deploy/join-token.ts';
import { parseMaster } from '#src/cli/deploy/master-address.ts';
import { noticed } from '#src/cli/deploy/notice.ts';
import { planLines } from '#src/cli/deploy/plan-text.ts';
import { printJson } from '#src/cli/print.ts';
import { Interrupted } from '#src/cli/deploy/question.ts';
import { widthOf } from '#src/cli/deploy/wrap.ts';
import { FederationError } from '#src/core/errors.ts';
import type { Role } from '#src/core/node.ts';
import { scrub } from '#src/core/secrets.ts';
import type { Plan } from '#src/deploy/action.ts';
import type { Facts } from '#src/deploy/facts.ts';
import { planDeployment } from '#src/deploy/plan.ts';

/**
 * `deploy-federation master|worker|hybrid`: facts, plan, consent, apply. `pasted` is a join token that no flag names.
 * Returns the exit code.
 */
export async function deploy(
  role: Role,
  word: string | undefined,
  flags: DeployFlags,
  tools: DeployTools,
  pasted: string | null = null,
): Promise<number> {
  checkFlags(role, flags);
  const master = word === undefined ? null : parseMaster(word);
  if (flags.foreground === true) return foreground(role, master, flags);
  if (role !== 'master' && master === null && flags.ssh === undefined && flags.resume !== true) {
    throw wrongUse('which master? Its name in the tailnet, or its address', `deploy-federation ${role} vps`);
  }
  const token = pasted ?? (await givenToken(flags));
  const botToken = await givenBotToken(flags);
  return onMachine(flags, tools, (machine, signal) =>
    deployOn({ machine, role, master, token, botToken, flags, tools, signal }),
  );
}

/**
 * Does something on the machine that the flags name. The first Ctrl-C aborts `signal`, the second ends the process; one
 * before anything has changed is exit code 130.
 */
export async function onMachine(
  { ssh, json }: Pick<DeployFlags, 'ssh' | 'json'>,
  tools: DeployTools,
  work: (machine: Deployment['machine'], signal: AbortSignal) => Promise<number>,
): Promise<number> {
  const stopping = new AbortController();
  const { signal } = stopping;
  // Listeners that stay: libraries that run programs or hide the cursor end a process that has none but theirs.
  const interrupts = followInterrupts({
    first: () => stopping.abort('interrupted'),
    second: () => process.exit(INTERRUPTED),
  });
  try {
    // Where ssh may ask for a password, a word of ours would stand in the middle of its question.
    const silent = json === true || process.stdin.isTTY;
    const machine = await noticed(`connecting to ${ssh}`, tools.reach(ssh ?? null, signal), silent);
    try {
      return await work(machine, signal);
    } finally {
      await machine.close();
    }
  } catch (error) {
    if (!signal.aborted && !(error instanceof Interrupted)) throw error;
    say('stopped; nothing was changed');
    return INTERRUPTED;
  } finally {
    interrupts.stop();
  }
}

const INTERRUPTED = 130;

async function deployOn(deployment: Deployment): Promise<number> {
  const { role, token, botToken, flags, tools } = deployment;
  const hub = flags.ssh === undefined ? null : await tools.ownHub();
  const { facts, wanted } = await inquire(deployment, hub);
  const given = await tools.given(facts);
  const plan = planDeployment(facts, wanted, botToken === null ? given : { ...given, telegramToken: botToken });
  if (flags.dryRun === true) {
    if (flags.json === true) printJson({ ...deploymentReport(deployment, plan), changes: fileChanges(plan, facts) });
    else printPlan(plan, facts);
    return 0;
  }
  if (token === null && plan.steps.some(({ actions }) => actions.some((action) => action.do === 'token'))) {
    throw wrongUse('the join token is needed once more', `deploy-federation ${role} --resume --token-file FILE`);
  }
  await consent(plan, facts, deployment);
  return carryOut(plan, { facts, wanted, hub }, deployment);
}

/** The diffs hold words of others. */
function printPlan(plan: Plan, facts: Facts): void {
  const lines = [...planLines(plan, widthOf(process.stdout)), ...fileChangeLines(plan, facts)];
  for (const line of lines) process.stdout.write(`${harmless(scrub(line))}\n`);
}

function wrongUse(message: string, hint: string): FederationError {
  return new FederationError('USAGE', message, { hint });
}
