import { perform } from '#src/adapters/machine/perform.ts';
import type { ActionOf } from '#src/deploy/action.ts';
import type { Context } from '#src/deploy/actions/context.ts';
import type { ActionKind } from '#src/deploy/actions/kind.ts';
import { until } from '#src/deploy/condition.ts';

/** One file for each user who lingers (systemd-logind). */
const LINGERING = '/var/lib/systemd/linger';
const MANAGER_MS = 20_000;

export const linger: ActionKind<'linger', { readonly lingered: boolean }> = {
  key: ({ user }) => `linger ${user}`,
  isSo: (_action, facts) => facts.systemd.linger,
  describe: ({ user }) => `let services of ${user} run while nobody is logged in`,
  async before({ user }, { machine, signal }) {
    const looked = await machine.run({ argv: ['test', '-e', `${LINGERING}/${user}`], as: 'login', signal });
    return { lingered: looked.code === 0 };
  },
  async apply(action, context) {
    await loginctl(context, 'enable-linger', action);
    const { machine, person, signal } = context;
    await until({
      what: `the systemd of ${action.user}`,
      withinMs: MANAGER_MS,
      look: async () => {
        const argv = ['systemctl', '--user', 'show-environment'] as const;
        const { code } = await machine.run({ argv, as: person, signal });
        return code === 0 || null;
      },
      hint: `systemctl status user@${person.uid}.service`,
      signal,
    });
  },
  async undo(action, { lingered }, context) {
    if (!lingered) await loginctl(context, 'disable-linger', action);
  },
};

async function loginctl({ machine, place, person, signal }: Context, verb: string, { user }: ActionOf<'linger'>) {
  const as = place.scope === 'system' ? 'root' : person;
  await perform(
    machine,
    { argv: ['loginctl', verb, user], as, signal },
    { what: `${verb} for ${user}`, hint: `sudo loginctl ${verb} ${user}` },
  );
}
