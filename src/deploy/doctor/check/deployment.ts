import type { MachineFinding } from '#src/deploy/doctor/finding.ts';
import { asDeployer } from '#src/deploy/as-root.ts';
import type { Facts } from '#src/deploy/facts.ts';

/** Whether a deployment is there, and came to its end. */
export function checkDeployment(facts: Facts): MachineFinding {
  const { record } = facts;
  const check = 'deployment';
  if (record === null) {
    return {
      check,
      state: 'fail',
      found: 'this machine is in no federation',
      why: 'there is nothing of ours here that could be examined',
      mend: 'deploy-federation',
    };
  }
  const { role, master } = record.wanted;
  const again = (words: string): string => asDeployer(facts, words);
  switch (record.state) {
    case 'deployed':
      return { check, state: 'ok', found: master === null ? role : `${role} of ${master.host}` };
    case 'applying':
      return {
        check,
        state: 'fail',
        found: `the deployment as ${role} was not finished`,
        why: 'what is not set up yet can’t work',
        mend: again(`deploy-federation ${role} --resume`),
      };
    case 'kept':
      return {
        check,
        state: 'fail',
        found: `this machine is in no federation any more; something of it as ${role} was kept`,
        why: 'there is nothing of ours here that could be examined',
        mend: `deploy-federation; or take away what was kept: ${again('deploy-federation uninstall')}`,
      };
    case 'removing':
      return {
        check,
        state: 'fail',
        found: 'the removal was not finished',
        why: 'some of it is gone, and some still runs',
        mend: again('deploy-federation uninstall'),
      };
  }
}
