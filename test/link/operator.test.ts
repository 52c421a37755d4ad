import { lookup } from 'node:dns';
import { once } from 'node:events';
import { createServer, request } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { FederationError } from '#src/core/errors.ts';
import type { KeyPair } from '#src/link/key.ts';
import { verifySignature } from '#src/link/key.ts';
import type { OperatorConnection } from '#src/link/operator.ts';
import { enterAsOperator, meetHubAt } from '#src/link/operator.ts';
import type { OperatorAdmission, OperatorApplicant } from '#src/link/operator-accept.ts';
import { createOperatorDoor } from '#src/link/operator-accept.ts';
import { transcriptText } from '#src/protocol/handshake.ts';
import { OPERATOR_PATH } from '#src/protocol/operator-handshake.ts';
import { CREDENTIAL, expectNoSockets, newKey, startProxy, until } from '../support/link.ts';

interface TestDoor {
  readonly key: KeyPair;
  readonly port: number;
  readonly applicants: OperatorApplicant[];
  readonly out: AbortController;
  close(): Promise<void>;
}

async function openDoor(admit?: (applicant: OperatorApplicant) => Promise<OperatorAdmission>): Promise<TestDoor> {
  onTestFinished(expectNoSockets);
  const key = newKey();
  const out = new AbortController();
  const applicants: OperatorApplicant[] = [];
  const door = createOperatorDoor({
    key,
    heartbeatMs: 40,
    async admit(applicant) {
      applicants.push(applicant);
      return admit === undefined ? { name: 'laptop', credential: CREDENTIAL, out: out.signal } : admit(applicant);
    },
    onFault: (error) => {
      throw error;
    },
  });
  const server = createServer();
  server.on('upgrade', (upgrade, socket, head) => door.upgrade(upgrade, socket, head));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = async (): Promise<void> => {
    await door.close();
    server.close();
  };
  onTestFinished(close);
  return { key, port: (server.address() as AddressInfo).port, applicants, out, close };
}

const SELF = { name: 'laptop', version: '1.0.0', platform: 'linux', arch: 'x64', login: true };

function dial(hub: { port: number }, key = newKey()) {
  const { signal } = new AbortController();
  return { hub: { host: '127.0.0.1', port: hub.port }, lookup, key, signal };
}

async function enter(hub: TestDoor, key = newKey(), port = hub.port): Promise<OperatorConnection> {
  const connection = await enterAsOperator({ ...dial({ port }, key), pin: hub.key.id, self: SELF });
  onTestFinished(() => connection.close());
  return connection;
}

/** A handshake by hand: what was said, and how to say more. */
async function byHand(port: number, path = OPERATOR_PATH) {
  const asking = request({
    ...{ host: '127.0.0.1', port, path, agent: false },
    headers: { Host: `127.0.0.1:${port}`, Connection: 'Upgrade', Upgrade: 'openclaw-federation' },
  });
  asking.end();
  const [, socket] = (await once(asking, 'upgrade')) as [unknown, Socket];
  onTestFinished(() => void socket.destroy());
  let said = '';
  socket.on('data', (chunk: Buffer) => (said += chunk.toString()));
  socket.on('error', () => undefined);
  return {
    say: (line: object) => void socket.write(`${JSON.stringify(line)}\n`),
    async heard(type: string) {
      await until(type, () => said.includes(`"type":"${type}"`));
      const line = said.split('\n').find((one) => one.includes(`"type":"${type}"`))!;
      return JSON.parse(line) as Record<string, string>;
    },
  };
}

test('both sides prove their keys, and the hub hears who it is', async () => {
  const hub = await openDoor();
  const key = newKey();
  expect(await meetHubAt(dial(hub))).toBe(hub.key.id);
  expect(hub.applicants).toEqual([]);
  const connection = await enter(hub, key);
  expect(connection).toMatchObject({ name: 'laptop', credential: CREDENTIAL, address: '127.0.0.1' });
  expect(hub.applicants).toMatchObject([{ keyId: key.id, ...SELF, address: '127.0.0.1' }]);
});

test('a hub with another key gets no proof', async () => {
  const hub = await openDoor();
  const entering = enterAsOperator({ ...dial(hub), pin: newKey().id, self: SELF });
  await expect(entering).rejects.toMatchObject({ code: 'HUB_KEY_MISMATCH' });
  expect(hub.applicants).toEqual([]);
});

test('a proof that was heard once is worth nothing the next time', async () => {
  const hub = await openDoor();
  const heard: string[] = [];
  const proxy = await startProxy(hub.port, {
    fromNode(chunk, _node, far) {
      heard.push(
        ...chunk
          .toString()
          .split('\n')
          .filter((line) => line.startsWith('{')),
      );
      far.write(chunk);
    },
  });
  onTestFinished(() => proxy.close());
  // The Host is that of the proxy, which the hub signs as well: only the nonces are new.
  await enter(hub, newKey(), proxy.port);
  const [hello, proof] = heard.map((line) => JSON.parse(line) as object);
  const replay = await byHand(proxy.port);
  replay.say(hello!);
  await replay.heard('challenge');
  replay.say(proof!);
  expect(await replay.heard('refused')).toMatchObject({ message: 'the operator did not prove its key' });
  expect(hub.applicants).toHaveLength(1);
});

test.each(['node', 'hub', 'operator'] as const)(
  'what is signed for a link as %s proves no operator',
  async (signer) => {
    const hub = await openDoor();
    const key = newKey();
    const hand = await byHand(hub.port);
    const nonce = 'n'.repeat(43);
    hand.say({ type: 'hello', versions: [1], key: key.publicKey, nonce });
    const challenge = await hand.heard('challenge');
    const transcript = {
      ...{ version: 1, offered: [1], host: `127.0.0.1:${hub.port}`, nodeKey: key.publicKey, nodeNonce: nonce },
      ...{ hubKey: hub.key.publicKey, hubNonce: challenge['nonce']! },
    };
    expect(
      verifySignature(hub.key.publicKey, transcriptText('hub', transcript, 'operator'), challenge['signature']!),
    ).toBe(true);
    expect(verifySignature(hub.key.publicKey, transcriptText('hub', transcript), challenge['signature']!)).toBe(false);
    hand.say({ type: 'proof', signature: key.sign(transcriptText(signer, transcript)), ...SELF });
    expect(await hand.heard('refused')).toMatchObject({ code: 'HANDSHAKE_FAILED' });
    expect(hub.applicants).toEqual([]);
  },
);

test.each([
  ['a name with a line feed', { name: 'lap\ntop' }],
  ['a name that is too long', { name: 'x'.repeat(64) }],
  ['a name that looks like an id', { name: 'abcdef012345' }],
  ['a version that is no word', { version: '1.0 \u001b[2J' }],
  ['no wish', { login: undefined }],
])('a proof with %s is none', async (_, said) => {
  const hub = await openDoor();
  const entering = enterAsOperator({ ...dial(hub), pin: hub.key.id, self: { ...SELF, ...said } as typeof SELF });
  await expect(entering).rejects.toMatchObject({ code: 'HANDSHAKE_FAILED' });
  expect(hub.applicants).toEqual([]);
});

test('it waits for as long as a person takes, and hears what the hub says then', async () => {
  const decided = Promise.withResolvers<OperatorAdmission>();
  const hub = await openDoor((applicant) => {
    applicant.wait('a reason');
    return decided.promise;
  });
  const waits: (string | null)[] = [];
  const entering = enterAsOperator({
    ...dial(hub),
    pin: hub.key.id,
    self: SELF,
    onWaiting: (held) => void waits.push(held),
  });
  const outcome = Promise.allSettled([entering]);
  await until('it waits', () => waits.length > 0);
  expect(waits).toEqual(['a reason']);
  decided.reject(new FederationError('FORBIDDEN', 'no', { hint: 'ask' }));
  const [settled] = await outcome;
  expect(settled).toMatchObject({ reason: { code: 'FORBIDDEN', message: 'no', hint: 'ask' } });
});

test('a connection lives while both sides say so', async () => {
  const hub = await openDoor();
  let beats = 0;
  const proxy = await startProxy(hub.port, {
    fromNode(chunk, _node, far) {
      beats += chunk.toString().split('"alive"').length - 1;
      far.write(chunk);
    },
  });
  onTestFinished(() => proxy.close());
  const connection = await enter(hub, newKey(), proxy.port);
  await until('many signs of life', () => beats > 20);
  expect(connection.lost.aborted).toBe(false);
  expect(hub.applicants[0]!.signal.aborted).toBe(false);
});

test('a tailnet that swallows everything is a lost connection at both ends', async () => {
  const hub = await openDoor();
  let isSwallowing = false;
  const proxy = await startProxy(hub.port, {
    fromHub: (chunk, near) => void (isSwallowing || near.write(chunk)),
    fromNode: (chunk, _node, far) => void (isSwallowing || far.write(chunk)),
  });
  onTestFinished(() => proxy.close());
  const connection = await enter(hub, newKey(), proxy.port);
  isSwallowing = true;
  await until('the program knows', () => connection.lost.aborted);
  expect(connection.lost.reason).toMatchObject({ code: 'HUB_UNREACHABLE' });
  await until('the hub knows', () => hub.applicants[0]!.signal.aborted);
});

test('one who is out hears why', async () => {
  const hub = await openDoor();
  const connection = await enter(hub);
  hub.out.abort(new FederationError('REVOKED', 'out'));
  await until('it is over', () => connection.lost.aborted);
  expect(connection.lost.reason).toMatchObject({ code: 'REVOKED', message: 'out' });
});

test('one whose hub stops hears it', async () => {
  const hub = await openDoor();
  const connection = await enter(hub);
  await hub.close();
  await until('it is over', () => connection.lost.aborted);
  expect(connection.lost.reason).toMatchObject({ code: 'HUB_STOPPING' });
});
