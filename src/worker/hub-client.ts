import { once } from 'node:events';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { request } from 'node:http';
import { FederationError } from '#src/core/errors.ts';
import type { HubAddress } from '#src/core/hub-address.ts';
import { hubAddressText } from '#src/core/hub-address.ts';
import { errorSchema } from '#src/protocol/hub-api/error.ts';
import { ownNodeHostSchema, setupCodeSchema } from '#src/protocol/hub-api/node-host.ts';
import { offerTakenSchema } from '#src/protocol/models.ts';
import { keyChangedSchema } from '#src/protocol/node-key.ts';
import type { HubSession } from '#src/worker/hub-address.ts';
import type { KeyDesk } from '#src/worker/key-rotation.ts';
import type { AgentDesk } from '#src/worker/handoffs/offer.ts';
import type { OfferDesk } from '#src/worker/models/offer.ts';
import type { NodeHostDesk } from '#src/worker/node-host.ts';

/** A question to the hub must not outlast the interest in its answer. */
const ANSWER_MS = 20_000;
/** Far more than any answer here; a hub that has turned must not fill this node's memory. */
const MAX_ANSWER_BYTES = 1 << 20;

/**
 * The node's own requests to the hub, with the credential that its link gave it.
 * Throws HUB_UNREACHABLE without a link or an answer, and what the hub refuses with otherwise.
 */
export function hubClient(
  hub: HubAddress,
  session: () => HubSession | null,
  signal: AbortSignal,
): NodeHostDesk & KeyDesk & OfferDesk & AgentDesk {
  async function ask(path: string, body?: object, method: 'POST' | 'PUT' = 'POST'): Promise<unknown> {
    const now = session();
    if (now === null) throw new FederationError('HUB_UNREACHABLE', 'there is no link to the hub');
    const { status, value } = await send(path, now, body === undefined ? 'GET' : method, body);
    if (status === 200) return value;
    const refusal = errorSchema.safeParse(value);
    if (!refusal.success) throw new FederationError('HUB_UNREACHABLE', `the hub answered ${status}`);
    const { code, message, hint } = refusal.data;
    throw new FederationError(code, message, hint === undefined ? {} : { hint });
  }

  async function send(
    path: string,
    { address, credential }: HubSession,
    method: 'GET' | 'POST' | 'PUT',
    body: object | undefined,
  ) {
    const headers = {
      host: hubAddressText(hub),
      authorization: `Bearer ${credential}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    };
    try {
      return await answerOf(
        request({
          host: address,
          port: hub.port,
          path: `/api/v1/${path}`,
          method,
          headers,
          agent: false,
          signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]),
        }).end(body === undefined ? undefined : JSON.stringify(body)),
      );
    } catch (cause) {
      throw new FederationError('HUB_UNREACHABLE', 'the hub does not answer', { cause });
    }
  }

  return {
    requestSetupCode: async (carrierPort) =>
      setupCodeSchema.parse(await ask('node-host/setup-code', { carrierPort })).setupCode,
    ownNodeHost: async () => ownNodeHostSchema.parse(await ask('node-host')).nodeHost,
    async offerModels(offer) {
      return offerTakenSchema.parse(await ask('node/models', offer, 'PUT'));
    },
    async offerAgents(offer) {
      await ask('node/agents', offer, 'PUT');
    },
    async changeKey(publicKey, signature) {
      keyChangedSchema.parse(await ask('node/key', { publicKey, signature }).catch(orTooOld));
    },
  };
}

function orTooOld(error: unknown): never {
  if (!(error instanceof FederationError) || error.code !== 'NOT_FOUND') throw error;
  throw new FederationError('VERSION_UNSUPPORTED', 'the hub is of an earlier version, which changes no keys', {
    hint: 'upgrade openclaw-federation on the master',
    cause: error,
  });
}

/** The status, and the body where it is JSON. */
async function answerOf(asking: ClientRequest): Promise<{ status: number; value: unknown }> {
  // What breaks off later is told by the body too, and without a listener it would end the daemon.
  asking.on('error', () => undefined);
  const [response] = (await once(asking, 'response')) as [IncomingMessage];
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > MAX_ANSWER_BYTES) throw new Error('the answer is too large');
    chunks.push(chunk);
  }
  return { status: response.statusCode ?? 0, value: parsed(Buffer.concat(chunks).toString('utf8')) };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
