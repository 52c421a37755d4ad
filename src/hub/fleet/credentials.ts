import { hash, randomBytes } from 'node:crypto';

export interface Session {
  readonly nodeId: string;
  readonly link: number;
  readonly address: string;
}

/** How long a credential outlives its link, so that a short break does not cut what runs over it. */
const GRACE_MS = 60_000;

/** Bearers of the nodes' own requests: bound to node, link and peer address, kept in memory only. */
export interface Credentials {
  /** A fresh credential, base64url. */
  issue(session: Session): string;
  /** The node that `bearer` belongs to, if it comes from where it was issued to. */
  find(bearer: string, address: string): Session | null;
  linkEnded(nodeId: string, link: number): void;
  /** At once, for a node that is out, or for one link of it. */
  revoke(nodeId: string, link?: number): void;
}

interface Issued {
  readonly session: Session;
  /** Monotonic milliseconds; Infinity while the link lives. */
  endsAt: number;
}

export function createCredentials(now: () => number = () => performance.now()): Credentials {
  const issued = new Map<string, Issued>();

  function sweep(): void {
    for (const [id, { endsAt }] of issued) if (endsAt <= now()) issued.delete(id);
  }

  return {
    issue(session) {
      sweep();
      const bearer = randomBytes(32).toString('base64url');
      issued.set(hashOf(bearer), { session, endsAt: Infinity });
      return bearer;
    },
    find(bearer, address) {
      const found = issued.get(hashOf(bearer));
      if (found === undefined || found.endsAt <= now() || found.session.address !== plain(address)) return null;
      return found.session;
    },
    linkEnded(nodeId, link) {
      for (const one of issued.values()) {
        if (one.session.nodeId === nodeId && one.session.link === link) one.endsAt = now() + GRACE_MS;
      }
    },
    revoke(nodeId, link) {
      for (const [id, { session }] of issued) {
        if (session.nodeId === nodeId && (link === undefined || session.link === link)) issued.delete(id);
      }
    },
  };
}

/** As a link has it: a listener on every address shows IPv4 peers as IPv6. */
function plain(address: string): string {
  return address.replace(/^::ffff:/, '');
}

/** Looked up by hash, so that the time of a comparison tells nothing of the credential. */
function hashOf(bearer: string): string {
  return hash('sha256', bearer, 'base64');
}
