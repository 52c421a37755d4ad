import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { parseJoinToken } from '#src/core/join-token.ts';
import type { NodeFacts } from '#src/core/node.ts';
import type { KeyPair } from '#src/link/key.ts';
import type { HubAddress } from '#src/core/hub-address.ts';
import type { Welcome } from '#src/protocol/handshake.ts';
import { eventually } from './eventually.ts';
import type { TestNode } from './link.ts';
import { facts, newKey, startNode } from './link.ts';

export interface BareNodeOptions extends Partial<NodeFacts> {
  readonly key?: KeyPair;
  /** Where the hub is reached; by loopback where it is not given. */
  readonly hub?: HubAddress;
  /** A join token as it is pasted. */
  readonly token?: string;
  readonly onStream?: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void;
}

export interface BareNode extends TestNode, AsyncDisposable {
  /** Resolves when the hub lets it in, now or the next time. */
  welcome(): Promise<Welcome>;
  waiting(): Promise<void>;
  /** Code with which the hub refused it, the latest. */
  refusal(): Promise<string>;
}

/** The link of a worker daemon without the daemon: it asks again at once, and says of itself what a test wants. */
export function bareNode(hub: { port: number; hubId: string }, options: BareNodeOptions = {}): BareNode {
  const { key = newKey(), token, onStream, hub: at, ...said } = options;
  const secret = token === undefined ? null : parseJoinToken(token).secret;
  const node = startNode(
    { port: hub.port, key },
    {
      key,
      pin: () => hub.hubId,
      facts: () => ({ ...facts(), ...said }),
      secret: () => secret,
      backOff: { minMs: 10, maxMs: 20, patientMs: 50 },
      ...(onStream === undefined ? {} : { onStream }),
      ...(at === undefined ? {} : { hub: at }),
    },
  );
  return {
    ...node,
    welcome: () => eventually('a welcome', () => node.events.findLast((event) => event.type === 'welcome')?.welcome),
    waiting: () => eventually('it waits', () => node.saw('waiting')).then(() => undefined),
    refusal: () => eventually('a refusal', () => node.events.findLast((event) => event.type === 'refused')?.error.code),
    [Symbol.asyncDispose]: () => node.stop(),
  };
}
