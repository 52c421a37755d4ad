import type { Socket } from 'node:net';
import type { HttpBindings } from '@hono/node-server';
import type { MiddlewareHandler } from 'hono';
import { FederationError } from '#src/core/errors.ts';
import type { Member } from '#src/core/member.ts';
import type { Operator } from '#src/core/operator.ts';
import { operatorText } from '#src/core/operator.ts';
import type { Asker, ChatAsker } from '#src/core/policy.ts';
import { askerText } from '#src/core/policy.ts';
import { isForPlugin } from '#src/hub/api/plugin-routes.ts';
import type { Session } from '#src/hub/fleet/credentials.ts';
import { ASKER_HEADER, decodeAsker } from '#src/protocol/asker.ts';

/**
 * Who a listener speaks for. The operator's unix socket is its owner's; on the plugin's each request says who asks in a
 * chat; on TCP only a credential tells.
 */
export type Listener =
  | { readonly kind: 'operator'; readonly name: string }
  | { readonly kind: 'plugin' }
  | { readonly kind: 'tcp' };

export type Principal =
  /** By the socket of the master, or by a key of their own from another machine. */
  | { readonly kind: 'operator'; readonly name: string; readonly operator?: Operator }
  | { readonly kind: 'node'; readonly asker: () => NodeAsker | null }
  /** The owner, in a chat. */
  | { readonly kind: 'plugin'; readonly asker: ChatAsker }
  | { readonly kind: 'stranger' };

/** The member, and the number of the link whose credential it shows. */
export interface NodeAsker {
  readonly member: Member;
  readonly link: number;
}

export interface ApiEnvironment {
  Bindings: HttpBindings & { readonly listener: Listener };
  Variables: { principal: Principal };
}

/** The node of a bearer credential; null for none, a wrong one, or one from another address. */
export type FindSession = (
  bearer: string,
  address: string,
) => { readonly member: Member; readonly session: Session } | null;

/** The operator of a bearer credential; null as above. Whatever `socket` carries ends with the operator's connection. */
export type FindOperator = (bearer: string, address: string, socket: Socket) => Operator | null;

export interface Finders {
  readonly findSession: FindSession;
  readonly findOperator: FindOperator;
  /** Hears of everybody else than the owner who wants something from a chat. */
  readonly onChatRefused: (asker: ChatAsker, request: string) => void;
}

/** Routes that a node asks with its credential; all others are the operator's. */
const NODE_ROUTES: ReadonlySet<string> = new Set([
  '/api/v1/node-host',
  '/api/v1/node-host/setup-code',
  '/api/v1/node/key',
  '/api/v1/node/models',
  '/api/v1/node/agents',
]);
const NODE_HANDOFFS = /^\/api\/v1\/node\/handoffs(?:\/|$)/;
const OPEN_ROUTES = /^\/(?:health|api\/v1\/openapi\.json|api\/v1\/join-tokens\/[0-9a-f]{64})$/;

/** Finds out who asks and lets nobody past but those whom the route is for. */
export function authorize(finders: Finders): MiddlewareHandler<ApiEnvironment> {
  return async (context, next) => {
    const { listener, incoming } = context.env;
    const { method, path } = context.req;
    const said = context.req.header(ASKER_HEADER);
    if (listener.kind === 'plugin') {
      context.set('principal', ownerInChat(finders, said, context.req.header('authorization'), method, path));
      return next();
    }
    if (said !== undefined) throw new FederationError('FORBIDDEN', `${ASKER_HEADER} is for the plugin’s socket alone`);
    const principal =
      listener.kind === 'operator' ? listener : peerOf(finders, context.req.header('authorization'), incoming.socket);
    if (!OPEN_ROUTES.test(path)) demand(isForNodes(path) ? 'node' : 'operator', principal);
    context.set('principal', principal);
    return next();
  };
}

function isForNodes(path: string): boolean {
  return NODE_ROUTES.has(path) || NODE_HANDOFFS.test(path);
}

function ownerInChat(
  { onChatRefused }: Finders,
  said: string | undefined,
  credential: string | undefined,
  method: string,
  path: string,
): Principal {
  // Nobody is two: what the plugin asks, it asks for somebody in a chat.
  if (credential !== undefined) throw new FederationError('FORBIDDEN', 'the plugin’s socket takes no credential');
  const asker = decodeAsker(said);
  if (!asker.owner) {
    onChatRefused(asker, `${method} ${path}`);
    throw new FederationError(
      'FORBIDDEN',
      `only the owner may steer machines from a chat, and ${askerText(asker)} is not`,
      {
        hint: 'ask the owner of this federation',
      },
    );
  }
  if (!isForPlugin(method, path)) {
    throw new FederationError('FORBIDDEN', 'this can’t be done from a chat', {
      hint: 'on the master: manage-federation --help',
    });
  }
  return { kind: 'plugin', asker };
}

function peerOf({ findSession, findOperator }: Finders, header: string | undefined, socket: Socket): Principal {
  const bearer = bearerOf(header);
  if (bearer === null) return { kind: 'stranger' };
  const address = socket.remoteAddress ?? '';
  const asker = (): NodeAsker | null => {
    const found = findSession(bearer, address);
    return found === null ? null : { member: found.member, link: found.session.link };
  };
  if (asker() !== null) return { kind: 'node', asker };
  const operator = findOperator(bearer, address, socket);
  return operator === null ? { kind: 'stranger' } : { kind: 'operator', name: operatorText(operator), operator };
}

/** The credential of an Authorization header. */
export function bearerOf(header: string | undefined): string | null {
  return /^Bearer ([\w-]{43})$/.exec(header ?? '')?.[1] ?? null;
}

function demand(kind: Principal['kind'], principal: Principal): void {
  if (principal.kind === kind) return;
  if (principal.kind === 'stranger') throw unauthenticated();
  throw new FederationError('FORBIDDEN', `this is not for ${principal.kind === 'node' ? 'nodes' : 'operators'}`);
}

export function operatorName(principal: Principal): string {
  if (principal.kind === 'operator') return principal.name;
  throw new FederationError('FORBIDDEN', 'this is for operators');
}

/** The operator, or the owner in a chat: who does what both may do. Throws FORBIDDEN for all others. */
export function askerOf(principal: Principal): Asker {
  if (principal.kind === 'plugin') return principal.asker;
  return { kind: 'operator', name: operatorName(principal) };
}

/** The same with the key by which it is asked, for what may outlive that. */
export function keyedAskerOf(principal: Principal): Asker {
  const asker = askerOf(principal);
  const operator = principal.kind === 'operator' ? principal.operator : undefined;
  return asker.kind === 'operator' && operator !== undefined ? { ...asker, key: operator.id } : asker;
}

/** The same in one word, for the audit. */
export function askerName(principal: Principal): string {
  return askerText(askerOf(principal));
}

/** As `askingNode`. */
export function askingMember(principal: Principal): Member {
  return askingNode(principal).member;
}

/**
 * Looked up anew at each call: a body may come long after its head, and what the node was then is not what it is. Throws
 * UNAUTHENTICATED where its credential is worth nothing by now, FORBIDDEN for all but nodes.
 */
export function askingNode(principal: Principal): NodeAsker {
  if (principal.kind !== 'node') throw new FederationError('FORBIDDEN', 'this is for nodes');
  const asker = principal.asker();
  if (asker === null) throw unauthenticated();
  return asker;
}

function unauthenticated(): FederationError {
  return new FederationError('UNAUTHENTICATED', 'this needs a credential', {
    hint: 'use manage-federation on the master, as the user that the hub runs as, or log in: manage-federation login',
  });
}
