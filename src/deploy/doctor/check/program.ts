import type { Answers } from '#src/deploy/doctor/answers.ts';
import type { Deployed } from '#src/deploy/doctor/deployed.ts';
import type { MachineFinding } from '#src/deploy/doctor/finding.ts';
import { deployAgain } from '#src/deploy/doctor/words.ts';
import type { Facts } from '#src/deploy/facts.ts';
import { compareVersions } from '#src/deploy/openclaw-version.ts';

/** Whether our programs start there, and are those of this version. `version`: of the package that looks. */
export function checkProgram(
  facts: Facts,
  { wanted }: Deployed,
  { program }: Pick<Answers, 'program'>,
  version: string,
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
  if (found === version) return { check, state: 'ok', found: `version ${found}` };
  const isOlder = compareVersions(found, version) < 0;
  return {
    check,
    state: 'warn',
    found: `version ${found} is deployed, and this is ${version}`,
    why: 'what is said below is meant for another version',
    mend: isOlder ? deployAgain(facts, wanted) : 'run the deploy-federation that is deployed on this machine',
  };
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? '';
}
