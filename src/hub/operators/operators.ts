import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import type { Log } from '#src/adapters/log.ts';
import type { Change, Store } from '#src/adapters/store/store.ts';
import { FederationError } from '#src/core/errors.ts';
import type { Operator } from '#src/core/operator.ts';
import { adminMachine, isOperatorElsewhere, operatorText } from '#src/core/operator.ts';
import type { OperatorAsking, OperatorRequest, Operators as Book } from '#src/core/operator-request.ts';
import {
  approveOperator,
  askToOperate,
  overdueOperators,
  tooManyOperators,
  whyOperatorHeld,
} from '#src/core/operator-request.ts';
import type { Approval } from '#src/core/request.ts';
import { findNode, missText } from '#src/core/selector.ts';
import type { Identify } from '#src/hub/enrolment/identity.ts';
import type { AuditDetail, MembershipKeeper } from '#src/hub/enrolment/membership.ts';
import { createWaiters } from '#src/hub/enrolment/waiters.ts';
import {
  keyRevoked,
  keyUnknown,
  oneKeyForEach,
  operatorLook,
  rejectedOperator,
  waitsStill,
} from '#src/hub/operators/words.ts';
import type { OperatorSessions } from '#src/hub/operators/sessions.ts';
import { noSuchRequest } from '#src/hub/enrolment/pairing-requests.ts';
import type { Approved, JudgedRequest, RequestSource } from '#src/hub/enrolment/requests.ts';
import type { OperatorAdmission, OperatorApplicant } from '#src/link/operator-accept.ts';

/** People who steer the federation from another machine, and those who want to. */
export interface Operators extends RequestSource {
  list(): readonly Operator[];
  /** Resolves when the applicant may operate; one that asks to be let in waits for a person. Rejects when refused. */
  admit(applicant: OperatorApplicant): Promise<OperatorAdmission>;
  /** The operator whose credential it is, if it comes from where that was issued to; `socket` ends with the session. */
  find(bearer: string, address: string, socket: Socket): Operator | null;
  /** Throws FORBIDDEN where that key is an operator's, or asks to be: what it proves as a node is worth nothing. */
  refuseAsNode(keyId: string): void;
  /** Puts one out at once, by name, id or fingerprint; the answer that `spared` is to carry goes out. Throws NOT_FOUND. */
  revoke(word: string, by: string, spared?: Socket): Promise<Operator>;
  /** Whether that key is an operator’s who was not put out. */
  stands(keyId: string): boolean;
  readonly puttingOut: EventEmitter<{ out: [keyId: string] }>;
}

export interface OperatorsOptions {
  readonly store: Pick<Store, 'operators'>;
  readonly membership: Pick<MembershipKeeper, 'inTurn' | 'commit' | 'record' | 'now'>;
  /** Whose machines may operate: login names and tags of the tailnet. */
  readonly admins: readonly string[];
  /** Whether a node has or had that key. */
  readonly isNode: (keyId: string) => boolean;
  readonly identify: Identify;
  readonly sessions: OperatorSessions;
  readonly log: Log;
}

/** Keys nobody knows that are listened to in a minute: more are no people. */
const NEW_PER_MINUTE = 32;

export async function openOperators(options: OperatorsOptions): Promise<Operators> {
  const { membership, admins, isNode, identify, sessions, log } = options;
  const { inTurn, record, now } = membership;
  const known = new Map((await options.store.operators()).map((operator) => [operator.id, operator]));
  const waiting = new Map<string, OperatorRequest>();
  const waiters = createWaiters<Operator>();
  const changes: Operators['changes'] = new EventEmitter();
  const puttingOut: Operators['puttingOut'] = new EventEmitter();
  const book: Book = { known, waiting };
  let newcomers: number[] = [];

  async function keep(operators: readonly Operator[], audit: Change): Promise<void> {
    const values = operators.map((value) => ({ type: 'operator', id: value.id, value }) as const);
    await membership.commit([], [...values, audit]);
    for (const operator of operators) known.set(operator.id, operator);
  }

  function sweep(): void {
    for (const id of overdueOperators(book, waiters.has, now())) waiting.delete(id);
  }

  function judged(request: OperatorRequest): JudgedRequest {
    return { request: operatorLook(request, waiters.has(request.keyId)), held: whyOperatorHeld(book, request) };
  }

  function requestOf(id: string): OperatorRequest {
    sweep();
    const request = waiting.get(id);
    if (request === undefined) throw noSuchRequest(id);
    return request;
  }

  /** The operator; else the line that its applicant holds from here on. */
  async function consider(applicant: OperatorApplicant, asking: OperatorAsking): Promise<() => Promise<Operator>> {
    const own = known.get(asking.keyId);
    const isOut = own !== undefined && own.revokedAt !== null;
    const isElsewhere = own !== undefined && !isOut && isOperatorElsewhere(own, asking.tailnet);
    if (own !== undefined && !isOut && !isElsewhere) return async () => own;
    // A command is no wish to be let in; a key that turns up elsewhere is shown in any case.
    if (!applicant.login && !isElsewhere) {
      if (isOut) throw keyRevoked();
      throw waiting.has(asking.keyId) ? waitsStill(asking.keyId) : keyUnknown();
    }
    const { held } = await askFor(asking, isElsewhere ? 'operator.quarantine' : 'operator.ask');
    if (!applicant.login) throw waitsStill(asking.keyId);
    const line = waiters.hold(applicant.keyId, applicant, held);
    line.catch(() => stayed(asking.keyId));
    return () => line;
  }

  async function askFor(asking: OperatorAsking, action: string): Promise<JudgedRequest> {
    sweep();
    const before = waiting.get(asking.keyId);
    // Judged: nothing that it says from here on is written down.
    if (before?.rejected === true) throw rejectedOperator(asking.keyId);
    if (before === undefined) limitNewcomers();
    const request = askToOperate(book, asking, now());
    const isNew = before === undefined || before.changed !== request.changed;
    if (isNew) {
      await membership.commit([], [record(action, operatorText(request), detailOf(request))]);
      log.info('an operator waits for approval', { name: request.name, address: request.address });
    }
    waiting.set(asking.keyId, request);
    const asked = judged(request);
    if (isNew) changes.emit('request', asked);
    return asked;
  }

  /** A request outlives its line, from now on for a while. */
  function stayed(id: string): void {
    const request = waiting.get(id);
    if (request !== undefined) waiting.set(id, { ...request, lastAskedAt: now() });
  }

  function limitNewcomers(): void {
    const at = now();
    newcomers = newcomers.filter((then) => at - then < 60_000);
    if (newcomers.length >= NEW_PER_MINUTE) throw tooManyOperators();
    newcomers.push(at);
  }

  async function letIn(request: OperatorRequest, approval: Approval): Promise<Approved> {
    const { operator, replaced } = approveOperator(book, request, approval, now());
    const out = replaced === null ? [] : [replaced];
    const detail = { ...detailOf(request), replace: approval.replace, replaced: replaced?.id ?? null };
    await keep([operator, ...out], record('operator.approve', approval.by, detail));
    waiting.delete(operator.id);
    for (const { id } of [operator, ...out]) sessions.end(id, keyRevoked());
    for (const { id } of out) puttingOut.emit('out', id);
    waiters.admit(operator);
    const { id, name } = operator;
    return { kind: 'operator', id, name, role: 'operator', replaced: out.map((one) => one.id) };
  }

  async function refuse(request: OperatorRequest, by: string, more: AuditDetail): Promise<JudgedRequest> {
    await membership.commit([], [record('operator.reject', by, { ...detailOf(request), ...more })]);
    const rejected = { ...request, rejected: true };
    waiting.set(request.keyId, rejected);
    waiters.refuse(request.keyId, rejectedOperator(request.keyId));
    return judged(rejected);
  }

  return {
    list: () => [...known.values()].filter(({ revokedAt }) => revokedAt === null),
    async admit(applicant) {
      const { keyId, publicKey, name, version, platform, arch, address, signal } = applicant;
      const tailnet = adminMachine(await identify(address, signal), admins);
      if (isNode(keyId)) throw oneKeyForEach();
      const asking = { keyId, publicKey, name, version, platform, arch, address, tailnet };
      const { id } = await (await inTurn(() => consider(applicant, asking)))();
      // Put out between its admission and now: the same as before.
      const operator = known.get(id)!;
      if (operator.revokedAt !== null) throw keyRevoked();
      return { name: operator.name, ...sessions.open(id, address, signal) };
    },
    find(bearer, address, socket) {
      const id = sessions.find(bearer, address, socket);
      const operator = id === null ? undefined : known.get(id);
      return operator === undefined || operator.revokedAt !== null ? null : operator;
    },
    refuseAsNode(keyId) {
      if (known.has(keyId) || waiting.has(keyId)) throw oneKeyForEach();
    },
    revoke: (word, by, spared) =>
      inTurn(async () => {
        const operator = operatorOf([...known.values()], word);
        const detail = { operator: operator.name, id: operator.id };
        const revoked = { ...operator, revokedAt: now() };
        try {
          await keep([revoked], record('operator.revoke', by, detail));
        } catch (error) {
          // It is out all the same, until this hub ends; that it is not kept is still said.
          known.set(operator.id, revoked);
          throw error;
        } finally {
          sessions.end(operator.id, keyRevoked(), spared);
          puttingOut.emit('out', operator.id);
        }
        return revoked;
      }),
    requests() {
      sweep();
      return [...waiting.values()].map(judged);
    },
    approve: (id, approval) => inTurn(async () => letIn(requestOf(id), approval)),
    reject: (id, by) => inTurn(async () => refuse(requestOf(id), by, {})),
    judge: (id, by, rule) =>
      inTurn(async () => {
        const request = requestOf(id);
        const { act, detail } = rule(judged(request));
        // Whatever the rules say: who steers all nodes is let in by a person.
        if (act === 'reject') await refuse(request, by, detail ?? {});
        else if (detail !== null) {
          await membership.commit([], [record('operator.judge', by, { ...detailOf(request), ...detail })]);
        }
      }),
    stands: (keyId) => known.get(keyId)?.revokedAt === null,
    changes,
    puttingOut,
  };
}

function detailOf({ name, keyId, address, tailnet }: OperatorAsking): AuditDetail {
  return { operator: name, id: keyId, address, machine: tailnet?.stableId ?? null, user: tailnet?.user ?? null };
}

function operatorOf(operators: readonly Operator[], word: string): Operator {
  const standing = operators.filter(({ revokedAt }) => revokedAt === null);
  try {
    return findNode(standing, word, 'operators');
  } catch (error) {
    if (error instanceof FederationError && error.code === 'NODE_AMBIGUOUS') throw error;
    throw new FederationError('NOT_FOUND', missText(standing, word, `no operator fits ${JSON.stringify(word)}`), {
      hint: 'manage-federation operators',
      cause: error,
    });
  }
}
