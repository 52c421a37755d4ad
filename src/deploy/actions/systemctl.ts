import type { Command, Ran } from '#src/adapters/machine/machine.ts';
import type { UnitName } from '#src/deploy/action.ts';
import type { Context } from '#src/deploy/actions/context.ts';
import type { Scope } from '#src/deploy/place.ts';

/** Asks systemd, or the person's own instance of it. */
export function systemctl(context: Context, scope: Scope, words: readonly string[]): Promise<Ran> {
  return context.machine.run(systemCommand(context, scope, 'systemctl', words));
}

/** The last lines that a unit's programs have said. */
export async function journalOf(context: Context, scope: Scope, unit: string): Promise<string[]> {
  const words = ['--unit', unit, '--lines', '10', '--no-pager', '--output', 'cat'];
  const { stdout } = await context.machine.run(systemCommand(context, scope, 'journalctl', words));
  return stdout.split('\n').flatMap((line) => line.trim() || []);
}

/** What a person types to see more of them. */
export function journalCommand({ machine }: Pick<Context, 'machine'>, { name, scope }: UnitName): string {
  const isRoot = machine.isLocal && process.getuid?.() === 0 && process.env['SUDO_USER'] === undefined;
  const program = scope === 'user' ? 'journalctl --user' : isRoot ? 'journalctl' : 'sudo journalctl';
  return `${program} -u ${name} -n 20`;
}

export function systemCommand(
  { person, signal }: Context,
  scope: Scope,
  program: string,
  words: readonly string[],
): Command {
  if (scope === 'system') return { argv: [program, ...words], as: 'root', signal };
  return { argv: [program, '--user', ...words], as: person, signal };
}
