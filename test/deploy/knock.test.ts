import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Machine } from '#src/adapters/machine/machine.ts';
import { FederationError } from '#src/core/errors.ts';
import { formatJoinToken } from '#src/core/join-token.ts';
import type { WorkerRecord } from '#src/core/worker-record.ts';
import { knock, knockAtHub } from '#src/deploy/actions/knock.ts';
import { eventually } from '../support/eventually.ts';
import { startFederation } from '../support/federation.ts';
import type { ScratchMachine } from '../support/scratch-machine.ts';
import { scratchMachine } from '../support/scratch-machine.ts';

let scratch: ScratchMachine;

beforeEach(async () => {
  scratch = await scratchMachine();
});

afterEach(() => scratch.dispose());

test('a hub is asked who it is and what a token is good for, and the token stays here', async () => {
  await using federation = await startFederation();
  const { machine, signal } = scratch.context;
  const hub = { host: '127.0.0.1', port: federation.hub.port };
  const token = await federation.token({ name: 'pi', role: 'hybrid' });
  const found = await knockAtHub(machine, hub, token, signal);
  expect(found.token).toMatchObject({ name: 'pi', role: 'hybrid', usesLeft: 1 });
  expect((await knockAtHub(machine, hub, null, signal)).health.hubId).toBe(token.split('.')[1]);
  const unknown = formatJoinToken({ hubId: found.health.hubId, secret: 'A'.repeat(43) });
  await expect(knockAtHub(machine, hub, unknown, signal)).rejects.toMatchObject({ code: 'TOKEN_INVALID' });
  const foreign = formatJoinToken({ hubId: '0'.repeat(64), secret: 'A'.repeat(43) });
  await expect(knockAtHub(machine, hub, foreign, signal)).rejects.toMatchObject({ code: 'HUB_KEY_MISMATCH' });
  await expect(knockAtHub(machine, hub, 'no token', signal)).rejects.toMatchObject({ code: 'TOKEN_INVALID' });
});

test('a hub whose name leads nowhere is found by the tailnet, as the worker finds it', async () => {
  await using federation = await startFederation({ hub: { hub: { names: ['vps.tail.invalid', 'vps'] } } });
  const { machine, signal } = scratch.context;
  const { port } = federation.hub;
  const token = await federation.token({ name: 'pi', role: 'worker' });
  const unresolved: Machine = {
    ...machine,
    connect: (to, until) =>
      to.host === '127.0.0.1' ? machine.connect(to, until) : Promise.reject(new FederationError('HUB_UNREACHABLE', '')),
  };
  const peer = { ID: 'n1', DNSName: 'vps.tail.invalid.', TailscaleIPs: ['127.0.0.1'] };
  const hub = { host: 'vps', port };
  await expect(knockAtHub(unresolved, hub, token, signal)).rejects.toMatchObject({ code: 'HUB_UNREACHABLE' });
  await scratch.programs.set('peers', JSON.stringify({ n1: peer }));
  expect((await knockAtHub(unresolved, hub, token, signal)).token).toMatchObject({ name: 'pi' });
  await scratch.programs.set('peers', JSON.stringify({ n1: peer, n2: { ...peer, DNSName: 'vps.other.invalid.' } }));
  await expect(knockAtHub(unresolved, hub, token, signal)).rejects.toMatchObject({ code: 'HUB_UNREACHABLE' });
});

test.each([
  ['NOT_A_HUB', '<html>welcome</html>', 200],
  ['NOT_A_HUB', '{"status":"ok"}', 200],
  ['NOT_A_HUB', 'not found', 404],
  ['VERSION_UNSUPPORTED', health({ min: 900, max: 901 }), 200],
])('%s for what answers %s', async (code, body, status) => {
  const server = createServer((_request, response) => response.writeHead(status).end(body)).listen(0, '127.0.0.1');
  await eventually('it listens', () => server.listening);
  const hub = { host: '127.0.0.1', port: (server.address() as AddressInfo).port };
  const { machine, signal } = scratch.context;
  await expect(knockAtHub(machine, hub, null, signal)).rejects.toMatchObject({ code });
  await new Promise((resolve) => server.close(resolve));
  await expect(knockAtHub(machine, hub, null, signal)).rejects.toMatchObject({ code: 'HUB_UNREACHABLE' });
});

function health(protocol: object): string {
  return JSON.stringify({ status: 'ok', version: '9.0.0', epoch: 1, hubId: 'a'.repeat(64), protocol });
}

describe('a token that is spent', () => {
  /** Knocks at a federation with a token that is good for nothing there, on a machine that is made so before. */
  async function knocking(prepare: (hubId: string) => Promise<unknown>, memberOf: string | null = null) {
    const federation = await startFederation();
    const hub = { host: '127.0.0.1', port: federation.hub.port };
    const [, hubId = ''] = (await federation.token({})).split('.');
    const joinToken = formatJoinToken({ hubId, secret: 'A'.repeat(43) });
    await mkdir(scratch.context.place.workerHome);
    await prepare(hubId);
    const action = { do: 'knock', hub, node: { name: 'pi', role: 'worker' }, memberOf } as const;
    const { machine } = scratch.context;
    const watched: Machine = {
      ...machine,
      async run(command) {
        if (command.argv.includes(`/proc/${process.pid}`)) await onLooked(hubId);
        return machine.run(command);
      },
    };
    const end = knock.apply(action, { ...scratch.context, machine: watched, joinToken });
    end.catch(() => undefined);
    return { end, [Symbol.asyncDispose]: () => federation[Symbol.asyncDispose]() };
  }

  /** Called when it looks whether the worker runs. */
  let onLooked: (hubId: string) => Promise<unknown>;
  beforeEach(() => {
    onLooked = async () => undefined;
  });

  const letIn = (hubId: string) => writeFile(scratch.context.place.hubPin, `${hubId}\n`);

  const runs = (link: WorkerRecord['link'], pid = process.pid) =>
    writeFile(
      join(scratch.context.place.workerHome, 'worker.json'),
      JSON.stringify({ pid, id: 'a', name: 'pi', fingerprint: 'a', hub: 'vps:19000', link, nodeHost: 'off' }),
    );

  test('is none that is missed where this machine’s worker was let in meanwhile', async () => {
    await using at = await knocking(letIn);
    await expect(at.end).resolves.toBeUndefined();
  });

  test('is waited about while the worker that used it is on its way to the hub', async () => {
    onLooked = letIn;
    await using at = await knocking(() => runs('connecting'));
    await expect(at.end).resolves.toBeUndefined();
  });

  test.each<[string, (hubId: string) => Promise<unknown>]>([
    ['nothing was let in', async () => undefined],
    ['another hub let it in', () => letIn('0'.repeat(64))],
    ['the worker asks a person', () => runs('waiting')],
    ['the worker was refused', () => runs('refused')],
    ['no worker runs any more', () => runs('connecting', 2 ** 30)],
  ])('is refused where %s', async (_, prepare) => {
    await using at = await knocking(prepare);
    await expect(at.end).rejects.toMatchObject({ code: 'TOKEN_INVALID' });
  });

  test('is refused on a machine that was a member before and is to move', async () => {
    await using at = await knocking(letIn, '0'.repeat(64));
    await expect(at.end).rejects.toMatchObject({ code: 'TOKEN_INVALID' });
  });
});
