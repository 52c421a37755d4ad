import { setTimeout as pause } from 'node:timers/promises';
import type { Log } from '#src/adapters/log.ts';
import { agentEventSchema } from '#src/adapters/openclaw/agent-messages.ts';
import type { GatewayConnection } from '#src/adapters/openclaw/gateway-connection.ts';
import { openConnection } from '#src/adapters/openclaw/gateway-connection.ts';
import { isOwnGateway, readOwnGateway } from '#src/adapters/openclaw/own-gateway-access.ts';

/** Something that happened in a session of the gateway. */
export interface SessionEvent {
  readonly runId: string;
  readonly stream: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** One connection to this node's own gateway, which is kept, and opened anew when it ends. */
export interface AgentLink {
  /** Null while there is none. */
  connection(): GatewayConnection | null;
  /** Calls when there is one, and when there is none any more, until the returned function is called. */
  onChange(listener: () => void): () => void;
  /** Hears what happens in a session, whoever began it, until the returned function is called. */
  listen(session: string, listener: (event: SessionEvent) => void): () => void;
  close(): Promise<void>;
}

export interface AgentLinkOptions {
  /** The gateway's settings: port and token are read from them for each connection. */
  readonly settingsFile: string;
  readonly log: Log;
}

const RETRY_MIN_MS = 250;
const RETRY_MAX_MS = 5000;

/** It may have agents run and read what they say, and nothing else. */
const SCOPES = ['operator.read', 'operator.write'];

export function openAgentLink({ settingsFile, log }: AgentLinkOptions): AgentLink {
  const stopping = new AbortController();
  const stopped = stopping.signal;
  const changes = new Set<() => void>();
  const listeners = new Map<string, Set<(event: SessionEvent) => void>>();
  let connection: GatewayConnection | null = null;
  let problem: string | null = null;
  const done = run();

  async function run(): Promise<void> {
    for (let failures = 0; !stopped.aborted; failures++) {
      try {
        const { url, token } = await readOwnGateway(settingsFile);
        const wanted = { url, token, trusts: isOwnGateway, scopes: SCOPES, caps: ['tool-events'] };
        const opened = await openConnection({ ...wanted, onEvent: hear, signal: stopped });
        failures = 0;
        change(opened, null);
        change(null, await opened.closed);
      } catch (error) {
        if (!stopped.aborted) change(null, error instanceof Error ? error.message : String(error));
      }
      await pause(delay(failures), undefined, { signal: stopped, ref: false }).catch(() => undefined);
    }
  }

  function change(opened: GatewayConnection | null, why: string | null): void {
    if (opened !== null) log.info('connected to this node’s own gateway', { version: opened.version });
    else if (why !== problem) log.info('not connected to a gateway of this node', { problem: why });
    problem = why;
    if (opened === connection) return;
    connection = opened;
    for (const listener of [...changes]) listener();
  }

  function hear(name: string, payload: unknown): void {
    if (name !== 'agent') return;
    const { success, data } = agentEventSchema.safeParse(payload);
    if (!success) return;
    for (const listener of listeners.get(data.sessionKey.toLowerCase()) ?? []) listener(data);
  }

  return {
    connection: () => (connection?.isOpen() === true ? connection : null),
    onChange(listener) {
      changes.add(listener);
      return () => void changes.delete(listener);
    },
    listen(session, listener) {
      const key = session.toLowerCase();
      const those = listeners.get(key) ?? new Set();
      listeners.set(key, those.add(listener));
      return () => {
        those.delete(listener);
        if (those.size === 0) listeners.delete(key);
      };
    },
    async close() {
      stopping.abort();
      await done;
    },
  };
}

function delay(failures: number): number {
  return Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** Math.min(failures, 10)) * (0.5 + Math.random() / 2);
}
