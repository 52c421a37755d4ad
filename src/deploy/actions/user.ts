import { perform } from '#src/adapters/machine/perform.ts';
import type { Context } from '#src/deploy/actions/context.ts';
import type { ActionKind } from '#src/deploy/actions/kind.ts';

export const user: ActionKind<'user', { readonly existed: boolean }> = {
  key: ({ name }) => `user ${name}`,
  isSo: (_action, facts) => facts.hubUserExists,
  // What it owns would be nobody's.
  isData: () => true,
  describe: ({ name }) => `make the system user ${name}`,
  async before({ name }, context) {
    return { existed: await exists(context, 'passwd', name) };
  },
  async apply({ name, home }, context) {
    if (await exists(context, 'passwd', name)) return;
    const argv = ['useradd', '--system', '--user-group', '--no-create-home', '--home-dir', home];
    await asRoot(context, [...argv, '--shell', '/usr/sbin/nologin', name], `make the user ${name}`);
  },
  async undo({ name }, { existed }, context) {
    if (existed) return;
    if (await exists(context, 'passwd', name)) await asRoot(context, ['userdel', name], `remove the user ${name}`);
    // Not everywhere does the group go with its user.
    if (await exists(context, 'group', name)) await asRoot(context, ['groupdel', name], `remove the group ${name}`);
  },
};

async function exists({ machine, signal }: Context, database: string, name: string): Promise<boolean> {
  return (await machine.run({ argv: ['getent', database, name], as: 'login', signal })).code === 0;
}

async function asRoot({ machine, signal }: Context, argv: string[], what: string): Promise<void> {
  await perform(machine, { argv: argv as [string, ...string[]], as: 'root', signal }, { what });
}
