import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import type { HubApi } from '#src/adapters/hub-api.ts';
import { hubThrough } from '#src/adapters/hub-api.ts';
import { FederationError } from '#src/core/errors.ts';
import { handoffOfSession } from '#src/core/handoff/session.ts';
import type { ChatAsker } from '#src/core/policy.ts';
import type { PluginHub } from '#src/plugin/hub.ts';

/** Where work is handed over, in whose name. */
export interface HandoffWay {
  readonly hub: HubApi;
  /** The handoff that the agent works on, a part of which it hands on; null where a person asks. */
  readonly parent: string | null;
}

/** Of the worker daemon, in its home. */
const SOCKET = 'handoffs.sock';
/** Where deploy-federation puts the home of a worker. */
const WORKER_HOME = '.openclaw-worker';

/** Id of the handoff in whose session somebody asks; null where it is none. */
export function parentOf({ session = '' }: ChatAsker): string | null {
  return handoffOfSession(session);
}

/**
 * To the hub for a person; for an agent that works on a handoff to the worker daemon of its node, which sees to it that the
 * part has no more time and no other asker than the whole. `keyFile` is of that daemon's home, where it is not the usual one.
 */
export function handoffWay(hub: PluginHub, keyFile: string | undefined, asker: ChatAsker): HandoffWay {
  const parent = parentOf(asker);
  if (parent === null) return { hub: hub.as(asker), parent };
  const home = keyFile === undefined ? join(homedir(), WORKER_HOME) : dirname(keyFile);
  const way = { to: { socketPath: join(home, SOCKET) }, headers: { host: 'localhost' } };
  return { hub: hubThrough(async () => way, closed, ''), parent };
}

async function closed(cause: unknown): Promise<FederationError> {
  if ((cause as Error).name === 'AbortError') {
    return new FederationError('HUB_UNREACHABLE', 'the worker was not waited for', { cause });
  }
  return new FederationError('HUB_UNREACHABLE', 'the worker daemon of this node does not answer', {
    hint: 'deploy-federation doctor, on this machine',
    cause,
  });
}
