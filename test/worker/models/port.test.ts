import { readFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { USUAL_MODELS_PORT } from '#src/core/models/share.ts';
import type { WorkerRecord } from '#src/core/worker-record.ts';
import { WORKER_RECORD_FILE } from '#src/core/worker-record.ts';
import type { Status } from '#src/protocol/hub-api/status.ts';
import { eventually } from '../../support/eventually.ts';
import type { Federation } from '../../support/federation.ts';
import { startFederation } from '../../support/federation.ts';

let federation: Federation;

beforeEach(async () => {
  federation = await startFederation();
});

afterEach(() => federation[Symbol.asyncDispose]());

/** Takes a port, unless another program has it; 0 takes any. Resolves with the port. */
async function take(port: number): Promise<number> {
  const server = createServer((socket) => socket.destroy());
  const { promise, resolve } = Promise.withResolvers<number>();
  server.once('error', () => resolve(port));
  server.listen({ host: '127.0.0.1', port }, () => resolve((server.address() as AddressInfo).port));
  onTestFinished(() => void server.close());
  return promise;
}

const modelsOf = (name: string) =>
  eventually(`${name} says how it stands`, async () => {
    const text = await readFile(join(federation.home(name), WORKER_RECORD_FILE), 'utf8').catch(() => null);
    return text === null ? null : (JSON.parse(text) as WorkerRecord).models;
  });

test('a port that was chosen and is taken is said, and nothing else is taken in its place; the node goes on', async () => {
  const port = await take(0);
  await federation.start('w1', { settings: { models: { port } } });
  const problem = `the port ${port} for programs that use models can't be taken`;
  expect(await modelsOf('w1')).toMatchObject({ port: null, portProblem: problem });
  await eventually('it is online all the same', () => federation.isOnline('w1'));
  const { models } = await eventually('the hub knows', async () => {
    const status = await federation.get<Status>('/status');
    return status.models?.problems.length === 1 ? status : null;
  });
  expect(models?.problems).toEqual([{ node: 'w1', problem }]);
  expect(federation.logs.join()).toContain(problem);
});

test('where the usual port is taken and none was chosen, a free one is, and the record and the log name it', async () => {
  await take(USUAL_MODELS_PORT);
  await federation.start('w1', { settings: { models: { port: undefined } } });
  const { port } = await modelsOf('w1');
  expect(port).not.toBe(USUAL_MODELS_PORT);
  const answer = await fetch(`http://127.0.0.1:${port}/v1/models`);
  expect(answer.status).toBe(401);
  expect(federation.logs.join()).toContain(`"port":${port}`);
});
