import type { IncomingMessage } from 'node:http';
import type { Log } from '#src/adapters/log.ts';
import type { Gateway } from '#src/adapters/openclaw/gateway.ts';
import type { PolicyText } from '#src/adapters/policy-file.ts';
import type { Store } from '#src/adapters/store/store.ts';
import type { Tailscale } from '#src/adapters/tailscale/tailscale.ts';
import { lockdownText } from '#src/core/lockdown.ts';
import type { Member } from '#src/core/member.ts';
import type { Settings } from '#src/core/settings.ts';
import { openA2a } from '#src/hub/a2a/open.ts';
import { createApp } from '#src/hub/api/app.ts';
import { bearerOf } from '#src/hub/api/principal.ts';
import { openApprovals } from '#src/hub/enrolment/approval.ts';
import { askerDetail } from '#src/hub/approvals/action-detail.ts';
import { openDeeds } from '#src/hub/deeds.ts';
import { createDoors } from '#src/hub/doors.ts';
import { createPlaces } from '#src/hub/listening/places.ts';
import { auditLog } from '#src/hub/audit.ts';
import { createCarrier } from '#src/hub/openclaw/carrier.ts';
import type { Session } from '#src/hub/fleet/credentials.ts';
import { createCredentials } from '#src/hub/fleet/credentials.ts';
import { createEnrolment } from '#src/hub/enrolment/enrolment.ts';
import { followDeviceNames } from '#src/hub/openclaw/device-names.ts';
import { createFleet } from '#src/hub/fleet/fleet.ts';
import { createGatewayDesk } from '#src/hub/openclaw/gateway.ts';
import { identifyByKey, identifyByTailnet } from '#src/hub/enrolment/identity.ts';
import { createStrangerAudit } from '#src/hub/enrolment/stranger-audit.ts';
import { openLockdown } from '#src/hub/jobs/lockdown.ts';
import { createAskerKeys } from '#src/hub/handoffs/asker-keys.ts';
import { openHandoffs } from '#src/hub/handoffs/handoffs.ts';
import type { MirrorFiles } from '#src/hub/handoffs/mirror.ts';
import { workerCalls } from '#src/hub/handoffs/worker-calls.ts';
import { openModels } from '#src/hub/models/models.ts';
import { createModelProxy } from '#src/hub/models/proxy.ts';
import { createMembers } from '#src/hub/enrolment/members.ts';
import { openMembership } from '#src/hub/enrolment/membership.ts';
import { createOperatorSessions } from '#src/hub/operators/sessions.ts';
import { openOperators } from '#src/hub/operators/operators.ts';
import { followNodes } from '#src/hub/fleet/node-changes.ts';
import { createReadinesses } from '#src/hub/enrolment/readiness.ts';
import { openOpenClawNodes } from '#src/hub/openclaw/nodes.ts';
import { createPruning } from '#src/hub/enrolment/prune.ts';
import { createRequests } from '#src/hub/enrolment/requests.ts';
import type { Answering, OwnedSocket } from '#src/hub/listening/listeners.ts';
import { createRevocation } from '#src/hub/enrolment/revocation.ts';
import { hubStatus } from '#src/hub/status.ts';
import { createTokens } from '#src/hub/enrolment/tokens.ts';
import { createBodyReader } from '#src/link/models/body.ts';
import type { KeyPair } from '#src/link/key.ts';
import { askerText } from '#src/core/policy.ts';

export interface HubParts {
  readonly settings: Settings;
  readonly version: string;
  readonly key: KeyPair;
  readonly store: Store;
  /** Of the events of handoffs. */
  readonly mirrorFiles: MirrorFiles;
  /** Null on a federation without OpenClaw. */
  readonly gateway: Gateway | null;
  /** Null where the hub is not to listen on the tailnet. */
  readonly tailscale: Tailscale | null;
  /** What the rules file holds, now and whenever it changes, until the signal is aborted. */
  readonly policies: (signal: AbortSignal) => AsyncIterable<PolicyText>;
  /** It stands for the operator. */
  readonly operator: OwnedSocket;
  /** The gateway's plugin asks on it, for people in chats. */
  readonly plugin: OwnedSocket | null;
  readonly log: Log;
}

export interface RunningHub {
  readonly epoch: number;
  readonly port: number;
  /** Ends its jobs and links and answers nobody any more. The store and the gateway stay open. */
  close(): Promise<void>;
}

/** Puts the hub's features together and listens. Throws ALREADY_RUNNING, PORT_IN_USE, STORE_FAILED. */
export async function openHub({
  settings,
  version,
  key,
  store,
  mirrorFiles,
  gateway,
  tailscale,
  policies,
  operator,
  plugin,
  log,
}: HubParts): Promise<RunningHub> {
  const stopping = new AbortController();
  const { signal } = stopping;
  const logFault = (error: unknown): void => log.error('something failed', { problem: stackOf(error) });

  const epoch = await store.nextEpoch();
  const { pendingMax: total, pendingPerSource: perSource } = settings.hub;
  const limits = { total, perSource };
  const enrolmentLog = log.child('enrolment');
  const membership = await openMembership({ store, log: enrolmentLog });
  const identify = tailscale === null ? identifyByKey : identifyByTailnet(tailscale, enrolmentLog);
  const enrolment = createEnrolment({ membership, limits, identify, log: enrolmentLog });
  const members = () => enrolment.members();
  const fleet = createFleet((member) => enrolment.quarantine(member) !== null);
  const credentials = createCredentials();
  const desk = createGatewayDesk({
    gateway,
    members,
    change: (nodeId, change, putOut) => enrolment.changeAtGateway(nodeId, change, putOut),
    isShut: () => lockdown.status() !== null,
    log: log.child('gateway'),
    signal,
  });
  const deeds = await openDeeds({
    ...{ settings, store, gateway, enrolment, fleet, log, signal },
    requests: () => requests.list(),
    openClawNodes: () => openClawNodes.list(),
    denied: () => lockdown.denial(),
  });
  const { commandApprovals, jobs, tools, unresolved } = deeds;

  const lockdown = await openLockdown({
    ...{ store, membership, fleet, jobs },
    carrier: () => carrier,
    log: log.child('lockdown'),
  });
  const models = await openModels({ store, membership, fleet, lockdown, log: log.child('models'), signal });
  const sessions = createOperatorSessions();
  const operators = await openOperators({
    ...{ store, membership, identify, sessions },
    admins: settings.hub.admins,
    isNode: (keyId) => enrolment.member(keyId) !== undefined,
    log: log.child('operators'),
  });
  const handoffs = await openHandoffs({
    ...{ settings, store, files: mirrorFiles, fleet, permits: deeds.permits, calls: workerCalls, signal },
    members: () => membership.state().members,
    onMember: (listener) => void membership.changes.on('node', listener),
    denied: () => lockdown.denial(),
    keys: createAskerKeys([operators, models.keys]),
    log: log.child('handoffs'),
  });
  const openClawNodes = await openOpenClawNodes({
    ...{ gateway, store, membership, identify, signal },
    isLockedDown: () => lockdown.status() !== null,
    log: log.child('openclaw'),
  });

  function findSession(bearer: string, address: string): { member: Member; session: Session } | null {
    const session = credentials.find(bearer, address);
    const member = session === null ? undefined : enrolment.member(session.nodeId);
    return session === null || member === undefined || member.revokedAt !== null ? null : { session, member };
  }

  function memberOf(request: IncomingMessage): Member | null {
    const bearer = bearerOf(request.headers.authorization);
    if (bearer === null) return null;
    return findSession(bearer, request.socket.remoteAddress ?? '')?.member ?? null;
  }

  const carrier =
    gateway === null
      ? null
      : createCarrier({
          gatewayUrl: gateway.status().url,
          authenticate: memberOf,
          isShut: () => lockdown.status() !== null,
          onDevice: (nodeId, deviceId) => {
            const member = enrolment.member(nodeId);
            if (member !== undefined) desk.joined(member, deviceId).catch(logFault);
          },
          log: log.child('carrier'),
        });

  const doors = createDoors({
    ...{ settings, key, epoch, enrolment, operators, credentials, fleet, carrier, log },
    onFault: logFault,
  });
  const places = createPlaces({ settings, operator, plugin, tailscale, log: log.child('tailnet'), signal });

  const revocation = createRevocation({ enrolment, waiting: () => requests.list(), fleet, credentials, carrier, desk });
  const requests = createRequests({
    sources: [revocation.requests, openClawNodes, operators],
    readmit: revocation.readmit,
    alsoHeld: (request) => (lockdown.status() === null ? openClawNodes.nameHeld(request) : 'locked down'),
  });
  const approvals = await openApprovals({ store, requests, policies: policies(signal), log: log.child('approval') });
  const chatRefusals = createStrangerAudit(membership);
  // What was held by it alone is there for the rules again.
  lockdown.changes.on('lockdown', () => {
    commandApprovals.endAll();
    const status = lockdown.status();
    if (status !== null) {
      tools.endAll();
      handoffs.endAll(lockdownText(status), status.by).catch(logFault);
    }
    for (const asked of requests.list()) requests.changes.emit('request', asked);
  });
  followDeviceNames({ gateway, membership, log: log.child('gateway'), signal });

  const app = createApp({
    enrolment,
    requests,
    openClawNodes,
    tokens: createTokens(membership, key.id),
    nodes: followNodes({ membership, fleet, gateway, signal }),
    views: {
      fleet,
      quarantine: (member) => enrolment.quarantine(member),
      nodeHosts: { state: (member) => desk.nodeHostState(member), commands: (member) => desk.commands(member) },
      runningOn: (nodeId) => jobs.runningOn(nodeId),
    },
    revocation,
    members: createMembers({
      membership,
      waiting: () => requests.list(),
      others: () => openClawNodes.list(),
      log: enrolmentLog,
    }),
    pruning: createPruning({
      ...{ membership, fleet, gateway, revocation, log: enrolmentLog },
      isKnown: (deviceId) => (openClawNodes.node(deviceId)?.approvedBy ?? null) !== null,
    }),
    models,
    lockdown,
    nameOf: (nodeId) => enrolment.member(nodeId)?.name ?? nodeId,
    readinesses: createReadinesses({
      members,
      waiting: () => requests.list(),
      openClawNodes: () => openClawNodes.list(),
      fleet,
      quarantine: (member) => enrolment.quarantine(member),
      ...{ gateway, signal },
    }),
    ...deeds,
    handoffs,
    audit: auditLog(store),
    desk,
    approvals,
    signal,
    operators,
    findSession,
    findOperator: (bearer, address, socket) => operators.find(bearer, address, socket),
    onChatRefused(asker, request) {
      const detail = { ...askerDetail(asker), request };
      store.commitSoon([...chatRefusals.records('chat.refuse', askerText(asker), detail)]).catch(logFault);
    },
    hubId: key.id,
    a2a: await openA2a(settings, {
      desk: handoffs.desk,
      keys: models.keys,
      members,
      ...{ version, signal },
      log: log.child('a2a'),
    }),
    status: hubStatus({
      name: settings.name ?? 'master',
      version,
      hubId: key.id,
      epoch,
      enrolment,
      requests,
      lockdown: () => lockdown.status(),
      fleet,
      jobs,
      desk,
      listening: () => places.listening(),
      tailnet: () => places.tailnet(),
      policy: approvals.status,
      models,
    }),
    log: log.child('api'),
  });

  const answering: Answering = {
    fetch: app.fetch,
    models: createModelProxy({
      router: models.router,
      keys: models.keys,
      usage: models.usage,
      bodies: createBodyReader(),
      findSession,
      findOperator: (bearer, address, socket) => operators.find(bearer, address, socket),
      log: log.child('models'),
    }),
  };

  async function close(): Promise<void> {
    await jobs.close();
    await fleet.close();
    await doors.close();
    sessions.close();
    carrier?.close();
    stopping.abort();
    await places.close();
    await Promise.all([places.done(), unresolved.done, desk.done, openClawNodes.done, approvals.done]);
    await handoffs.close();
    await models.usage.close();
    await membership.settled();
  }

  try {
    return { epoch, port: await places.open(answering, doors.upgrade), close };
  } catch (error) {
    await close();
    throw error;
  }
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
