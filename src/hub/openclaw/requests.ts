import { isDeepStrictEqual } from 'node:util';
import type { GatewayRequest } from '#src/adapters/openclaw/gateway-request.ts';
import type { Identity } from '#src/core/identity.ts';
import { machineOf } from '#src/core/identity.ts';
import { displayNameOf } from '#src/core/openclaw-node.ts';
import type { WaitingRequest } from '#src/core/request.ts';
import type { Identify } from '#src/hub/enrolment/identity.ts';
import type { AuditDetail } from '#src/hub/enrolment/membership.ts';

/** One that asks at the gateway, with the machine behind its address. */
export interface Look {
  readonly asked: GatewayRequest;
  readonly waiting: WaitingRequest;
  /** False while the tailnet could not be asked: it is asked again. */
  readonly isIdentified: boolean;
}

export interface Looks {
  /** Those that ask still. */
  all(): readonly Look[];
  /** By the id that an approval names. */
  find(id: string): Look | undefined;
  /** Looks at what asks now. Returns those that are new, or say or are something else than before. */
  update(requests: readonly GatewayRequest[]): Promise<readonly Look[]>;
  /** All that ask are new then. */
  forget(): void;
}

export interface LooksOptions {
  /** What the gateway lists at this moment. */
  readonly requests: () => readonly GatewayRequest[];
  readonly identify: Identify;
  readonly isRejected: (asked: GatewayRequest) => boolean;
  readonly signal: AbortSignal;
}

/** OpenClaw's own node hosts that come by the carrier or run here come from there. */
const LOOPBACK = '127.0.0.1';

export function createLooks({ requests, identify, isRejected, signal }: LooksOptions): Looks {
  let looks = new Map<string, Look>();

  async function look(asked: GatewayRequest, before: Look | undefined): Promise<Look & { readonly isNews: boolean }> {
    const isKnown = before?.isIdentified === true && before.asked.remoteIp === asked.remoteIp;
    const identity: Identity = isKnown
      ? identityFrom(before.waiting)
      : await identify(asked.remoteIp ?? LOOPBACK, signal);
    const rejected = isRejected(asked);
    const firstAskedAt = before?.waiting.firstAskedAt ?? asked.askedAt;
    const waiting = { ...waitingRequest(asked, identity), firstAskedAt, rejected };
    const isNews = before === undefined || newsOf(before.waiting) !== newsOf(waiting);
    // One object for each request, so that who has looked at it knows it again.
    const isSame = before !== undefined && isDeepStrictEqual(before.waiting, waiting);
    return { asked, waiting: isSame ? before.waiting : waiting, isIdentified: identity.kind !== 'unknown', isNews };
  }

  function all(): readonly Look[] {
    const ids = new Set(requests().map(idOf));
    return [...looks.values()].filter(({ waiting }) => ids.has(waiting.id));
  }

  return {
    all,
    find: (id) => all().find(({ waiting }) => waiting.id === id),
    async update(asked) {
      const before = looks;
      const now = await Promise.all(asked.map((one) => look(one, before.get(idOf(one)))));
      looks = new Map(now.map((one) => [one.waiting.id, one]));
      return now.filter(({ isNews }) => isNews);
    },
    forget() {
      looks = new Map();
    },
  };
}

/** An id in hex, as those of nodes are. */
export function idOf({ requestId }: GatewayRequest): string {
  return requestId.replaceAll('-', '').toLowerCase();
}

function identityFrom({ tailnet }: WaitingRequest): Identity {
  return tailnet === null ? { kind: 'stranger' } : { kind: 'machine', machine: tailnet };
}

/** All but its times: whoever asks again says nothing new. */
function newsOf(waiting: WaitingRequest): string {
  return JSON.stringify({ ...waiting, firstAskedAt: 0, lastAskedAt: 0, expiresAt: 0 });
}

function waitingRequest(asked: GatewayRequest, identity: Identity): WaitingRequest {
  const { kind, deviceId, displayName, remoteIp, version, platform, commands, askedAt, expiresAt } = asked;
  return {
    ...{ kind, id: idOf(asked), keyId: deviceId, name: displayNameOf(displayName, deviceId), role: 'node-host' },
    ...{
      address: remoteIp ?? LOOPBACK,
      tailnet: machineOf(identity),
      isIdentified: identity.kind !== 'unknown',
      version: null,
      openclawVersion: version,
    },
    ...{ platform, arch: null, offers: [], commands, token: null, rejected: false },
    ...{ firstAskedAt: askedAt, lastAskedAt: askedAt, expiresAt },
  };
}

/** What the audit says of a request. */
export function detailOf({ waiting }: Look): AuditDetail {
  const { kind, keyId, name, address, commands, tailnet } = waiting;
  return { kind, node: name, id: keyId, address, commands, machine: tailnet?.stableId ?? null };
}
