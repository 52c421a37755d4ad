import type { Log } from '#src/adapters/log.ts';
import { FederationError } from '#src/core/errors.ts';
import type { Settings } from '#src/core/settings.ts';
import type { Enrolment } from '#src/hub/enrolment/enrolment.ts';
import type { Credentials } from '#src/hub/fleet/credentials.ts';
import type { Fleet } from '#src/hub/fleet/fleet.ts';
import type { Upgrade } from '#src/hub/listening/listeners.ts';
import { refuseUpgrade } from '#src/hub/listening/listeners.ts';
import type { Carrier } from '#src/hub/openclaw/carrier.ts';
import type { Operators } from '#src/hub/operators/operators.ts';
import { createAcceptor } from '#src/link/accept.ts';
import type { Strangers } from '#src/link/door.ts';
import type { KeyPair } from '#src/link/key.ts';
import { createOperatorDoor } from '#src/link/operator-accept.ts';
import { createTurnstile, STRANGERS } from '#src/link/turnstile.ts';
import { LINK_PATH } from '#src/protocol/handshake.ts';
import { CARRIER_PATH } from '#src/protocol/hub-api/node-host.ts';
import { OPERATOR_PATH } from '#src/protocol/operator-handshake.ts';

/** The ways by which nodes and operators come in: each proves its key first. */
export interface Doors {
  readonly upgrade: Upgrade;
  /** Resolves when nobody is in them any more. */
  close(): Promise<void>;
}

export interface DoorsOptions {
  readonly settings: Settings;
  readonly key: KeyPair;
  readonly epoch: number;
  readonly enrolment: Enrolment;
  readonly operators: Operators;
  readonly credentials: Credentials;
  readonly fleet: Fleet;
  /** Null on a federation without OpenClaw. */
  readonly carrier: Carrier | null;
  readonly onFault: (error: unknown) => void;
  readonly log: Log;
}

export function createDoors(options: DoorsOptions): Doors {
  const { settings, key, epoch, enrolment, operators, credentials, fleet, carrier, onFault, log } = options;
  const heartbeatMs = settings.hub.heartbeatSeconds * 1000;
  const strangers: Strangers = {
    isKnown: (keyId) => enrolment.member(keyId)?.revokedAt === null || operators.list().some(({ id }) => id === keyId),
    turnstile: createTurnstile(STRANGERS),
  };
  const operatorDoor = createOperatorDoor({
    ...{ key, strangers, heartbeatMs, onFault },
    admit: (applicant) => operators.admit(applicant),
  });

  fleet.changes.on('up', ({ nodeId, address }) => log.info('a link is up', { node: nodeId, address }));
  fleet.changes.on('down', ({ nodeId, generation }) => {
    log.info('a link is down', { node: nodeId });
    credentials.linkEnded(nodeId, generation);
    enrolment.seen(nodeId);
  });

  let links = 0;
  const acceptor = createAcceptor({
    ...{ key, strangers, epoch, heartbeatMs, onFault },
    async admit(applicant) {
      operators.refuseAsNode(applicant.nodeId);
      const { id } = await enrolment.admit(applicant);
      links += 1;
      const session = { nodeId: id, link: links, address: applicant.address };
      // Also where no link comes of it: its credential ends some time after the connection, too.
      applicant.signal.addEventListener('abort', () => credentials.linkEnded(id, session.link));
      return { link: links, credential: credentials.issue(session) };
    },
    onLink(link) {
      // Revoked between its admission and now: the same as revoked before.
      if (enrolment.member(link.nodeId)?.revokedAt === null) fleet.add(link);
      else link.close(new FederationError('REVOKED', 'this node was revoked'));
    },
  });

  return {
    upgrade(request, socket, head) {
      if (request.url === LINK_PATH) acceptor.upgrade(request, socket, head);
      else if (request.url === OPERATOR_PATH) operatorDoor.upgrade(request, socket, head);
      else if (request.url === CARRIER_PATH && carrier !== null) carrier.upgrade(request, socket, head);
      else refuseUpgrade(socket, 404);
    },
    async close() {
      await Promise.all([acceptor.close(), operatorDoor.close()]);
    },
  };
}
