import { FederationError } from '#src/core/errors.ts';
import type { NodeHostDesk } from '#src/worker/node-host.ts';
import { errorSchema, ownNodeHostSchema, setupCodeSchema } from '#src/protocol/hub-api.ts';

/** A question to the hub must not outlast the interest in its answer. */
const ANSWER_MS = 20_000;

/**
 * The node's own requests to the hub, with the credential that its link gave it.
 * Throws HUB_UNREACHABLE without a link or an answer, and what the hub refuses with otherwise.
 */
export function hubClient(hub: string, credential: () => string | null, signal: AbortSignal): NodeHostDesk {
  async function ask(path: string, body?: object): Promise<unknown> {
    const bearer = credential();
    if (bearer === null) throw new FederationError('HUB_UNREACHABLE', 'there is no link to the hub');
    const response = await send(`http://${hub}/api/v1/${path}`, bearer, body);
    const answer: unknown = await response.json().catch(() => null);
    if (response.ok) return answer;
    const refusal = errorSchema.safeParse(answer);
    if (!refusal.success) throw new FederationError('HUB_UNREACHABLE', `the hub answered ${response.status}`);
    throw new FederationError(refusal.data.code, refusal.data.message);
  }

  async function send(url: string, bearer: string, body: object | undefined): Promise<Response> {
    try {
      return await fetch(url, {
        method: body === undefined ? 'GET' : 'POST',
        headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        redirect: 'error',
        signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]),
      });
    } catch (cause) {
      throw new FederationError('HUB_UNREACHABLE', 'the hub does not answer', { cause });
    }
  }

  return {
    requestSetupCode: async (carrierPort) =>
      setupCodeSchema.parse(await ask('node-host/setup-code', { carrierPort })).setupCode,
    ownNodeHost: async () => ownNodeHostSchema.parse(await ask('node-host')).nodeHost,
  };
}
