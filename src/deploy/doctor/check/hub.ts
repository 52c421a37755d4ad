import { peerNamed } from '#src/core/peer.ts';
import { fingerprint } from '#src/core/node.ts';
import type { Answers } from '#src/deploy/doctor/answers.ts';
import type { HubAnswer } from '#src/deploy/doctor/ask/hub.ts';
import type { Deployed } from '#src/deploy/doctor/deployed.ts';
import type { MachineFinding } from '#src/deploy/doctor/finding.ts';
import { asRoot } from '#src/deploy/as-root.ts';
import { deployAgain, spanText, systemctl } from '#src/deploy/doctor/words.ts';
import type { Facts } from '#src/deploy/facts.ts';
import { fileIn } from '#src/deploy/facts.ts';
import { hubAddressText } from '#src/core/hub-address.ts';
import { shellWord } from '#src/core/shell-word.ts';

type Reached = Extract<HubAnswer, { readonly state: 'answers' }>;

/** Whether the hub is reached from this machine, and is the one that it joined. */
export function checkHub(
  facts: Facts,
  deployed: Deployed,
  { hub, tailnet }: Pick<Answers, 'hub' | 'tailnet'>,
): MachineFinding {
  const { isMaster } = deployed;
  const where = hubAddressText(deployed.hub);
  const check = 'hub';
  const why = isMaster ? 'without the hub no command reaches any node' : 'nothing can be run here from the master';
  if (hub.state === 'answers') return pinFinding(facts, deployed, hub);
  if (hub.state === 'foreign') {
    const mend = isMaster
      ? asRoot(facts, `ss -ltnp "sport = :${deployed.hub.port}"`)
      : deployAgain(facts, deployed.wanted);
    return { check, state: 'fail', found: `at ${where}: ${hub.problem}`, why, mend };
  }
  const peer = peerNamed(facts.tailscale.peers, deployed.hub.host);
  const isGone = tailnet?.online.get(peer?.dnsName ?? deployed.hub.host) === false;
  return {
    check,
    state: 'fail',
    found: isGone
      ? `the tailnet does not see ${deployed.hub.host}`
      : `not reached at ${where} from here: ${hub.problem}`,
    why,
    mend: isMaster
      ? systemctl(facts, 'restart', { name: 'federation-hub.service', scope: facts.place.scope })
      : `on the master: ${isGone ? 'tailscale status' : 'deploy-federation doctor'}`,
  };
}

function pinFinding(facts: Facts, { hub }: Deployed, { hubId, version }: Reached): MachineFinding {
  const path = facts.place.hubPin;
  const pinned = fileIn(facts, path)?.text.trim() ?? '';
  const where = hubAddressText(hub);
  if (hubId === null || pinned === '' || pinned === hubId) {
    return { check: 'hub', state: 'ok', found: `version ${version} at ${where}` };
  }
  return {
    check: 'hub',
    state: 'fail',
    found: `the hub at ${where} is ${fingerprint(hubId)}, and this node joined ${fingerprint(pinned)}`,
    why: 'somebody else may answer in the master’s name, so this node does not obey it',
    mend: `only if you set up the master anew: rm ${shellWord(path)}`,
  };
}

/** Whether this machine and the hub understand each other. `ours`: versions of the link protocol. */
export function checkVersions(
  facts: Facts,
  { wanted, isMaster }: Deployed,
  { hub, program }: Pick<Answers, 'hub' | 'program'>,
  ours: readonly number[],
): MachineFinding[] {
  if (hub.state !== 'answers') return [];
  const { version, protocol } = hub;
  const own = program?.code === 0 ? program.stdout.trim() : null;
  const check = 'versions';
  if (protocol !== null && !ours.some((one) => one >= protocol.min && one <= protocol.max)) {
    const isBehind = Math.max(...ours) < protocol.min;
    return [
      {
        check,
        state: 'fail',
        found: `the hub (${version}) and this version do not understand each other`,
        why: 'the worker is turned away until both speak a version of the protocol that they share',
        mend: isBehind
          ? 'npm install --global openclaw-federation, then deploy again'
          : `on the master: deploy-federation master`,
      },
    ];
  }
  if (own === null || own === version) return [];
  return [
    {
      check,
      state: 'warn',
      found: `the hub is ${version}, this machine ${own}`,
      why: isMaster ? 'the hub still runs what was deployed before' : 'newer features work only where both have them',
      mend: isMaster
        ? systemctl(facts, 'restart', { name: 'federation-hub.service', scope: facts.place.scope })
        : deployAgain(facts, wanted),
    },
  ];
}

/** Times in logs and audit are compared between machines; tokens and certificates expire by them. */
const CLOCK_MS = 30_000;

export function checkClock(facts: Facts, { hub }: Pick<Answers, 'hub'>): MachineFinding[] {
  if (hub.state !== 'answers' || hub.clockAheadMs === null) return [];
  const { clockAheadMs } = hub;
  if (Math.abs(clockAheadMs) < CLOCK_MS) return [{ check: 'clock', state: 'ok', found: 'the same as the master’s' }];
  return [
    {
      check: 'clock',
      state: 'warn',
      found: `${spanText(clockAheadMs)} ${clockAheadMs > 0 ? 'behind' : 'ahead of'} the master’s`,
      why: 'times in logs don’t fit together, and what expires does so at the wrong time',
      mend: asRoot(facts, 'timedatectl set-ntp true'),
    },
  ];
}
