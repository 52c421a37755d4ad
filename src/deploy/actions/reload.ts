import { perform } from '#src/adapters/machine/perform.ts';
import type { Scope } from '#src/deploy/place.ts';
import type { Context } from '#src/deploy/actions/context.ts';
import type { ActionKind } from '#src/deploy/actions/kind.ts';
import { systemCommand } from '#src/deploy/actions/systemctl.ts';

/** systemd reads its unit files again; taken back once they are gone. */
export const reload: ActionKind<'reload'> = {
  key: ({ scope }) => `reload ${scope}`,
  describe: ({ scope }) => (scope === 'system' ? 'let systemd read its units' : 'let your systemd read its units'),
  before: () => Promise.resolve(null),
  apply: ({ scope }, context) => readUnits(context, scope),
  undo: ({ scope }, _before, context) => readUnits(context, scope),
};

async function readUnits(context: Context, scope: Scope): Promise<void> {
  const command = systemCommand(context, scope, 'systemctl', ['daemon-reload']);
  await perform(context.machine, command, { what: 'let systemd read its units' });
}
