import { join } from 'node:path/posix';
import type { ActionOf, UnitName } from '#src/deploy/action.ts';
import type { Answers } from '#src/deploy/doctor/answers.ts';
import type { UnitAnswer } from '#src/deploy/doctor/ask/units.ts';
import type { Deployed } from '#src/deploy/doctor/deployed.ts';
import type { Fix, MachineFinding } from '#src/deploy/doctor/finding.ts';
import { deployAgain, journal, reload, systemctl } from '#src/deploy/doctor/words.ts';
import type { Facts } from '#src/deploy/facts.ts';
import { fileIn } from '#src/deploy/facts.ts';

/** A few are what updates and a short trouble bring. */
const RESTARTS = 5;

/** Whether each unit of ours is as it was written, starts at boot, and runs. */
export function checkUnits(facts: Facts, deployed: Deployed, { units }: Pick<Answers, 'units'>): MachineFinding[] {
  return deployed.units.map((unit) => unitFinding(facts, deployed, unit, units.get(unit.name) ?? null));
}

function unitFinding(facts: Facts, deployed: Deployed, unit: UnitName, answer: UnitAnswer | null): MachineFinding {
  const check = `unit ${unit.name}`;
  const written = writtenUnit(facts, unit);
  const file = fileIn(facts, join(facts.place.units, unit.name));
  const why = WHY[unit.name] ?? 'what it runs is part of the federation';
  if (answer === null || answer.load === 'not-found' || file === null) {
    const fix = written === null ? [] : rewritten(unit, written, false);
    return { check, state: 'fail', found: 'it is gone', why, mend: deployAgain(facts, deployed.wanted), fix };
  }
  if (answer.load === 'masked') {
    return { check, state: 'fail', found: 'it is masked', why, mend: systemctl(facts, 'unmask', unit) };
  }
  const running = stateFinding(facts, unit, answer, { check, why });
  if (written !== null && file.text !== written.text) {
    return {
      check,
      state: running.state === 'fail' ? 'fail' : 'warn',
      found: `its file is not as it was deployed${running.state === 'fail' ? `, and ${running.found}` : ''}`,
      why: 'the next deployment writes it anew; what should last belongs into a drop-in (systemctl edit)',
      mend: deployAgain(facts, deployed.wanted),
      fix: rewritten(unit, written, answer.active === 'active'),
    };
  }
  return running;
}

function stateFinding(
  facts: Facts,
  unit: UnitName,
  answer: UnitAnswer,
  { check, why }: { readonly check: string; readonly why: string },
): MachineFinding {
  const { file, active, sub, result, restarts, stale } = answer;
  const isWaited = BY_PATH.has(unit.name);
  if (sub === 'auto-restart' || restarts >= RESTARTS) {
    const found = `it was started anew ${restarts} times${result === 'success' ? '' : `, the last run ended with ${result}`}`;
    const state = sub === 'auto-restart' ? 'fail' : 'warn';
    return { check, state, found, why, mend: journal(facts, unit) };
  }
  const starts: ActionOf<'unit'> = { do: 'unit', unit, want: { enabled: true, active: true }, restart: false };
  if (isWaited && active === 'inactive') return { check, state: 'ok', found: 'it runs when there are rules' };
  if (active !== 'active' && active !== 'activating' && active !== 'reloading') {
    return {
      check,
      state: 'fail',
      found:
        result === 'success' || result === ''
          ? 'it does not run'
          : `it does not run, its last run ended with ${result}`,
      why,
      mend: systemctl(facts, 'enable --now', unit),
      fix: isWaited ? [] : [starts],
    };
  }
  if (!isWaited && file !== 'enabled') {
    return {
      check,
      state: 'fail',
      found: `it runs, and does not start at boot (${file || 'unknown'})`,
      why: 'after a power cut this machine would be missing',
      mend: systemctl(facts, 'enable', unit),
      fix: [starts],
    };
  }
  if (stale) {
    return {
      check,
      state: 'warn',
      found: 'systemd has not read its file since it changed',
      why: 'what runs is what the file said before',
      mend: `${reload(facts, unit.scope)} && ${systemctl(facts, 'restart', unit)}`,
      fix: [{ do: 'reload', scope: unit.scope }, ...(isWaited ? [] : [{ ...starts, restart: true }])],
    };
  }
  return { check, state: 'ok', found: isWaited ? 'it runs' : 'it runs, and starts at boot' };
}

/** Not enabled: a unit of another kind starts it when there is something for it to do. */
const BY_PATH: ReadonlySet<string> = new Set(['auto-register.service']);

const WHY: Readonly<Record<string, string>> = {
  'federation-hub.service': 'without the hub no command reaches any node',
  'federation-hub.socket': 'manage-federation reaches the hub by it',
  'federation-hub-plugin.socket': 'OpenClaw reaches the hub by it, when somebody asks in a chat',
  'auto-register.service': 'without it every node waits for a person, whatever the rules say',
  'auto-register.path': 'without it nothing judges by the rules when they come',
  'openclaw-worker.service': 'without it nothing can be run here from the master',
  'openclaw-gateway.service': 'without the gateway there is no chat, and no agent',
};

type Write = ActionOf<'write'>;

/** The unit’s file as the last deployment wrote it. */
function writtenUnit({ record, place }: Facts, { name }: UnitName): Write | null {
  const path = join(place.units, name);
  const writes = (record?.entries ?? []).flatMap(({ action }) =>
    action.do === 'write' && action.path === path ? [action] : [],
  );
  return writes.at(-1) ?? null;
}

function rewritten(unit: UnitName, file: Write, restart: boolean): readonly Fix[] {
  return [
    file,
    { do: 'reload', scope: unit.scope },
    ...(BY_PATH.has(unit.name)
      ? []
      : [{ do: 'unit', unit, want: { enabled: true, active: true }, restart } satisfies Fix]),
  ];
}

/** Whether a person’s units run while they are not logged in. */
export function checkLinger({ place, systemd, person, login }: Facts): MachineFinding[] {
  if (place.scope !== 'user') return [];
  if (systemd.linger) return [{ check: 'linger', state: 'ok', found: `${person.name}’s services run without a login` }];
  return [
    {
      check: 'linger',
      state: 'fail',
      found: `${person.name}’s services end when ${person.name} logs out`,
      why: 'the federation loses this machine then, and after each boot',
      mend: login.name === person.name ? 'loginctl enable-linger' : `loginctl enable-linger ${person.name}`,
      fix: [{ do: 'linger', user: person.name }],
    },
  ];
}
