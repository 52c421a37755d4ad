import type { Answers } from '#src/deploy/doctor/answers.ts';
import type { Deployed } from '#src/deploy/doctor/deployed.ts';
import type { MachineFinding } from '#src/deploy/doctor/finding.ts';
import { asRoot } from '#src/deploy/as-root.ts';
import { deployAgain, spanText } from '#src/deploy/doctor/words.ts';
import type { Facts } from '#src/deploy/facts.ts';

/** A person needs some days to notice, and to get at a machine that stands elsewhere. */
const EXPIRY_MS = 14 * 86_400_000;
const CUT_OFF = 'this machine and the rest of the federation can’t reach each other';

/** Whether the machine is in the tailnet, and stays in it. */
export function checkTailnet(
  facts: Facts,
  { wanted }: Deployed,
  { tailnet }: Pick<Answers, 'tailnet'>,
): MachineFinding {
  const { installed, state, dnsName, addresses } = facts.tailscale;
  const check = 'tailscale';
  if (!wanted.tailscale.use) return { check, state: 'ok', found: 'not used' };
  const fails = (found: string, mend: string): MachineFinding => ({ check, state: 'fail', found, why: CUT_OFF, mend });
  if (installed === null) return fails('it is not installed', deployAgain(facts, wanted));
  if (state === null) return fails('its service does not run', asRoot(facts, 'systemctl enable --now tailscaled'));
  if (state === 'NeedsMachineAuth') {
    return fails('this machine waits to be admitted to the tailnet', 'open https://login.tailscale.com/admin/machines');
  }
  if (state === 'Starting') {
    return { check, state: 'warn', found: 'it is just starting', why: CUT_OFF, mend: 'tailscale status' };
  }
  if (tailnet?.isExpired === true) {
    return fails('its login has expired', asRoot(facts, 'tailscale up --force-reauth'));
  }
  if (state !== 'Running') {
    const found = state === 'NeedsLogin' ? 'it is not logged in' : `it is off (${state})`;
    return fails(found, asRoot(facts, 'tailscale up'));
  }
  const found = `${dnsName ?? 'connected'} (${addresses.join(', ')})`;
  const left = (tailnet?.expires ?? Infinity) - facts.machine.clock;
  if (left > EXPIRY_MS) return { check, state: 'ok', found };
  return {
    check,
    state: 'warn',
    found: `${found}, its login expires in ${spanText(left)}`,
    why: 'then it leaves the tailnet until a person logs it in again; key expiry can be switched off in the admin console',
    mend: asRoot(facts, 'tailscale up --force-reauth'),
  };
}

/** Whether the machine’s own resolver knows the master by its name. */
export function checkName(
  facts: Facts,
  { hub, hubAddresses }: Deployed,
  { resolved }: Pick<Answers, 'resolved'>,
): MachineFinding[] {
  if (resolved === null) return [];
  const check = 'name';
  const mend = asRoot(facts, 'tailscale set --accept-dns=true');
  const [known] = hubAddresses;
  if (resolved.length === 0) {
    return known === undefined
      ? [
          {
            check,
            state: 'fail',
            found: `${hub.host} is no name that this machine or its tailnet knows`,
            why: 'the worker can’t find the master',
            mend: 'tailscale status',
          },
        ]
      : [
          {
            check,
            state: 'warn',
            found: `this machine does not resolve ${hub.host}; the worker takes ${known} from Tailscale’s own list`,
            why: 'other programs here don’t find the master by its name',
            mend,
          },
        ];
  }
  if (known !== undefined && !resolved.some((address) => hubAddresses.includes(address))) {
    return [
      {
        check,
        state: 'warn',
        found: `${hub.host} is ${resolved.join(', ')} here, and ${known} in the tailnet`,
        why: 'the worker may dial another machine, which it would not obey',
        mend,
      },
    ];
  }
  return [{ check, state: 'ok', found: `${hub.host} is ${resolved.join(', ')}` }];
}
