import { perform } from '#src/adapters/machine/perform.ts';
import { userOf } from '#src/deploy/actions/context.ts';
import type { ActionKind } from '#src/deploy/actions/kind.ts';

export const run: ActionKind<'run'> = {
  key: ({ title, undo }) => (undo === null ? null : `run ${title}`),
  isTailnet: ({ argv }) => argv.includes('tailscale'),
  describe: ({ title }) => title.slice(0, 1).toLowerCase() + title.slice(1),
  before: () => Promise.resolve(null),
  async apply({ title, argv, owner, environment, hint }, context) {
    const { machine, signal, progress: onLine } = context;
    const as = await userOf(context, owner);
    const command = { argv, as, onLine, signal, ...(environment === undefined ? {} : { environment }) };
    await perform(machine, command, { what: title.slice(0, 1).toLowerCase() + title.slice(1), hint });
  },
  async undo({ title, undo, owner, environment }, _before, context) {
    if (undo === null) return;
    const { machine, signal, progress: onLine } = context;
    const as = await userOf(context, owner);
    const command = { argv: undo, as, onLine, signal, ...(environment === undefined ? {} : { environment }) };
    await perform(machine, command, { what: `take back “${title}”` });
  },
};
