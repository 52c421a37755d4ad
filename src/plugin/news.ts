import { setTimeout as pause } from 'node:timers/promises';
import { ReadableStream, TextDecoderStream } from 'node:stream/web';
import { EventSourceParserStream } from 'eventsource-parser/stream';
import type { OpenClawPluginService } from 'openclaw/plugin-sdk/plugin-entry';
import type { HubApi } from '#src/adapters/hub-api.ts';
import { FederationError } from '#src/core/errors.ts';
import { OPERATOR } from '#src/plugin/asker.ts';
import type { PluginHub } from '#src/plugin/hub.ts';
import type { PairingRequestView } from '#src/protocol/hub-api/pairing-request.ts';

/** Of one event, in characters; the hub writes none that comes near it. */
const MAX_EVENT = 1 << 20;
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 60_000;

/** Tells the gateway’s clients of machines that want in, as `plugin.openclaw-federation.pending`. */
export function hubNews(hub: PluginHub): OpenClawPluginService {
  let stopping = new AbortController();
  let done = Promise.resolve();
  return {
    id: 'openclaw-federation-news',
    start({ gatewayEvents, logger }) {
      // Started anew without a stop, it would follow twice.
      stopping.abort();
      stopping = new AbortController();
      const tell = ({ kind, id, name, role, fingerprint, rejected }: PairingRequestView): void => {
        if (rejected) return;
        gatewayEvents?.emit('pending', { kind, id, name, role, fingerprint }, { scope: 'operator.read' });
      };
      done = follow(hub.as(OPERATOR), tell, (problem) => logger.warn(problem), stopping.signal);
    },
    async stop() {
      stopping.abort();
      await done;
    },
  };
}

/** Until `signal` is aborted; a hub that is away is waited for, ever longer. */
async function follow(
  hub: HubApi,
  tell: (request: PairingRequestView) => void,
  warn: (problem: string) => void,
  signal: AbortSignal,
): Promise<void> {
  let pauseMs = FIRST_PAUSE_MS;
  let told = '';
  while (!signal.aborted) {
    try {
      for await (const request of requestsIn(await hub.open('GET', '/events', undefined, signal))) {
        tell(request);
        pauseMs = FIRST_PAUSE_MS;
      }
    } catch (error) {
      if (signal.aborted) return;
      const problem = error instanceof FederationError ? error.message : String(error);
      // Once, not every minute for as long as no hub is deployed.
      if (problem !== told) warn(`openclaw-federation: ${problem}`);
      told = problem;
    }
    await pause(pauseMs, undefined, { signal }).catch(() => undefined);
    pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
  }
}

async function* requestsIn(stream: AsyncIterable<Buffer>): AsyncGenerator<PairingRequestView> {
  const messages = ReadableStream.from(stream)
    .pipeThrough(new TextDecoderStream())
    .pipeThrough(new EventSourceParserStream({ maxBufferSize: MAX_EVENT }));
  for await (const { event, data } of messages) {
    if (event === 'pairing-request') yield JSON.parse(data) as PairingRequestView;
  }
}
