import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SETTINGS_FILE } from '#src/adapters/settings-file.ts';
import { MODELS_FILE, MODELS_KEY_FILE } from '#src/core/models/share.ts';
import { WORKER_RECORD_FILE } from '#src/core/worker-record.ts';
import type { WorkerRecord } from '#src/core/worker-record.ts';
import type { ModelKeyCreated } from '#src/protocol/model-keys.ts';
import type { ListedModelView } from '#src/protocol/models.ts';
import { eventually } from '../../support/eventually.ts';
import type { Bench } from '../bench.ts';
import type { StartedHub } from '../federation.ts';
import { linked, startHub } from '../federation.ts';
import { startHelper } from '../helper.ts';
import type { Way } from './client.ts';

/** All ways to one model server, and the processes on them. */
export interface Stage {
  readonly direct: Way;
  /** By the daemon of the node that has the model; by the hub; by a node that has none. */
  readonly ours: { readonly one: Way; readonly two: Way; readonly three: Way };
  /** The same hops, with nothing in them. */
  readonly floor: { readonly one: Way; readonly two: Way; readonly three: Way };
  readonly portkey: Way | null;
  readonly pids: {
    /** Of the node that has the model, of the hub, and of the node that has none. */
    readonly ours: { readonly near: number; readonly hub: number; readonly far: number };
    readonly floor: { readonly one: number; readonly node: number; readonly hub: number; readonly far: number };
  };
}

const MODEL = 'echo';

/** `portkey`: its program. What is started ends with the bench's scope. */
export async function openStage(bench: Bench, portkey: string | null): Promise<Stage> {
  const upstream = Number(await (await startHelper(bench, 'model-upstream', [])).next());
  const floor = await startFloor(bench, upstream);
  const hub = await startHub(bench);
  const near = await startNode(bench, hub, 'near', upstream);
  const far = await startNode(bench, hub, 'far', null);
  const key = await hub.client.ask<ModelKeyCreated>('POST', '/models/keys', { name: 'bench' });
  await eventually('the hub knows the model', async () => {
    const models = await hub.client.ask<ListedModelView[]>('GET', '/models');
    return models.some(({ id }) => id === MODEL);
  });
  return {
    direct: { port: upstream, headers: bearer('none') },
    ours: { one: near.way, two: { port: hub.client.record.port, headers: bearer(key.secret) }, three: far.way },
    floor: floor.ways,
    portkey: portkey === null ? null : await startPortkey(bench, portkey, upstream),
    pids: { ours: { near: near.pid, hub: hub.pid, far: far.pid }, floor: floor.pids },
  };
}

const bearer = (secret: string): string => `authorization: Bearer ${secret}\r\n`;

async function startFloor(bench: Bench, upstream: number) {
  const one = await startHelper(bench, 'model-floor', [upstream]);
  const onePort = Number(await one.next());
  const hub = await startHelper(bench, 'model-floor-hub', []);
  const [linkPort, hubPort] = [Number(await hub.next()), Number(await hub.next())];
  const node = await startHelper(bench, 'model-floor-node', [linkPort, upstream]);
  await node.next();
  const far = await startHelper(bench, 'model-floor', [hubPort]);
  const way = (port: number): Way => ({ port, headers: bearer('none') });
  return {
    pids: { one: one.pid, node: node.pid, hub: hub.pid, far: far.pid },
    ways: { one: way(onePort), two: way(hubPort), three: way(Number(await far.next())) },
  };
}

/** A worker daemon of the installed package; `upstream`: the port of a model server that it shares. */
async function startNode(bench: Bench, hub: StartedHub, name: string, upstream: number | null) {
  const home = await bench.folder();
  const write = (file: string, text: string) => writeFile(join(home, file), text, { mode: 0o600 });
  await write('join-token', await hub.token({ name }));
  await write(SETTINGS_FILE, 'models:\n  port: 0\n');
  if (upstream !== null) {
    const shared = { name: 'up', baseUrl: `http://127.0.0.1:${upstream}/v1`, models: [MODEL], concurrency: 512 };
    await write(MODELS_FILE, JSON.stringify({ upstreams: [shared] }));
  }
  const { address, port } = hub.client.record;
  await bench.start({
    name,
    program: join(bench.installed, 'bin/federation-worker'),
    args: ['--home', home, '--name', name, '--hub', `${address}:${port}`, '--until-input-ends'],
  });
  await linked(home);
  const { pid, models } = JSON.parse(await readFile(join(home, WORKER_RECORD_FILE), 'utf8')) as WorkerRecord;
  const secret = (await readFile(join(home, MODELS_KEY_FILE), 'utf8')).trim();
  return { pid, way: { port: models?.port ?? 0, headers: bearer(secret) } };
}

async function startPortkey(bench: Bench, program: string, upstream: number): Promise<Way> {
  const loopback = join(import.meta.dirname, '../processes/loopback.ts');
  const args = ['--import', loopback, program, '--headless'];
  const started = await bench.start({ name: 'portkey', program: process.execPath, args });
  for (;;) {
    const port = /^port (\d+)$/.exec(await started.next())?.[1];
    if (port === undefined) continue;
    const host = `x-portkey-provider: openai\r\nx-portkey-custom-host: http://127.0.0.1:${upstream}/v1\r\n`;
    return { port: Number(port), headers: `${bearer('none')}${host}` };
  }
}
