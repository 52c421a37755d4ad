import { EventEmitter } from 'node:events';
import type { Log } from '#src/adapters/log.ts';
import type { Gateway } from '#src/adapters/openclaw/gateway.ts';
import type { GatewayRequest } from '#src/adapters/openclaw/gateway-request.ts';
import type { Store } from '#src/adapters/store/store.ts';
import { FederationError } from '#src/core/errors.ts';
import type { OpenClawNode } from '#src/core/openclaw-node.ts';
import { isSameName } from '#src/core/openclaw-node.ts';
import type { WaitingRequest } from '#src/core/request.ts';
import type { Identify } from '#src/hub/enrolment/identity.ts';
import type { AuditDetail, MembershipKeeper } from '#src/hub/enrolment/membership.ts';
import type { Approving } from '#src/hub/openclaw/decisions.ts';
import { createDecisions, namedOf } from '#src/hub/openclaw/decisions.ts';
import { followGateway } from '#src/hub/openclaw/follow.ts';
import { openOpenClawRecords } from '#src/hub/openclaw/records.ts';
import { openRejections } from '#src/hub/openclaw/rejections.ts';
import { barFormerDevices } from '#src/hub/openclaw/former-devices.ts';
import type { Look } from '#src/hub/openclaw/requests.ts';
import { createLooks, detailOf } from '#src/hub/openclaw/requests.ts';
import { createStanding } from '#src/hub/openclaw/standing.ts';
import { openClawNodeView } from '#src/hub/openclaw/view.ts';
import { noSuchRequest } from '#src/hub/enrolment/pairing-requests.ts';
import type { Approved, RequestSource } from '#src/hub/enrolment/requests.ts';
import type { OpenClawNodeView } from '#src/protocol/hub-api/openclaw-node.ts';

/**
 * Nodes that run only OpenClaw's own node host or app: their two requests at the gateway, and what was decided on them.
 * A decision is kept before the gateway hears of it, and is carried out when the gateway is there again.
 */
export interface OpenClawNodes extends RequestSource {
  /** Those of the gateway that are no member's, and those of ours that it does not list. */
  list(): readonly OpenClawNodeView[];
  node(deviceId: string): OpenClawNodeView | undefined;
  /** Why a node of ours may not come under its name without a person; null where none of these has it. */
  nameHeld(request: WaitingRequest): string | null;
  /** Resolves when it is kept; the gateway is asked until it confirms. Throws NODE_NOT_FOUND. */
  revoke(deviceId: string, by: string): Promise<void>;
  /** Resolves after `signal`. */
  readonly done: Promise<void>;
}

export interface OpenClawNodesOptions {
  /** Null on a federation without OpenClaw. */
  readonly gateway: Gateway | null;
  readonly store: Pick<Store, 'openclawNodes' | 'openclawRejections'>;
  readonly membership: MembershipKeeper;
  readonly identify: Identify;
  readonly isLockedDown: () => boolean;
  readonly log: Log;
  readonly signal: AbortSignal;
}

export async function openOpenClawNodes(options: OpenClawNodesOptions): Promise<OpenClawNodes> {
  const { gateway, store, membership, identify, isLockedDown, log, signal } = options;
  const { now, record } = membership;
  const records = await openOpenClawRecords(store, membership);
  const standing = createStanding({ membership, records, list, isLockedDown });
  const changes: RequestSource['changes'] = new EventEmitter();
  const rejections = await openRejections(store);
  const decisions = createDecisions({ membership, records, rejections, standing, revoked: revokedOne });
  const looks = createLooks({
    requests: () => gateway?.requests() ?? [],
    identify,
    isRejected: (asked) => rejections.has(asked),
    signal,
  });
  let turn: Promise<unknown> = Promise.resolve();

  /** One decision after the other; apart from the members' turn, in which nobody is to wait for the gateway. */
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = turn.then(work);
    turn = mine.catch(() => undefined);
    return mine;
  }

  await barFormerDevices({ membership, records, inTurn, log, signal });

  const onNews = (look: Look) => void changes.emit('request', standing.judged(look));
  const follower =
    gateway === null
      ? { wake: () => undefined, putOut: () => undefined, done: Promise.resolve() }
      : followGateway({ gateway, records, looks, standing, membership, inTurn, onNews, log, signal });

  function lookAt(id: string): Look {
    const look = looks.find(id);
    if (look === undefined) throw noSuchRequest(id);
    return look;
  }

  async function letIn(asking: Approving): Promise<Approved> {
    const { asked, waiting } = asking.look;
    standing.checkOurs(asking.look);
    const member = standing.memberOf(asked.deviceId);
    const decision = decisions.approval(asking);
    await decision.keep();
    try {
      await tellGateway(asked, 'approve');
    } catch (error) {
      if (decision.lasts && isAway(error)) log.warn('an approval waits for the gateway', { device: asked.deviceId });
      else {
        await decision.takeBack(error instanceof Error ? error.message : String(error));
        throw error;
      }
    } finally {
      follower.wake();
    }
    const { id, name, role } = member ?? { id: asked.deviceId, name: waiting.name, role: 'node-host' as const };
    return { kind: asked.kind, id, name, role, replaced: decision.replaced };
  }

  function revokedOne(deviceId: string): OpenClawNode {
    const name = list().find(({ id }) => id === deviceId)?.name ?? deviceId;
    const unknown = {
      name,
      tailnet: null,
      platform: null,
      deviceFamily: null,
      approvedAt: 0,
      approvedBy: 'gateway',
      rule: null,
      commands: null,
    };
    return { ...unknown, deviceId, ...records.get(deviceId), removing: true, revokedAt: now() };
  }

  async function turnAway(look: Look, by: string, more: AuditDetail): Promise<void> {
    await tellGateway(look.asked, 'reject');
    const rejection = rejections.change(look.asked, now());
    await records.put([], [...rejection.rows, record('node.reject', by, { ...detailOf(look), ...more })]);
    rejection.kept();
    follower.wake();
  }

  async function tellGateway(asked: GatewayRequest, word: 'approve' | 'reject'): Promise<void> {
    if (gateway === null) return;
    if (asked.kind === 'device')
      await (word === 'approve' ? gateway.approveDevice(asked) : gateway.rejectDevice(asked));
    else await (word === 'approve' ? gateway.approveSurface(asked) : gateway.rejectSurface(asked));
  }

  function list(): readonly OpenClawNodeView[] {
    const isThere = gateway?.status().state === 'connected';
    const own = new Map(records.current().map((node) => [node.deviceId, node]));
    const listed = new Map(
      [...(gateway?.nodes() ?? [])].filter(([id, { paired }]) => paired && standing.memberOf(id) === undefined),
    );
    const ids = new Set([...listed.keys(), ...own.keys()]);
    return [...ids].map((id) => openClawNodeView(id, own.get(id), listed.get(id), isThere));
  }

  return {
    // What is decided waits for the gateway alone.
    requests: () =>
      looks
        .all()
        .filter((look) => !standing.isDecided(look))
        .map((look) => standing.judged(look)),
    approve: (id, approval) => inTurn(() => letIn({ look: lookAt(id), approval, rule: null, more: {} })),
    reject: (id, by) =>
      inTurn(async () => {
        const look = lookAt(id);
        const { request, held } = standing.judged(look);
        await turnAway(look, by, {});
        return { request: { ...request, rejected: true }, held };
      }),
    judge: (id, by, rule) =>
      inTurn(async () => {
        const look = lookAt(id);
        const { act, labels, groups, detail } = rule(standing.judged(look));
        const more = detail ?? {};
        const named = typeof more['rule'] === 'string' ? more['rule'] : by;
        if (act === 'approve')
          await letIn({ look, approval: { by, replace: false, labels, groups }, rule: named, more });
        else if (act === 'reject') await turnAway(look, by, more);
        else if (detail !== null) await records.put([], [record('node.judge', by, { ...detailOf(look), ...more })]);
      }),
    changes,
    list,
    nameHeld: ({ kind, name }) =>
      kind === 'join' && list().some((node) => isSameName(node.name, name))
        ? `the name ${name} belongs to one of OpenClaw’s own nodes`
        : null,
    node: (deviceId) => list().find(({ id }) => id === deviceId),
    revoke: (deviceId, by) =>
      inTurn(async () => {
        if (!list().some(({ id }) => id === deviceId)) {
          throw new FederationError('NODE_NOT_FOUND', `no node has the id ${JSON.stringify(deviceId)}`, {
            hint: 'manage-federation list',
          });
        }
        const node = revokedOne(deviceId);
        const audit = record('node.revoke', by, namedOf(node));
        try {
          await records.put([node], [audit]);
        } catch (error) {
          // That it is not kept is said; it goes all the same.
          follower.putOut(node, audit);
          throw error;
        }
        follower.wake();
      }),
    done: follower.done,
  };
}

function isAway(error: unknown): boolean {
  return error instanceof FederationError && error.code === 'GATEWAY_UNREACHABLE';
}
