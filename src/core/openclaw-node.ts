import type { TailnetMachine } from '#src/core/identity.ts';
import { fingerprint } from '#src/core/node.ts';

/** A node that runs only OpenClaw's own node host or app, and that this hub let in. Times are milliseconds since the epoch. */
export interface OpenClawNode {
  /** SHA-256 of its public key, hex: the gateway's id of it. */
  readonly deviceId: string;
  readonly name: string;
  /** The machine that it asked from; null where the tailnet knew none. */
  readonly tailnet: TailnetMachine | null;
  /** What it said that it runs on when it was approved; null in a record from before that was kept. */
  readonly platform: string | null;
  readonly deviceFamily: string | null;
  readonly approvedAt: number;
  readonly approvedBy: string;
  /** The rule that approved it; null where a person did. */
  readonly rule: string | null;
  /** What it offered when that was approved; null while that is still to come. */
  readonly commands: readonly string[] | null;
  /** Set by a revocation until the gateway confirmed that the device is gone. */
  readonly removing: boolean;
  /** A revoked one is kept, so that no rule lets its key in again; null for one that is let in. */
  readonly revokedAt: number | null;
}

/** A request at the gateway that was turned away. */
export interface OpenClawRejection {
  readonly kind: 'device' | 'surface';
  readonly deviceId: string;
  readonly rejectedAt: number;
}

/** What a store of an earlier version does not have. */
type Later = 'platform' | 'deviceFamily';
export type StoredOpenClawNode = Omit<OpenClawNode, Later> & Partial<Pick<OpenClawNode, Later>>;

export function openClawNodeFrom(stored: StoredOpenClawNode): OpenClawNode {
  return { platform: null, deviceFamily: null, ...stored };
}

const MAX_NAME = 64;
/** Nothing shows them: what Unicode says may be ignored, and the letters and signs that look like a blank. */
const UNSEEN = /[\p{Default_Ignorable_Code_Point}\u115f\u1160\u2800\u3164\uffa0]/gu;

/**
 * The name that a device gives itself, made one line of at most 64 characters in which each can be seen; a hostile name
 * stays one, and only data. Without a name it is its fingerprint.
 */
export function displayNameOf(said: string | null, deviceId: string): string {
  const visible = (said ?? '')
    .normalize('NFC')
    .replace(UNSEEN, '')
    .replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '\ufffd')
    .replace(/\s+/gu, ' ')
    .trim();
  const characters = Array.from(visible);
  if (characters.length === 0) return fingerprint(deviceId);
  return characters.length > MAX_NAME ? `${characters.slice(0, MAX_NAME - 1).join('')}…` : visible;
}

/** Whether two names would be taken for one another by who reads or types them. */
export function isSameName(one: string, other: string): boolean {
  return seenOf(one) === seenOf(other);
}

function seenOf(name: string): string {
  return name.normalize('NFC').replace(UNSEEN, '').replace(/\s+/gu, ' ').trim().toLowerCase();
}
