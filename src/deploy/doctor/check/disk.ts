import type { Answers } from '#src/deploy/doctor/answers.ts';
import type { MachineFinding } from '#src/deploy/doctor/finding.ts';
import { asRoot } from '#src/deploy/as-root.ts';
import { sizeText } from '#src/deploy/doctor/words.ts';
import type { Facts } from '#src/deploy/facts.ts';
import { shellWord } from '#src/core/shell-word.ts';

/** An update lays a release of about 500 MB beside the one that runs. */
const WARN_BYTES = 1 << 30;
const FAIL_BYTES = 256 << 20;

/** Whether there is room where our programs and homes are. */
export function checkDisks(facts: Facts, { disks }: Pick<Answers, 'disks'>): MachineFinding[] {
  return disks.map(({ mountedAt, freeBytes }): MachineFinding => {
    const check = `disk ${mountedAt}`;
    const found = `${sizeText(freeBytes)} free`;
    if (freeBytes >= WARN_BYTES) return { check, state: 'ok', found };
    return {
      check,
      state: freeBytes < FAIL_BYTES ? 'fail' : 'warn',
      found,
      why: 'what can’t be recorded is not run, and an update needs room',
      mend: asRoot(facts, `du -xh -d2 ${shellWord(mountedAt)} | sort -h | tail`),
    };
  });
}
