import { timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { FederationError } from '#src/core/errors.ts';

/** Who may use models by a port of this machine. */
export interface Door {
  /** Throws FORBIDDEN for a browser and for a name that was made to point here, UNAUTHENTICATED without the node's key. */
  check(request: IncomingMessage, port: number): void;
}

/** `key`: what is in `file` of the worker daemon's home, for programs of its user; null: none is wanted. */
export function createDoor(key: string | null, file: string): Door {
  const wanted = key === null ? null : Buffer.from(key);
  return {
    check({ headers }, port) {
      if (headers.origin !== undefined) throw new FederationError('FORBIDDEN', 'this port is not for web pages');
      if (!isOwnHost(headers.host, port)) throw new FederationError('FORBIDDEN', 'this port has another name');
      if (wanted === null) return;
      const secret = secretOf(headers);
      if (secret !== null && isSame(Buffer.from(secret), wanted)) return;
      throw new FederationError('UNAUTHENTICATED', 'this needs the key of this node', {
        hint: `send what is in ${file} of the worker’s folder, as a bearer or as x-api-key`,
      });
    },
  };
}

function isOwnHost(host: string | undefined, port: number): boolean {
  return host === `127.0.0.1:${port}` || host === `localhost:${port}`;
}

/** As OpenAI’s and as Anthropic’s clients send a key. */
function secretOf(headers: IncomingMessage['headers']): string | null {
  const bearer = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1];
  const apiKey = headers['x-api-key'];
  return bearer ?? (typeof apiKey === 'string' ? apiKey : null);
}

/** In a time that tells nothing but the length, which everybody may know. */
function isSame(secret: Buffer, wanted: Buffer): boolean {
  return secret.length === wanted.length && timingSafeEqual(secret, wanted);
}
