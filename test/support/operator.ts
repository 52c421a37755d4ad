import { lookup } from 'node:dns';
import type { KeyPair } from '#src/link/key.ts';
import type { OperatorConnection } from '#src/link/operator.ts';
import { enterAsOperator } from '#src/link/operator.ts';
import type { Answer } from './http.ts';
import { ask } from './http.ts';
import { newKey } from './link.ts';

export interface OperatorOptions {
  readonly key?: KeyPair;
  readonly name?: string;
  /** Where the hub is reached, as a cable says it; by its own port where it is not given. */
  readonly port?: number;
  /** Loopback address that its requests come from. */
  readonly from?: string;
  readonly pin?: string;
}

export interface EnteredOperator extends OperatorConnection, AsyncDisposable {
  /** A request with its credential, from its address unless another is named. */
  ask(method: string, path: string, body?: object, from?: string): Promise<Answer>;
}

export interface TestOperator {
  readonly key: KeyPair;
  /** Why it waits, each time that it was told. */
  readonly waits: (string | null)[];
  enter(wish: { login: boolean }, signal?: AbortSignal): Promise<EnteredOperator>;
}

/** An operator's program without its commands. */
export function operatorAt(hub: { port: number; hubId: string }, options: OperatorOptions = {}): TestOperator {
  const { key = newKey(), name = 'laptop', port = hub.port, from = '127.0.0.1', pin = hub.hubId } = options;
  const waits: (string | null)[] = [];
  return {
    key,
    waits,
    async enter({ login }, signal = new AbortController().signal) {
      const connection = await enterAsOperator({
        ...{ hub: { host: '127.0.0.1', port }, lookup, key, pin, signal },
        self: { name, version: '1.0.0', platform: 'linux', arch: 'x64', login },
        onWaiting: (held) => void waits.push(held),
      });
      return {
        ...connection,
        ask(method, path, body, localAddress = from) {
          const json = body === undefined ? {} : { 'content-type': 'application/json' };
          const headers = { ...json, authorization: `Bearer ${connection.credential}` };
          const request = { host: '127.0.0.1', port: hub.port, localAddress, method, path: `/api/v1${path}`, headers };
          return ask(request, body === undefined ? undefined : JSON.stringify(body));
        },
        [Symbol.asyncDispose]: async () => connection.close(),
      };
    },
  };
}
