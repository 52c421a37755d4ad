import { readFileSync } from 'node:fs';
import type { Home } from '#src/adapters/home.ts';
import { FederationError } from '#src/core/errors.ts';
import type { JoinToken } from '#src/core/join-token.ts';
import { parseJoinToken } from '#src/core/join-token.ts';
import type { Welcome } from '#src/protocol/handshake.ts';

/** What a node remembers of its hub between two starts. */
export interface MembershipMemory {
  /** Id of the hub that was met first, or that the join token names. */
  pin(): string | null;
  /** The token's secret, until it has been used or refused. */
  secret(): string | null;
  /** The newest epoch that a hub has proved. */
  epoch(): number;
  /** Remembers the hub and its epoch durably. Throws EPOCH_STALE for a hub that another one has replaced. */
  welcomed(welcome: Welcome, hubId: string): Promise<void>;
  /** A refused token is not shown again: the node waits for a person's approval instead. */
  tokenRefused(): Promise<void>;
}

const HUB_FILE = 'hub';
const EPOCH_FILE = 'epoch';
/** A join token that waits to be used. */
export const TOKEN_FILE = 'join-token';

export async function openMembershipMemory(home: Home): Promise<MembershipMemory> {
  let hub = (await home.read(HUB_FILE))?.trim() ?? null;
  let epoch = Number(await home.read(EPOCH_FILE)) || 0;
  // One that is none is said at the start, where somebody looks.
  const first = await home.read(TOKEN_FILE);
  if (first !== null) parseJoinToken(first);

  /** Looked for at each attempt: a person may put a fresh one there while the daemon runs. */
  function token(): JoinToken | null {
    try {
      return parseJoinToken(readFileSync(home.file(TOKEN_FILE), 'utf8'));
    } catch {
      return null;
    }
  }

  return {
    pin: () => token()?.hubId ?? hub,
    secret: () => token()?.secret ?? null,
    epoch: () => epoch,
    async welcomed(welcome, hubId) {
      if (hubId === hub && welcome.epoch < epoch) {
        throw new FederationError('EPOCH_STALE', `this hub’s epoch ${welcome.epoch} is older than ${epoch}`, {
          hint: 'another hub has taken over; stop this one',
        });
      }
      if (welcome.epoch !== epoch || hubId !== hub) {
        await home.write(EPOCH_FILE, `${welcome.epoch}\n`);
        await home.write(HUB_FILE, `${hubId}\n`);
        epoch = welcome.epoch;
        hub = hubId;
      }
      await home.remove(TOKEN_FILE);
    },
    tokenRefused: () => home.remove(TOKEN_FILE),
  };
}
