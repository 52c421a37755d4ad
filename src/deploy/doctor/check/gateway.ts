import { parse } from 'jsonc-parser';
import type { Deployed } from '#src/deploy/doctor/deployed.ts';
import type { MachineFinding } from '#src/deploy/doctor/finding.ts';
import type { Facts } from '#src/deploy/facts.ts';
import { valueAt } from '#src/deploy/settings-value.ts';
import { shellWord } from '#src/core/shell-word.ts';

/** On a master: whether OpenClaw’s gateway is closed to everybody but us and its owner. */
export function checkGateway(facts: Facts, { isMaster, wanted }: Deployed): MachineFinding[] {
  if (!isMaster || wanted.light) return [];
  const { settings, port, listening } = facts.gateway;
  const path = facts.place.openclawSettings;
  const check = 'gateway';
  if (settings === null) {
    const why = 'the gateway starts with settings that nobody chose';
    return [{ check, state: 'fail', found: `${path} is missing`, why, mend: 'deploy-federation master' }];
  }
  const values: unknown = parse(settings.text, [], { allowTrailingComma: true });
  const problems = [...openFile(path, settings.mode), ...wideOpen(values)];
  if (!listening) {
    problems.unshift({
      check,
      state: 'fail',
      found: `nothing listens on its port ${port}`,
      why: 'there is no chat and no agent, and node hosts can’t join',
      mend: 'openclaw gateway status',
    });
  }
  return problems.length > 0 ? problems : [{ check, state: 'ok', found: `on loopback, port ${port}` }];
}

function openFile(path: string, mode: number): MachineFinding[] {
  if ((mode & 0o077) === 0) return [];
  const argv = ['chmod', '600', '--', path] as const;
  return [
    {
      check: 'gateway token',
      state: 'fail',
      found: `others can read ${path}`,
      why: 'whoever has the gateway’s token in it is its operator',
      mend: `chmod 600 ${shellWord(path)}`,
      fix: [
        {
          do: 'run',
          title: 'Close OpenClaw’s settings to others',
          argv,
          owner: 'person',
          undo: null,
          hint: `chmod 600 ${path}`,
        },
      ],
    },
  ];
}

const LOCAL_APPROVAL = 'gateway.nodes.pairing.autoApproveLocal';

function wideOpen(values: unknown): MachineFinding[] {
  const problems: MachineFinding[] = [];
  const bind = valueAt(values, 'gateway.bind') ?? 'loopback';
  if (bind !== 'loopback') {
    problems.push({
      check: 'gateway bind',
      state: 'warn',
      found: `the gateway listens beyond this machine (gateway.bind: ${JSON.stringify(bind)})`,
      why: 'nodes of a federation reach it through the hub; every other door is one more to guard',
      mend: 'openclaw config set gateway.bind loopback',
    });
  }
  const mode = valueAt(values, 'gateway.auth.mode');
  const hasToken = typeof valueAt(values, 'gateway.auth.token') === 'string';
  if (mode === 'none' || (mode !== 'password' && !hasToken)) {
    problems.push({
      check: 'gateway token',
      state: 'fail',
      found: 'the gateway has no token',
      why: 'any program on this machine can be its operator, and the hub can’t log in',
      mend: 'deploy-federation master',
    });
  }
  if (valueAt(values, LOCAL_APPROVAL) !== false) {
    problems.push({
      check: 'gateway pairing',
      state: 'fail',
      found: 'the gateway lets in whoever looks local',
      why: 'every node that the hub carries to it looks local, so it would let in all of them',
      mend: `openclaw config set ${LOCAL_APPROVAL} false`,
    });
  }
  return problems;
}
