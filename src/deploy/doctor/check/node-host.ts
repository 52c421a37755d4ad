import type { Answers } from '#src/deploy/doctor/answers.ts';
import type { Deployed } from '#src/deploy/doctor/deployed.ts';
import type { MachineFinding } from '#src/deploy/doctor/finding.ts';
import { journal, systemctl } from '#src/deploy/doctor/words.ts';
import type { Facts } from '#src/deploy/facts.ts';

/** Whether the gateway sees OpenClaw’s node host of this machine, in the words of the daemon that keeps it. */
export function checkNodeHost(
  facts: Facts,
  { worker: home }: Deployed,
  { worker }: Pick<Answers, 'worker'>,
): MachineFinding[] {
  if (home.settings.settings?.nodeHost.enabled !== true || worker === null || worker.nodeHost === null) return [];
  const unit = { name: 'openclaw-worker.service', scope: facts.place.scope };
  const problem = worker.nodeHostProblem;
  const warns = (found: string, mend: string): MachineFinding[] => [
    { check: 'node host', state: 'warn', found, why: 'the agent can’t use OpenClaw’s own commands here', mend },
  ];
  switch (worker.nodeHost) {
    case 'connected':
      return [{ check: 'node host', state: 'ok', found: 'connected to the gateway' }];
    case 'running':
      return warns(
        `it runs, and the gateway does not see it${problem === null ? '' : ` (${problem})`}`,
        journal(facts, unit),
      );
    case 'waiting':
      return warns(`it is not started: ${problem ?? 'the worker is not linked'}`, journal(facts, unit));
    case 'off':
      return warns('the worker has not read its settings since they ask for one', systemctl(facts, 'restart', unit));
  }
}
