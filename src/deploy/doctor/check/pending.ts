import type { Answers } from '#src/deploy/doctor/answers.ts';
import type { FederationAnswer } from '#src/deploy/doctor/ask/federation.ts';
import type { Deployed } from '#src/deploy/doctor/deployed.ts';
import type { MachineFinding } from '#src/deploy/doctor/finding.ts';
import { shellWord } from '#src/core/shell-word.ts';

/** On a master: who waits for the person, at our door or at OpenClaw’s. */
export function checkPending({ isMaster }: Deployed, { federation }: Pick<Answers, 'federation'>): MachineFinding[] {
  if (!isMaster) return [];
  if (federation === null) {
    return [
      {
        check: 'pending',
        state: 'warn',
        found: 'the hub can’t be asked',
        why: 'nodes may wait for approval without anybody knowing',
        mend: 'manage-federation pending',
      },
    ];
  }
  return [pendingFinding(federation), ...nodeHostFindings(federation)];
}

function pendingFinding({ pending }: FederationAnswer): MachineFinding {
  const waiting = pending.filter(({ rejected }) => !rejected);
  const [first] = waiting;
  if (first === undefined) return { check: 'pending', state: 'ok', found: 'no node waits' };
  const names = waiting.map(({ name, held }) => (held === null ? name : `${name} (${held})`));
  const isPlain = waiting.length === 1 && first.held === null;
  return {
    check: 'pending',
    state: 'warn',
    found: `${names.join(', ')} ${waiting.length === 1 ? 'waits' : 'wait'} for approval`,
    why: 'nothing can be run on a node that was not let in',
    mend: isPlain ? `manage-federation approve ${shellWord(first.name)}` : 'manage-federation pending',
  };
}

/** A node host that OpenClaw knows and offers nothing was let in by half: connected, with no commands. */
function nodeHostFindings({ nodes }: FederationAnswer): MachineFinding[] {
  return nodes
    .filter(({ state }) => state === 'online')
    .flatMap(({ name, openclaw: { nodeHost, commands } }): MachineFinding[] => {
      const check = `node host of ${name}`;
      const why = 'the agent can’t use OpenClaw’s own commands there';
      if (nodeHost === 'none') return [];
      if (nodeHost === 'connected' && commands.length > 0) return [{ check, state: 'ok', found: 'connected' }];
      if (nodeHost === 'connected') {
        return [{ check, state: 'warn', found: 'the gateway let it in by half', why, mend: 'openclaw nodes pending' }];
      }
      return [
        {
          check,
          state: 'warn',
          found: WORDS[nodeHost],
          why,
          mend: `on ${shellWord(name)}: deploy-federation doctor`,
        },
      ];
    });
}

const WORDS = {
  unpaired: 'the gateway does not know it',
  disconnected: 'it is not connected to the gateway',
  unknown: 'the gateway can’t be asked',
} as const;
