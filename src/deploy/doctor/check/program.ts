import { join } from 'node:path/posix';
import { shellWord } from '#src/core/shell-word.ts';
import type { Answers } from '#src/deploy/doctor/answers.ts';
import type { Deployed } from '#src/deploy/doctor/deployed.ts';
import type { MachineFinding } from '#src/deploy/doctor/finding.ts';
import { deployAgain } from '#src/deploy/doctor/words.ts';
import type { Facts } from '#src/deploy/facts.ts';
import { compareVersions } from '#src/deploy/openclaw-version.ts';

/** The package that looks. */
export interface Looking {
  readonly version: string;
  /** Path of its `deploy-federation`: on PATH that of a deployment may come first. */
  readonly program: string;
}

/** Whether our programs start there, and are those of this version. */
export function checkProgram(
  facts: Facts,
  { wanted }: Deployed,
  { program }: Pick<Answers, 'program'>,
  looking: Looking,
): MachineFinding {
  const check = 'program';
  if (program === null || program.code !== 0) {
    return {
      check,
      state: 'fail',
      found: `our programs do not start: ${lastLine(program?.stderr ?? '') || `nothing in ${facts.place.bin}`}`,
      why: 'after the next restart nothing of the federation runs here',
      mend: deployAgain(facts, wanted),
    };
  }
  const found = program.stdout.trim();
  if (found === looking.version) return { check, state: 'ok', found: `version ${found}` };
  const isOlder = compareVersions(found, looking.version) < 0;
  return {
    check,
    state: 'warn',
    found: `version ${found} is deployed, and this is ${looking.version}`,
    why: 'what is said below is meant for another version',
    mend: isOlder
      ? deployAgain(facts, wanted, shellWord(looking.program))
      : `use the one that is deployed there: ${join(facts.place.commands, 'deploy-federation')}`,
  };
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? '';
}
