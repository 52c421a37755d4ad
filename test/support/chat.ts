import type { ChatAsker } from '#src/core/policy.ts';
import type { VerdictsCreate, Verdicts } from '#src/protocol/action.ts';
import { ASKER_HEADER, encodeAsker } from '#src/protocol/asker.ts';
import type { JobCreate } from '#src/protocol/hub-api/job.ts';
import type { Answer } from './http.ts';
import { ask } from './http.ts';
import type { ClientJob } from './job.ts';
import { startJob } from './job.ts';

/** The owner, as Telegram knows them. */
export const OWNER: ChatAsker = {
  ...{ kind: 'chat', channel: 'telegram', sender: '1001', owner: true },
  ...{ agent: 'main', session: 'agent:main:telegram:direct:1001' },
};

/** Somebody in a chat, as the gateway's plugin asks for them. */
export interface Chat {
  ask(method: string, path: string, body?: unknown): Promise<Answer>;
  verdicts(wish: VerdictsCreate): Promise<Verdicts>;
  decide(id: string, decision: 'allow-once' | 'deny'): Promise<Answer>;
  /** Runs a job to its end. Rejects with `{code, message}` where it is refused. */
  run(job: JobCreate): Promise<ClientJob>;
}

/** `asker` is sent as it is where it is a text. */
export function chatAt(hub: { readonly plugin: string | null }, asker: ChatAsker | string = OWNER): Chat {
  const socketPath = hub.plugin ?? '';
  const who = { [ASKER_HEADER]: typeof asker === 'string' ? asker : encodeAsker(asker) };
  function askHub(method: string, path: string, body?: unknown): Promise<Answer> {
    const headers = { ...who, ...(body === undefined ? {} : { 'content-type': 'application/json' }) };
    const request = { socketPath, method, path: `/api/v1${path}`, headers };
    return ask(request, body === undefined ? undefined : JSON.stringify(body));
  }
  return {
    ask: askHub,
    async verdicts(wish) {
      const { status, text, json } = await askHub('POST', '/verdicts', wish);
      if (status >= 400) throw Object.assign(new Error(text), json);
      return json as Verdicts;
    },
    decide: (id, decision) => askHub('POST', `/command-approvals/${id}`, { decision }),
    async run(job) {
      const running = await startJob(socketPath, job, who);
      await running.over;
      return running;
    },
  };
}
