import { FederationError } from '#src/core/errors.ts';
import type { ChatAsker } from '#src/core/policy.ts';

/**
 * One action on exactly these nodes that the owner has to be asked for, because somebody in a chat wants it:
 * pending → allowed → used, or pending → denied. Pending and allowed ones end by themselves. Times are monotonic
 * milliseconds, given by the caller.
 */
export interface CommandApproval {
  readonly id: string;
  readonly asker: ChatAsker;
  /** SHA-256 of the action's text, hex. */
  readonly action: string;
  /** Ids. */
  readonly nodes: readonly string[];
  readonly question: string;
  readonly state: 'pending' | 'allowed' | 'denied' | 'used';
  /** Who answered. */
  readonly by: string | null;
  /** Until then a pending one can be answered, and an allowed one used. */
  readonly endsAt: number;
}

/** What somebody wants to do by an approval. */
export interface Use {
  readonly asker: ChatAsker;
  readonly action: string;
  readonly nodes: readonly string[];
}

/** Whether something may still come of it. */
export function isOpen({ state, endsAt }: CommandApproval, now: number): boolean {
  return (state === 'pending' || state === 'allowed') && endsAt > now;
}

export interface Answer {
  readonly allow: boolean;
  readonly by: string;
  readonly now: number;
  /** How long an allowed one can be used. */
  readonly lifeMs: number;
}

/** The first answer counts. Throws APPROVAL_OVER for any other, and for one that comes too late. */
export function answered(approval: CommandApproval, { allow, by, now, lifeMs }: Answer): CommandApproval {
  if (approval.state !== 'pending') {
    const how = approval.state === 'denied' ? 'denied' : 'allowed';
    throw over(`it was ${how} by ${approval.by ?? 'nobody'} already`);
  }
  if (!isOpen(approval, now)) throw over('its time is over');
  return { ...approval, state: allow ? 'allowed' : 'denied', by, endsAt: allow ? now + lifeMs : approval.endsAt };
}

/**
 * The approval after its one use. Throws APPROVAL_NEEDED where it is for something else or has no answer yet,
 * APPROVAL_OVER where it was denied, used, or is too old.
 */
export function used(approval: CommandApproval, use: Use, now: number): CommandApproval {
  // Before all else: how an approval of others stands is nobody's business.
  const other = difference(approval, use);
  if (other !== null) throw needed(`this approval ${other}`);
  if (approval.state === 'denied') throw over(`it was denied by ${approval.by ?? 'nobody'}`);
  if (approval.state === 'used') throw over('it was used already, and is good for one time');
  if (!isOpen(approval, now)) throw over('its time is over');
  if (approval.state === 'pending') throw needed('nobody has allowed this yet');
  return { ...approval, state: 'used' };
}

function difference(approval: CommandApproval, use: Use): string | null {
  if (askerKey(approval.asker) !== askerKey(use.asker)) return 'is of somebody else';
  if (approval.action !== use.action) return 'is for something else';
  return nodesKey(approval.nodes) === nodesKey(use.nodes) ? null : 'is for other nodes';
}

function askerKey({ channel, sender, owner, agent, session }: ChatAsker): string {
  return JSON.stringify([channel, sender, owner, agent ?? null, session ?? null]);
}

function nodesKey(ids: readonly string[]): string {
  return [...new Set(ids)].toSorted().join(' ');
}

function needed(message: string): FederationError {
  return new FederationError('APPROVAL_NEEDED', message, { hint: 'ask the owner for it by POST /verdicts' });
}

function over(message: string): FederationError {
  return new FederationError('APPROVAL_OVER', message, { hint: 'ask for it once more' });
}
