import { join } from 'node:path/posix';
import { z } from 'zod';
import { perform } from '#src/adapters/machine/perform.ts';
import { FederationError } from '#src/core/errors.ts';
import { formatJoinToken, parseJoinToken } from '#src/core/join-token.ts';
import type { ActionOf } from '#src/deploy/action.ts';
import type { Context } from '#src/deploy/actions/context.ts';
import { filesAs } from '#src/deploy/actions/context.ts';
import { jsonAs } from '#src/deploy/json.ts';
import type { ActionKind } from '#src/deploy/actions/kind.ts';

interface BeforeToken {
  readonly existed: boolean;
}

export const token: ActionKind<'token', BeforeToken> = {
  key: ({ path }) => `token ${path}`,
  describe: ({ path }) => `put the join token into ${path}`,
  before: isThere,
  async apply({ path }, context) {
    const given = context.joinToken;
    if (given === null) {
      throw new FederationError('TOKEN_INVALID', 'there is no join token', {
        hint: 'give it once more: --token-file FILE',
      });
    }
    await lay(context, path, given);
  },
  undo: takeAway,
};

export const mintToken: ActionKind<'mint-token', BeforeToken> = {
  key: ({ path }) => `token ${path}`,
  describe: ({ name, role }) => `make a join token for ${name} as ${role}`,
  before: isThere,
  async apply({ path, role, name, by }, context) {
    const minted = by === 'deployer' ? context.mint({ role, name }) : mintThere(context, role, name);
    await lay(context, path, await minted);
  },
  undo: takeAway,
};

async function isThere({ path }: ActionOf<'token' | 'mint-token'>, context: Context): Promise<BeforeToken> {
  return { existed: (await (await filesAs(context, 'person')).stat(path)) !== null };
}

/** The worker takes it away when it has used it. */
async function takeAway({ path }: ActionOf<'token' | 'mint-token'>, { existed }: BeforeToken, context: Context) {
  if (!existed) await (await filesAs(context, 'person')).remove(path);
}

async function lay(context: Context, path: string, text: string): Promise<void> {
  const content = `${formatJoinToken(parseJoinToken(text))}\n`;
  await (await filesAs(context, 'person')).write({ path, content, mode: 0o600, owner: null });
}

const mintedSchema = z.object({ token: z.string() });

async function mintThere({ machine, place, person, signal }: Context, role: string, name: string): Promise<string> {
  const program = join(place.bin, 'manage-federation');
  const words = ['--json', 'token', 'create', '--role', role, '--name', name, '--ttl', '15m'];
  const { stdout } = await perform(
    machine,
    { argv: [program, ...words], as: person, signal },
    { what: 'make a join token', hint: 'manage-federation status' },
  );
  const minted = jsonAs(mintedSchema, stdout);
  if (minted !== null) return minted.token;
  throw new FederationError('STEP_FAILED', 'the hub made no join token', { hint: 'manage-federation token create' });
}
