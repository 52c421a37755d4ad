import type { Command, Machine } from '#src/adapters/machine/machine.ts';
import type { UnitName } from '#src/deploy/action.ts';
import { look } from '#src/deploy/doctor/ask/look.ts';
import type { Facts } from '#src/deploy/facts.ts';

/** A unit in systemd's words (systemctl(1), show). */
export interface UnitAnswer {
  /** `loaded`, `not-found`, `masked`, `bad-setting` … */
  readonly load: string;
  /** `enabled`, `disabled`, `static` … */
  readonly file: string;
  /** `active`, `activating`, `failed`, `inactive` … */
  readonly active: string;
  /** `auto-restart` between two starts. */
  readonly sub: string;
  /** `success`, `exit-code`, `signal`, `oom-kill` … of the last run. */
  readonly result: string;
  /** How often systemd started it anew by itself. */
  readonly restarts: number;
  /** Its file is newer than what systemd read. */
  readonly stale: boolean;
}

const PROPERTIES = [
  'Id',
  'LoadState',
  'UnitFileState',
  'ActiveState',
  'SubState',
  'Result',
  'NRestarts',
  'NeedDaemonReload',
];

/** By name; one that systemd does not speak of is missing. */
export async function askUnits(
  machine: Machine,
  facts: Facts,
  units: readonly UnitName[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, UnitAnswer>> {
  const answers = new Map<string, UnitAnswer>();
  for (const scope of ['system', 'user'] as const) {
    const names = units.filter((unit) => unit.scope === scope).map(({ name }) => name);
    if (names.length === 0) continue;
    const ran = await look(machine, show(facts, scope, names, signal));
    for (const [name, answer] of unitAnswers(ran?.stdout ?? '')) answers.set(name, answer);
  }
  return answers;
}

function show({ person }: Facts, scope: 'system' | 'user', names: readonly string[], signal: AbortSignal): Command {
  const words = ['show', `--property=${PROPERTIES.join(',')}`, '--', ...names];
  if (scope === 'system') return { argv: ['systemctl', ...words], as: 'login', signal };
  const environment = { XDG_RUNTIME_DIR: `/run/user/${person.uid}` };
  return { argv: ['systemctl', '--user', ...words], as: person, environment, signal };
}

/** Blocks of `Name=value` lines, with an empty line between two units. */
export function unitAnswers(text: string): Map<string, UnitAnswer> {
  const blocks = text
    .split('\n\n')
    .map((block) => new Map(block.split('\n').map((line) => splitOnce(line.trim(), '='))));
  return new Map(blocks.filter((block) => block.has('Id')).map((block) => [block.get('Id') ?? '', answerOf(block)]));
}

function answerOf(block: ReadonlyMap<string, string>): UnitAnswer {
  const value = (name: string): string => block.get(name) ?? '';
  return {
    load: value('LoadState'),
    file: value('UnitFileState'),
    active: value('ActiveState'),
    sub: value('SubState'),
    result: value('Result'),
    restarts: Number(value('NRestarts')) || 0,
    stale: value('NeedDaemonReload') === 'yes',
  };
}

function splitOnce(line: string, at: string): [string, string] {
  const index = line.indexOf(at);
  return index < 0 ? [line, ''] : [line.slice(0, index), line.slice(index + 1)];
}
