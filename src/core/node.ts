import { FederationError } from '#src/core/errors.ts';

export const ROLES = ['master', 'worker', 'hybrid'] as const;
export type Role = (typeof ROLES)[number];

/** One DNS label (RFC 1123), lower case: it is typed, printed, and part of paths and unit names. */
const NODE_NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
/** What a person would take for a fingerprint or the beginning of an id: as a name it could stand for another node. */
const LOOKS_LIKE_AN_ID = /^(?:[0-9a-f]-?){12,}$/;

export function isNodeName(value: string): boolean {
  return NODE_NAME.test(value) && !LOOKS_LIKE_AN_ID.test(value);
}

/** Throws NODE_NAME_INVALID unless `value` may name a node. */
export function checkNodeName(value: string): string {
  if (isNodeName(value)) return value;
  throw new FederationError('NODE_NAME_INVALID', 'a node name is 1 to 63 of a-z, 0-9 and -, as in a host name', {
    hint: `use ${nodeNameFrom(value)}`,
  });
}

/** The nearest permitted name, for a machine whose host name is not one. */
export function nodeNameFrom(hostname: string): string {
  const name = hostname
    .toLowerCase()
    .replace(/\..*$/, '')
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, 63)
    .replace(/^-+|-+$/g, '');
  return name === '' ? 'node' : name;
}

/** The first 64 bits of the id in groups of four: what a person compares on two screens. */
export function fingerprint(id: string): string {
  return id.slice(0, 16).replace(/(.{4})(?!$)/g, '$1-');
}

/** What a node says of itself in the hello. It is shown, and never trusted for a decision. */
export interface NodeFacts {
  readonly name: string;
  readonly role: Role;
  readonly version: string;
  readonly platform: string;
  readonly arch: string;
  /** What the node offers: `exec`, and `node-host` where it runs OpenClaw's. */
  readonly offers: readonly string[];
  /** Version of OpenClaw whose node host it runs; null where it runs none or can't tell. */
  readonly openclaw: string | null;
  /** What its node host offers to the gateway, at most. */
  readonly commands: readonly string[];
}
