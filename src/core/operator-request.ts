import { FederationError } from '#src/core/errors.ts';
import type { TailnetMachine } from '#src/core/identity.ts';
import { fingerprint } from '#src/core/node.ts';
import type { Operator } from '#src/core/operator.ts';
import { isOperatorElsewhere } from '#src/core/operator.ts';
import { ASK_AGAIN_MS } from '#src/core/pairing.ts';
import type { Approval } from '#src/core/request.ts';

/** One who has proved the key of `keyId`, from an admin's machine, and wants to operate. */
export interface OperatorAsking {
  readonly keyId: string;
  readonly publicKey: string;
  readonly name: string;
  readonly version: string;
  readonly platform: string;
  readonly arch: string;
  /** IP address of the peer. */
  readonly address: string;
  readonly tailnet: TailnetMachine | null;
}

/** A wish to operate, until judged. Times are milliseconds since the epoch. */
export interface OperatorRequest extends OperatorAsking {
  readonly firstAskedAt: number;
  readonly lastAskedAt: number;
  /** Set when it asked for something else first: what a person has seen is not what would be approved. */
  readonly changed: string | null;
  readonly rejected: boolean;
}

/** All who may operate and all who want to, by the ids of their keys. */
export interface Operators {
  readonly known: ReadonlyMap<string, Operator>;
  readonly waiting: ReadonlyMap<string, OperatorRequest>;
}

/** Requests that wait at once, and of one machine of the tailnet: they are people, and each is looked at. */
const WAITING_MAX = 16;
const WAITING_PER_MACHINE = 4;
/** How long a request outlives its connection, so that it can be approved by who closed the laptop on the way. */
export const OPERATOR_REQUEST_LIFE_MS = 10 * 60_000;
/** How long a rejected key is not asked about again. */
const REJECTED_LIFE_MS = 24 * 3600_000;

/**
 * The request that this makes of what was asked before. Throws PENDING_FULL over the limits, and HELD for one that says
 * something else each time.
 */
export function askToOperate(operators: Operators, asking: OperatorAsking, now: number): OperatorRequest {
  const before = operators.waiting.get(asking.keyId);
  if (before === undefined) checkRoom(operators, asking);
  const change = before === undefined ? null : changeText(before, asking);
  const previous = before?.changed ?? null;
  // Each change is kept and audited: nobody may make one after the other.
  if (before !== undefined && change !== null && previous !== null && now - before.lastAskedAt < ASK_AGAIN_MS) {
    throw tooSoon();
  }
  return {
    ...asking,
    firstAskedAt: before?.firstAskedAt ?? now,
    lastAskedAt: now,
    changed: change ?? previous,
    rejected: before?.rejected ?? false,
  };
}

/** A rejected one takes no room from those that wait. */
function checkRoom({ waiting }: Operators, { tailnet }: OperatorAsking): void {
  const open = [...waiting.values()].filter(({ rejected }) => !rejected);
  const here = open.filter((request) => tailnet !== null && request.tailnet?.stableId === tailnet.stableId);
  if (open.length >= WAITING_MAX || here.length >= WAITING_PER_MACHINE) throw tooManyOperators();
}

export function tooManyOperators(): FederationError {
  return new FederationError('PENDING_FULL', 'too many operators ask to be let in', {
    hint: 'on the master: manage-federation pending, then approve or reject; or wait some minutes',
  });
}

function tooSoon(): FederationError {
  return new FederationError('HELD', 'it asked for something else a moment ago, and before that for something else', {
    hint: 'ask again in a minute, under one name',
  });
}

function changeText(before: OperatorAsking, after: OperatorAsking): string | null {
  if (before.name !== after.name) return `it asked as ${before.name} first, and now asks as ${after.name}`;
  if (before.tailnet?.stableId === after.tailnet?.stableId) return null;
  return `it asked from ${placeText(before.tailnet)} first, and now asks from ${placeText(after.tailnet)}`;
}

/** Why a plain approval is not enough, as things stand now. */
export function whyOperatorHeld({ known }: Operators, request: OperatorRequest): string | null {
  const own = known.get(request.keyId);
  if (own !== undefined && own.revokedAt !== null) return `it was the operator ${own.name}, and was revoked`;
  if (own !== undefined && isOperatorElsewhere(own, request.tailnet)) {
    return `it is the operator ${own.name}, and asks from ${placeText(request.tailnet)} instead of its own machine`;
  }
  if (operatorNamed(known, request) !== undefined) return `the name ${request.name} belongs to another operator`;
  return request.changed;
}

function placeText(machine: TailnetMachine | null): string {
  return machine === null ? 'outside the tailnet' : `the machine ${machine.stableId}`;
}

/** Another operator of that name. */
function operatorNamed(known: Operators['known'], { keyId, name }: OperatorAsking): Operator | undefined {
  return [...known.values()].find((one) => one.revokedAt === null && one.name === name && one.id !== keyId);
}

export interface OperatorApproved {
  readonly operator: Operator;
  /** Former holder of the name. */
  readonly replaced: Operator | null;
}

/** Throws HELD where only `replace` may. */
export function approveOperator(
  operators: Operators,
  request: OperatorRequest,
  approval: Approval,
  now: number,
): OperatorApproved {
  const held = whyOperatorHeld(operators, request);
  if (held !== null && !approval.replace) {
    throw new FederationError('HELD', held, {
      hint: `manage-federation approve ${fingerprint(request.keyId)} --replace  (if that is what you want)`,
    });
  }
  const { keyId: id, publicKey, name, tailnet } = request;
  const former = operatorNamed(operators.known, request);
  return {
    operator: { id, publicKey, name, tailnet, approvedAt: now, approvedBy: approval.by, revokedAt: null },
    replaced: former === undefined ? null : { ...former, revokedAt: now },
  };
}

/** Requests that time has ended; `holdsLine` tells those that still ask. */
export function overdueOperators(
  { waiting }: Operators,
  holdsLine: (keyId: string) => boolean,
  now: number,
): readonly string[] {
  const isOver = ({ rejected, lastAskedAt }: OperatorRequest): boolean =>
    now - lastAskedAt >= (rejected ? REJECTED_LIFE_MS : OPERATOR_REQUEST_LIFE_MS);
  return [...waiting.values()]
    .filter((request) => !holdsLine(request.keyId) && isOver(request))
    .map(({ keyId }) => keyId);
}
