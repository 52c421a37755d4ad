import { isAbsolute, resolve } from 'node:path';
import { harmless, say } from '#src/adapters/terminal.ts';
import type { DeployFlags } from '#src/cli/deploy/flags.ts';
import type { DeployTools } from '#src/cli/deploy/tools.ts';
import { onMachine } from '#src/cli/deploy/deployment.ts';
import { noticed } from '#src/cli/deploy/notice.ts';
import { commandText } from '#src/cli/deploy/resume-text.ts';
import { printJson } from '#src/cli/print.ts';
import { FederationError } from '#src/core/errors.ts';
import { shellWord } from '#src/core/shell-word.ts';
import { refuseAsRoot } from '#src/deploy/root-deployment.ts';

export type RotateKeyFlags = Pick<DeployFlags, 'ssh' | 'runAs' | 'home' | 'yes' | 'json'>;

const INTERRUPTED = 130;

/** `deploy-federation rotate-key`: a new key for the worker of a machine, by the word of the one it has. Returns the exit code. */
export function rotateKey(flags: RotateKeyFlags, tools: DeployTools): Promise<number> {
  return onMachine(flags, tools, async (machine, signal) => {
    const asked = { scope: null, runAs: flags.runAs ?? null };
    const silent = flags.json === true;
    const facts = await noticed(`looking at ${machine.name}`, tools.gather(machine, asked, signal), silent);
    if (flags.home === undefined) refuseAsRoot(facts, 'deploy-federation rotate-key');
    const home = homeOf(flags, facts.place.workerHome);
    try {
      const rotated = await tools.rotateKey(
        machine,
        { person: facts.person, home, endRunning: flags.yes === true, progress: silent ? () => undefined : say },
        signal,
      );
      if (silent) printJson(rotated);
      else process.stdout.write(harmless(`${rotated.name}: ${rotated.before} is ${rotated.after} now\n`));
      return 0;
    } catch (error) {
      if (signal.aborted) {
        say('stopped waiting; a change that has begun comes to its end: deploy-federation doctor');
        return INTERRUPTED;
      }
      if (!(error instanceof FederationError) || error.code !== 'CONFIRMATION_NEEDED') throw error;
      throw new FederationError(error.code, error.message, {
        hint: `wait for the end, or: ${again(flags)}`,
        cause: error,
      });
    }
  });
}

/** Of this machine it may be said from here; of another only whole. */
function homeOf({ home, ssh }: RotateKeyFlags, deployed: string): string {
  if (home === undefined) return deployed;
  if (ssh === undefined) return resolve(home);
  if (isAbsolute(home)) return home;
  throw new FederationError('USAGE', '--home is no absolute path, and that machine has other folders than this one', {
    hint: 'name it whole: --home /home/USER/.openclaw-worker',
  });
}

/** The command that ends what runs. */
function again({ home, runAs, ssh }: RotateKeyFlags): string {
  const words = [
    ...(home === undefined ? [] : ['--home', shellWord(home)]),
    ...(runAs === undefined ? [] : ['--run-as', shellWord(runAs)]),
  ];
  return commandText(['rotate-key', ...words], { ...(ssh === undefined ? {} : { ssh }), yes: true });
}
