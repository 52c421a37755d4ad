import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { homePath } from '#src/adapters/home.ts';
import { hubThrough } from '#src/adapters/hub-api.ts';
import type { HubApi } from '#src/adapters/hub-api.ts';
import { FederationError } from '#src/core/errors.ts';
import { HUB_RECORD_FILE } from '#src/core/hub-record.ts';
import type { HubRecord } from '#src/core/hub-record.ts';
import type { ChatAsker } from '#src/core/policy.ts';
import { ASKER_HEADER, encodeAsker } from '#src/protocol/asker.ts';

/** The hub of this machine, by the socket that is the plugin’s alone. */
export interface PluginHub {
  /** The hub as `asker` has it: every request says who asks. */
  as(asker: ChatAsker): HubApi;
}

/** Of a hub that is a service of the machine, whose home only its own user reads. */
const MACHINE_SOCKET = '/run/openclaw-federation/plugin.sock';

/**
 * The hub behind `socket`; where none is set, that of the user’s own home, or of the machine. It is looked for anew for
 * each request: a hub that is started again may have another socket.
 */
export function pluginHub(socket: string | undefined): PluginHub {
  return {
    as: (asker) =>
      hubThrough(
        async () => ({
          to: { socketPath: socket ?? foundSocket() },
          headers: { host: 'localhost', [ASKER_HEADER]: encodeAsker(asker) },
        }),
        async (cause) => unreachable(cause),
      ),
  };
}

function foundSocket(): string {
  const own = ownSocket();
  return own !== null && existsSync(own) ? own : MACHINE_SOCKET;
}

function ownSocket(): string | null {
  try {
    const text = readFileSync(join(homePath(undefined), HUB_RECORD_FILE), 'utf8');
    return (JSON.parse(text) as HubRecord).plugin;
  } catch {
    return null;
  }
}

function unreachable(cause: unknown): FederationError {
  const { code, name } = cause as NodeJS.ErrnoException;
  if (name === 'AbortError') return new FederationError('HUB_UNREACHABLE', 'the hub was not waited for', { cause });
  if (code === 'EACCES') {
    return new FederationError('FORBIDDEN', 'the hub does not let the user in that the gateway runs as', {
      hint: 'on the master: deploy-federation doctor',
      cause,
    });
  }
  return new FederationError('HUB_UNREACHABLE', 'the hub of the federation does not answer', {
    hint: 'on the master: manage-federation status',
    cause,
  });
}
