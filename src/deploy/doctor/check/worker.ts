import type { Answers } from '#src/deploy/doctor/answers.ts';
import type { MachineFinding } from '#src/deploy/doctor/finding.ts';
import { journal, systemctl } from '#src/deploy/doctor/words.ts';
import type { Facts } from '#src/deploy/facts.ts';
import { shellWord } from '#src/core/shell-word.ts';

/** Whether the worker daemon is linked to the hub as a member. */
export function checkWorker(facts: Facts, { worker, units }: Pick<Answers, 'worker' | 'units'>): MachineFinding {
  const unit = { name: 'openclaw-worker.service', scope: facts.place.scope };
  const check = 'worker';
  const why = 'nothing can be run here from the master';
  if (worker === null) {
    const isRunning = units.get(unit.name)?.active === 'active';
    return isRunning
      ? { check, state: 'fail', found: 'it runs, and has not said how it stands', why, mend: journal(facts, unit) }
      : { check, state: 'fail', found: 'it does not run', why, mend: systemctl(facts, 'restart', unit) };
  }
  switch (worker.link) {
    case 'member':
      return { check, state: 'ok', found: `linked to ${worker.hub} as ${worker.name}` };
    case 'waiting':
      return {
        check,
        state: 'warn',
        found:
          worker.held === null
            ? `${worker.name} (${worker.fingerprint}) waits for approval`
            : `${worker.name} (${worker.fingerprint}) is held: ${worker.held}`,
        why,
        mend:
          worker.held === null
            ? `on the master: manage-federation approve ${shellWord(worker.name)}`
            : 'on the master: manage-federation pending',
      };
    case 'refused':
      return {
        check,
        state: 'fail',
        found: `the hub turns it away: ${worker.problem?.message ?? 'no reason was given'}`,
        why,
        mend: worker.problem?.hint ?? 'on the master: manage-federation list',
      };
    case 'connecting':
      return {
        check,
        state: 'fail',
        found: `not linked: ${worker.problem?.message ?? `it is dialling ${worker.hub}`}`,
        why,
        mend: worker.problem?.hint ?? journal(facts, unit),
      };
  }
}
