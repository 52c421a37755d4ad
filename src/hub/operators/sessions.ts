import { createHash, randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import type { FederationError } from '#src/core/errors.ts';

/** The connections that operators have open, and what is done by each. */
export interface OperatorSessions {
  /** Begins one that lasts until `gone` is aborted. `out` is aborted when its operator is out. */
  open(
    operatorId: string,
    address: string,
    gone: AbortSignal,
  ): { readonly credential: string; readonly out: AbortSignal };
  /**
   * Id of the operator whose credential that is, if it comes from where the connection does. `socket` ends with the
   * session from then on.
   */
  find(bearer: string, address: string, socket: Socket): string | null;
  /** Ends all of an operator's at once; the answer that `spared` is still to carry goes out. */
  end(operatorId: string, reason: FederationError, spared?: Socket): void;
  close(): void;
}

/** How long a credential outlives its connection: for what was asked at the last moment. */
const GRACE_MS = 2000;

interface Session {
  readonly operatorId: string;
  readonly address: string;
  readonly sockets: Set<Socket>;
  readonly out: AbortController;
  ending: NodeJS.Timeout | null;
}

export function createOperatorSessions(graceMs: number = GRACE_MS): OperatorSessions {
  /** By the hash of the credential, so that the time of a comparison tells nothing of it. */
  const sessions = new Map<string, Session>();

  function drop(hash: string, session: Session, spared?: Socket): void {
    sessions.delete(hash);
    if (session.ending !== null) clearTimeout(session.ending);
    for (const socket of session.sockets) if (socket !== spared) socket.destroy();
  }

  return {
    open(operatorId, address, gone) {
      const credential = randomBytes(32).toString('base64url');
      const hash = hashOf(credential);
      const session: Session = { operatorId, address, sockets: new Set(), out: new AbortController(), ending: null };
      sessions.set(hash, session);
      const leave = (): void => {
        // What still runs over it has lost its person, however open its sockets may look.
        session.ending = setTimeout(() => drop(hash, session), graceMs).unref();
      };
      if (gone.aborted) leave();
      else gone.addEventListener('abort', leave, { once: true });
      return { credential, out: session.out.signal };
    },
    find(bearer, address, socket) {
      const session = sessions.get(hashOf(bearer));
      if (session === undefined || session.address !== address.replace(/^::ffff:/, '')) return null;
      if (!session.sockets.has(socket)) {
        session.sockets.add(socket);
        socket.once('close', () => session.sockets.delete(socket));
      }
      return session.operatorId;
    },
    end(operatorId, reason, spared) {
      for (const [hash, session] of sessions) {
        if (session.operatorId !== operatorId) continue;
        drop(hash, session, spared);
        session.out.abort(reason);
      }
    },
    close() {
      for (const [hash, session] of sessions) drop(hash, session);
    },
  };
}

function hashOf(bearer: string): string {
  return createHash('sha256').update(bearer).digest('base64');
}
