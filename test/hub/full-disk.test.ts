import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openMirrorFiles } from '#src/adapters/store/mirror-files.ts';
import { openSqliteStore } from '#src/adapters/store/sqlite.ts';
import type { Store } from '#src/adapters/store/store.ts';
import { FederationError } from '#src/core/errors.ts';
import { resolveSettings } from '#src/core/settings.ts';
import { openHub } from '#src/hub/hub.ts';
import { FRAME, frameReader } from '#src/protocol/frames.ts';
import { createPrivateKey, keyPair } from '#src/link/key.ts';
import type { NodeView } from '#src/protocol/hub-api/node.ts';
import type { TokenCreated } from '#src/protocol/hub-api/token.ts';
import { bareNode } from '../support/bare-node.ts';
import { eventually } from '../support/eventually.ts';
import { ask } from '../support/http.ts';
import { SILENT_LOG } from '../support/member.ts';

/** A real store whose disk can be said to be full. */
function fillable(store: Store) {
  const disk = { full: false };
  const orFull = (work: () => Promise<void>) =>
    disk.full ? Promise.reject(new FederationError('STORE_FAILED', 'the disk is full')) : work();
  return {
    disk,
    store: {
      ...store,
      commit: (changes) => orFull(() => store.commit(changes)),
      commitSoon: (changes) => orFull(() => store.commitSoon(changes)),
    } satisfies Store,
  };
}

async function hubOnFillableDisk() {
  const folder = await mkdtemp(join(tmpdir(), 'federation-disk-'));
  const real = openSqliteStore(join(folder, 'hub.sqlite'));
  const { disk, store } = fillable(real);
  const settings = resolveSettings({
    flags: { hub: { port: 0 } },
    environment: {},
    file: {},
    parseValue: (text) => text,
  });
  if (!settings.ok) throw new Error(settings.problems.join());
  const key = keyPair(createPrivateKey());
  const socket = join(folder, 'operator.sock');
  const hub = await openHub({
    settings: settings.settings,
    version: '0.1.0',
    key,
    store,
    mirrorFiles: await openMirrorFiles(join(folder, 'handoffs')),
    gateway: null,
    tailscale: null,
    policies: async function* () {
      yield { state: 'absent' } as const;
    },
    operator: { path: socket, owner: 'ann', descriptor: null },
    plugin: null,
    log: SILENT_LOG,
  });
  onTestFinished(async () => {
    await hub.close();
    await real.close();
    await rm(folder, { recursive: true });
  });
  const call = (method: string, path: string, body?: object) => {
    const text = body === undefined ? '' : JSON.stringify(body);
    const headers = {
      host: 'localhost',
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(text),
    };
    return ask({ socketPath: socket, method, path: `/api/v1${path}`, headers }, text);
  };
  return { disk, call, target: { port: hub.port, hubId: key.id } };
}

test('while the disk is full nothing runs unrecorded, and a node that is revoked is out all the same', async () => {
  const { disk, call, target } = await hubOnFillableDisk();
  const { token } = (await call('POST', '/tokens', {})).json as TokenCreated;
  let started = 0;
  await using node = bareNode(target, {
    token,
    onStream(stream) {
      stream.on('error', () => undefined);
      const reader = frameReader(({ type }) => (started += type === FRAME.go ? 1 : 0));
      stream.on('data', (chunk: Buffer) => reader.push(chunk));
      stream.respond({ ':status': 200 });
    },
  });
  await node.welcome();
  const stateOf = async () => ((await call('GET', '/nodes')).json as NodeView[])[0]?.state;
  await eventually('it is online', async () => (await stateOf()) === 'online');

  disk.full = true;
  const job = { kind: 'exec', targets: 'all', command: { argv: ['true'] } };
  expect(await call('POST', '/jobs', job)).toMatchObject({ status: 503, json: { code: 'STORE_FAILED' } });
  expect(await call('POST', '/nodes/w1/revoke')).toMatchObject({ status: 503, json: { code: 'STORE_FAILED' } });
  expect(await stateOf()).toBe('offline');
  expect(await node.refusal()).toBe('REVOKED');
  expect(started).toBe(0);

  disk.full = false;
  expect((await call('POST', '/nodes/w1/revoke')).status).toBe(200);
  expect(await stateOf()).toBe('revoked');
});
