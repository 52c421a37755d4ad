import type { Member } from '#src/core/member.ts';
import type { PairingRequest } from '#src/core/pairing.ts';
import type { TokenRecord } from '#src/core/token.ts';

export interface Membership {
  readonly members: ReadonlyMap<string, Member>;
  readonly requests: ReadonlyMap<string, PairingRequest>;
  readonly tokens: ReadonlyMap<string, TokenRecord>;
}

export const EMPTY_MEMBERSHIP: Membership = { members: new Map(), requests: new Map(), tokens: new Map() };

export type MembershipEvent =
  | { readonly type: 'asked'; readonly request: PairingRequest }
  | { readonly type: 'joined'; readonly member: Member; readonly tokenHash: string | null }
  | { readonly type: 'rejected'; readonly nodeId: string; readonly at: number }
  | { readonly type: 'forgotten'; readonly nodeId: string }
  | { readonly type: 'token'; readonly token: TokenRecord }
  | { readonly type: 'token-ended'; readonly hash: string }
  | { readonly type: 'changed'; readonly member: Member }
  | { readonly type: 'removed'; readonly nodeId: string };

/** One writer, immutable snapshots: what happened, applied. Refusing is the business of admission and pairing. */
export function reduce(state: Membership, event: MembershipEvent): Membership {
  switch (event.type) {
    case 'asked':
      return { ...state, requests: set(state.requests, event.request.nodeId, event.request) };
    case 'joined':
      return {
        members: set(state.members, event.member.id, event.member),
        requests: drop(state.requests, event.member.id),
        tokens: event.tokenHash === null ? state.tokens : used(state.tokens, event.tokenHash),
      };
    case 'rejected': {
      const request = state.requests.get(event.nodeId);
      if (request === undefined) return state;
      // It asked up to now, on the line that it held: so the rejection is remembered as long as any.
      const rejected = { ...request, rejected: true, lastAskedAt: event.at };
      return { ...state, requests: set(state.requests, event.nodeId, rejected) };
    }
    case 'forgotten':
      return { ...state, requests: drop(state.requests, event.nodeId) };
    case 'token':
      return { ...state, tokens: set(state.tokens, event.token.hash, event.token) };
    case 'token-ended':
      return { ...state, tokens: drop(state.tokens, event.hash) };
    case 'changed': {
      const members = set(state.members, event.member.id, event.member);
      // Who is put out asks for nothing more: it comes back as it was, or anew.
      const isOut = event.member.revokedAt !== null;
      return { ...state, members, requests: isOut ? drop(state.requests, event.member.id) : state.requests };
    }
    case 'removed':
      return { ...state, members: drop(state.members, event.nodeId) };
  }
}

export function memberNamed(state: Membership, name: string): Member | undefined {
  return [...state.members.values()].find((member) => member.name === name && member.revokedAt === null);
}

function set<V>(map: ReadonlyMap<string, V>, key: string, value: V): ReadonlyMap<string, V> {
  return new Map(map).set(key, value);
}

function drop<V>(map: ReadonlyMap<string, V>, key: string): ReadonlyMap<string, V> {
  if (!map.has(key)) return map;
  const next = new Map(map);
  next.delete(key);
  return next;
}

function used(tokens: ReadonlyMap<string, TokenRecord>, hash: string): ReadonlyMap<string, TokenRecord> {
  const token = tokens.get(hash);
  if (token === undefined) return tokens;
  return token.usesLeft > 1 ? set(tokens, hash, { ...token, usesLeft: token.usesLeft - 1 }) : drop(tokens, hash);
}
