import { afterAll, beforeAll, expect, it, onTestFailed } from 'vitest';
import { z } from 'zod';
import type { GatewayConnection } from '#src/adapters/openclaw/gateway-connection.ts';
import { FederationError } from '#src/core/errors.ts';
import { until } from '../e2e/until.ts';
import { agentModel } from '../support/agent-model.ts';
import type { ModelServer } from '../support/model-server.ts';
import { modelServer } from '../support/model-server.ts';
import type { ModelFederation } from './model-federation.ts';
import { modelFederation } from './model-federation.ts';

let federation: ModelFederation;
let server: ModelServer;
let connection: GatewayConnection;

beforeAll(async () => {
  federation = await modelFederation();
  server = await modelServer({ models: [{ id: 'qwen3:8b', max_model_len: 40_960 }, { id: 'phi' }] });
  server.otherwise = agentModel([[/./s, { words: 'words' }]]);
  await federation.start('gpu', [{ name: 'vllm', baseUrl: server.baseUrl }]);
  await federation.untilListed('qwen3:8b', 1);
  await federation.configure({ 'agents.defaults.model': { primary: 'federation/qwen3:8b' } });
  connection = await federation.gateway.connect();
}, 400_000);

afterAll(async () => {
  connection?.close();
  await federation?.close();
  await server?.[Symbol.asyncDispose]();
});

const modelsSchema = z.object({
  models: z.array(z.object({ id: z.string(), provider: z.string(), contextWindow: z.number().optional() })),
});

/** What OpenClaw’s pickers show of the federation. */
async function shown(): Promise<Map<string, number | undefined>> {
  const { models } = await connection.request('models.list', {}, modelsSchema, 60_000);
  const ours = models.filter(({ provider }) => provider === 'federation');
  return new Map(ours.map(({ id, contextWindow }) => [id, contextWindow]));
}

/** A gateway that reads its settings anew turns away what comes meanwhile. */
async function unlessBusy<T>(work: Promise<T>): Promise<T | null> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof FederationError && error.code === 'OPENCLAW_REFUSED') return null;
    throw error;
  }
}

async function write(message: string): Promise<true> {
  const sent = { sessionKey: 'agent:main:main', message, idempotencyKey: crypto.randomUUID() };
  await connection.request('chat.send', sent, z.unknown(), 60_000);
  return true;
}

it('/models shows the models of all nodes, with what they take', { timeout: 400_000 }, async () => {
  onTestFailed(() => console.error(federation.gateway.lines.slice(-40).join('\n')));
  let asked = -Infinity;
  const listed = await until(
    'they are shown',
    async () => {
      // OpenClaw begins to look when it is asked, reads its settings in its own time, and forgets a question meanwhile.
      if (performance.now() - asked > 20_000) {
        await unlessBusy(write('/models federation'));
        asked = performance.now();
      }
      const now = await unlessBusy(shown());
      return now?.has('phi') === true ? now : null;
    },
    200_000,
  );
  expect([...listed.keys()].toSorted()).toEqual(['gpu/phi', 'gpu/qwen3:8b', 'phi', 'qwen3:8b']);
  expect(listed.get('qwen3:8b')).toBe(40_960);
});

it('a model that comes is shown by itself, and one that goes is not any more', { timeout: 400_000 }, async () => {
  onTestFailed(() => console.error(federation.gateway.lines.slice(-40).join('\n')));
  await federation.share('gpu', [{ name: 'vllm', baseUrl: server.baseUrl, models: ['phi', 'brand-new'] }]);
  const listed = await until(
    'the new one is shown',
    async () => {
      const now = await unlessBusy(shown());
      return now?.has('brand-new') === true && !now.has('qwen3:8b') ? now : null;
    },
    200_000,
  );
  expect([...listed.keys()].toSorted()).toEqual(['brand-new', 'gpu/brand-new', 'gpu/phi', 'phi']);
});
