import { earlierWish } from '#src/cli/deploy/earlier-wish.ts';
import { ask, askHidden } from '#src/cli/deploy/question.ts';
import type { DeployFlags } from '#src/cli/deploy/flags.ts';
import type { DeployTools } from '#src/cli/deploy/tools.ts';
import { deploy, onMachine } from '#src/cli/deploy/deployment.ts';
import { parseMaster } from '#src/cli/deploy/master-address.ts';
import { noticed } from '#src/cli/deploy/notice.ts';
import { wantedOf } from '#src/cli/deploy/wanted.ts';
import { FederationError } from '#src/core/errors.ts';
import { parseJoinToken } from '#src/core/join-token.ts';
import type { Role } from '#src/core/node.ts';
import type { Facts } from '#src/deploy/facts.ts';
import { planDeployment } from '#src/deploy/plan.ts';
import { HUB_PORT } from '#src/deploy/wanted.ts';

/** What a wizard asks a person: a test answers in their place. Each throws Interrupted where they leave. */
export interface Questions {
  choose<T>(question: string, choices: readonly { readonly name: string; readonly value: T }[]): Promise<T>;
  /** `check` says what is wrong with an answer; null: nothing. */
  write(question: string, check: (text: string) => string | null): Promise<string>;
  writeHidden(question: string, check: (text: string) => string | null): Promise<string>;
}

/** `deploy-federation` alone: asks what the arguments would say, then does the same as with them. */
export async function wizard(tools: DeployTools, questionsOf = terminalQuestions): Promise<number> {
  let answers: Answers | null = null;
  const code = await onMachine({}, tools, async (machine, signal) => {
    const questions = questionsOf(signal);
    const facts = await noticed(
      `looking at ${machine.name}`,
      tools.gather(machine, { scope: null, runAs: null }, signal),
    );
    answers = await askAll(questions, facts, checkedBy(tools, facts));
    return 0;
  });
  if (answers === null) return code;
  const { role, master, flags, token } = answers as Answers;
  return deploy(role, master, flags, tools, token);
}

interface Answers {
  readonly role: Role;
  readonly master: string | undefined;
  readonly token: string | null;
  readonly flags: DeployFlags;
}

/** Throws what the facts forbid whatever is answered later: nobody wants to hear it after four questions and a token. */
function checkedBy(tools: DeployTools, facts: Facts): (role: Role) => Promise<void> {
  return async (role) => {
    const { scope } = facts.place;
    const runAs = scope === 'system' ? facts.person.name : null;
    const master = role === 'master' ? null : SOMEWHERE;
    const before = earlierWish(facts, role, {});
    const wanted = wantedOf({ role, master, scope, runAs, token: null, flags: { light: true }, before });
    planDeployment(facts, wanted, await tools.given(facts));
  };
}

/** Stands for the master that is asked for later: a name that nothing has (RFC 2606). */
const SOMEWHERE = { host: 'master.invalid', port: HUB_PORT };

async function askAll(questions: Questions, facts: Facts, check: (role: Role) => Promise<void>): Promise<Answers> {
  const role = await questions.choose<Role>('What shall this machine become?', ROLES);
  await check(role);
  if (role === 'master') return { role, master: undefined, token: null, flags: {} };
  const master = await askMaster(questions, facts);
  const token = await questions.writeHidden('Join token (empty: wait for approval)', problemOfToken);
  const light = await questions.choose('With OpenClaw’s node host (camera, screen, browser)?', [
    { name: 'yes: it takes about 500 MB of memory', value: false },
    { name: 'no: commands, files and models only, for small machines', value: true },
  ]);
  return { role, master, token: token.trim() === '' ? null : token.trim(), flags: light ? { light } : {} };
}

const ROLES: readonly { readonly name: string; readonly value: Role }[] = [
  { name: 'master: it runs the gateway, and the other machines connect to it', value: 'master' },
  { name: 'worker: the master uses it', value: 'worker' },
  { name: 'hybrid: the master uses it, and it keeps an OpenClaw of its own', value: 'hybrid' },
];

/** A machine of the tailnet where some are known; any other by its name or address. */
async function askMaster(questions: Questions, { tailscale }: Facts): Promise<string> {
  const peers = tailscale.peers.map(({ dnsName }) => ({ name: dnsName, value: dnsName }));
  const chosen =
    peers.length === 0
      ? null
      : await questions.choose<string | null>('Which machine is the master?', [
          ...peers,
          { name: 'another one', value: null },
        ]);
  return chosen ?? (await questions.write('Name or address of the master', problemOfMaster)).trim();
}

function problemOfMaster(text: string): string | null {
  return problemOf(() => parseMaster(text.trim()));
}

function problemOfToken(text: string): string | null {
  return text.trim() === '' ? null : problemOf(() => parseJoinToken(text));
}

function problemOf(parse: () => unknown): string | null {
  try {
    parse();
    return null;
  } catch (error) {
    if (error instanceof FederationError) return `${error.message}: ${error.hint}`;
    throw error;
  }
}

function terminalQuestions(signal: AbortSignal): Questions {
  return {
    async choose(question, choices) {
      const { select } = await import('@inquirer/prompts');
      return ask((on) => select({ message: question, choices: [...choices] }, on), signal);
    },
    async write(question, check) {
      const { input } = await import('@inquirer/prompts');
      return ask((on) => input({ message: question, validate: (text) => check(text) ?? true }, on), signal);
    },
    writeHidden: (question, check) => askHidden(question, signal, check),
  };
}
