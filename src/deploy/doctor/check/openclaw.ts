import { join } from 'node:path/posix';
import { parse } from 'jsonc-parser';
import type { Answers } from '#src/deploy/doctor/answers.ts';
import type { Deployed } from '#src/deploy/doctor/deployed.ts';
import type { MachineFinding } from '#src/deploy/doctor/finding.ts';
import { asRoot } from '#src/deploy/as-root.ts';
import { deployAgain, systemctl } from '#src/deploy/doctor/words.ts';
import type { Facts } from '#src/deploy/facts.ts';
import { supportsOpenClaw } from '#src/deploy/openclaw-version.ts';
import { valueAt } from '#src/deploy/settings-value.ts';
import { shellWord } from '#src/core/shell-word.ts';

/** Whether OpenClaw is there in a version that we know, and stays at it. */
export function checkOpenClaw(
  facts: Facts,
  { wanted, worker }: Deployed,
  { nodeHostSettings }: Pick<Answers, 'nodeHostSettings'>,
): MachineFinding[] {
  if (wanted.light) return [];
  const { openclaw } = facts;
  const check = 'openclaw';
  const why = 'the agent and OpenClaw’s own commands are missing here';
  if (openclaw === null) {
    return [{ check, state: 'fail', found: 'it is not installed', why, mend: deployAgain(facts, wanted) }];
  }
  if (!supportsOpenClaw(openclaw.version)) {
    return [
      {
        check,
        state: 'fail',
        found: `version ${openclaw.version} is none that this version works with`,
        why: 'its protocol may differ, so that nothing connects',
        mend: `npm install --global openclaw@${wanted.openclawVersion}`,
      },
    ];
  }
  const findings: MachineFinding[] = [{ check, state: 'ok', found: `version ${openclaw.version}` }];
  const hasNodeHost = worker.settings.settings?.nodeHost.enabled === true && nodeHostSettings !== '';
  if (hasNodeHost && valueAt(parse(nodeHostSettings), 'nodeHost.autoUpdate.enabled') !== false) {
    const state = join(worker.path, 'openclaw');
    findings.push({
      check: 'openclaw updates',
      state: 'warn',
      found: 'the node host updates itself, every hour',
      why: 'one day it no longer fits the gateway, at a time that nobody chose',
      mend: `OPENCLAW_STATE_DIR=${shellWord(state)} openclaw config set nodeHost.autoUpdate.enabled false`,
    });
  }
  return findings;
}

/** On a worker its own gateway is off: it would think for itself, beside the master. */
export function checkOwnGateway(facts: Facts, { wanted }: Deployed): MachineFinding[] {
  const { gateway } = facts;
  if (wanted.role !== 'worker' || wanted.keepGateway || !gateway.listening) return [];
  return [
    {
      check: 'gateway',
      state: 'warn',
      found: `a gateway of this machine’s own listens on port ${gateway.port}`,
      why: 'it takes about 1 GB of memory, and answers chats beside the master’s; on purpose, say --keep-gateway',
      mend:
        gateway.unit === null
          ? asRoot(facts, `ss -ltnp "sport = :${gateway.port}"`)
          : systemctl(facts, 'disable --now', gateway.unit),
    },
  ];
}
