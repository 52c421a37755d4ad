import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { stringify } from 'yaml';
import { PROVIDER_DEFAULTS, providerSettings } from '#src/core/models/openclaw-provider.ts';
import { MODELS_KEY_FILE } from '#src/core/models/share.ts';
import { WORKER_RECORD_FILE } from '#src/core/worker-record.ts';
import { mergedText } from '#src/deploy/actions/merge-text.ts';
import type { HubRecord } from '#src/core/hub-record.ts';
import type { NodeView } from '#src/protocol/hub-api/node.ts';
import type { ListedModelView } from '#src/protocol/models.ts';
import type { Place, Running } from '../e2e/place.ts';
import { makePlace } from '../e2e/place.ts';
import { until } from '../e2e/until.ts';
import type { PluginPackage } from './plugin-package.ts';
import { pluginPackage } from './plugin-package.ts';
import { plainGateway } from './plain-gateway.ts';
import type { PlainGateway } from './plain-gateway.ts';
import { freePort } from './small-federation.ts';

/** A hub, nodes as processes with links of their own, and the real gateway beside one of them, with our plugin in it. */
export interface ModelFederation {
  readonly place: Place;
  readonly gateway: PlainGateway;
  /** Where programs beside the gateway use the models of all, and the key of that port. */
  readonly models: { readonly baseUrl: string; readonly key: string };
  homeOf(node: string): string;
  /** What `manage-federation --json` answers. */
  ask<T>(...args: readonly string[]): Promise<T>;
  /** Starts a node that shares these; resolves when it is online. */
  start(name: string, upstreams: readonly object[], environment?: Readonly<Record<string, string>>): Promise<Running>;
  share(node: string, upstreams: readonly object[]): Promise<void>;
  /** Waits until the hub lists a model with so many nodes. */
  untilListed(model: string, nodes: number): Promise<void>;
  /** Merges what deploy-federation does into the gateway's settings, and `values`. */
  configure(values?: Readonly<Record<string, unknown>>): Promise<void>;
  close(): Promise<void>;
}

/** A gateway that reads its settings anew takes its time where much else runs. */
const LISTED_MS = 120_000;
/** The node that the gateway is beside. */
export const LAPTOP = 'laptop';

export async function modelFederation(): Promise<ModelFederation> {
  const place = await makePlace();
  const home = place.file('hub');
  const daemons: Running[] = [];
  const plugin: PluginPackage = await pluginPackage();
  const start: Place['start'] = (...said) => {
    const daemon = place.start(...said);
    daemons.push(daemon);
    return daemon;
  };
  start('federation-hub', ['--home', home, '--port', '0']);
  const record = await until('the hub listens', () => readFile(join(home, 'hub.json'), 'utf8').catch(() => null));
  const hub = JSON.parse(record) as HubRecord;
  const [gatewayPort, modelsPort] = [await freePort(), await freePort()];
  const homeOf = (node: string): string => place.file(node);

  async function ask<T>(...args: readonly string[]): Promise<T> {
    const { exitCode, stdout, stderr } = await place.run('manage-federation', ['--home', home, '--json', ...args]);
    if (exitCode !== 0) throw new Error(stderr);
    return JSON.parse(stdout) as T;
  }

  async function share(node: string, upstreams: readonly object[]): Promise<void> {
    await writeFile(join(homeOf(node), 'models.yaml'), stringify({ upstreams }), { mode: 0o600 });
  }

  async function startNode(
    name: string,
    upstreams: readonly object[],
    environment: Readonly<Record<string, string>> = {},
  ): Promise<Running> {
    if ((await mkdir(homeOf(name), { recursive: true, mode: 0o700 })) !== undefined) {
      const made = await ask<{ token: string }>('token', 'create', '--name', name);
      await writeFile(join(homeOf(name), 'join-token'), made.token, { mode: 0o600 });
      await share(name, upstreams);
    }
    const worker = start('federation-worker', ['--home', homeOf(name)], {
      env: {
        OPENCLAW_FEDERATION_NAME: name,
        OPENCLAW_FEDERATION_WORKER_HUB: `${hub.address}:${hub.port}`,
        OPENCLAW_FEDERATION_MODELS_PORT: '0',
        ...environment,
      },
    });
    await until(`${name} is online`, async () =>
      (await ask<NodeView[]>('list')).some((one) => one.name === name && one.state === 'online'),
    );
    return worker;
  }

  await startNode(LAPTOP, [], {
    OPENCLAW_FEDERATION_MODELS_PORT: String(modelsPort),
    OPENCLAW_FEDERATION_MODELS_OPENCLAW: `http://127.0.0.1:${gatewayPort}`,
  });
  const keyFile = join(homeOf(LAPTOP), MODELS_KEY_FILE);
  const key = (await readFile(keyFile, 'utf8')).trim();
  const gateway = await plainGateway({
    port: gatewayPort,
    token: randomBytes(32).toString('base64url'),
    plugin: plugin.path,
    pluginConfig: { socket: hub.plugin, modelsKeyFile: join(dirname(keyFile), 'openclaw-models.key') },
  });

  return {
    place,
    gateway,
    models: { baseUrl: `http://127.0.0.1:${modelsPort}/v1`, key },
    homeOf,
    ask,
    start: startNode,
    share,
    async untilListed(model, nodes) {
      const look = async () => {
        const listed = await ask<readonly ListedModelView[]>('models', 'list');
        return listed.some((one) => one.id === model && one.nodes.length === nodes);
      };
      await until(`${model} has ${nodes} nodes`, look, LISTED_MS).catch(async (error: unknown) => {
        throw new Error(await readFile(join(homeOf(LAPTOP), WORKER_RECORD_FILE), 'utf8'), { cause: error });
      });
    },
    async configure(values = {}) {
      const before = await readFile(gateway.settings, 'utf8');
      const merged = mergedText(gateway.settings, before, {
        ...PROVIDER_DEFAULTS,
        ...providerSettings({ port: modelsPort, keyFile }),
        ...values,
      });
      await writeFile(gateway.settings, merged, { mode: 0o600 });
    },
    async close() {
      await gateway.close();
      for (const daemon of daemons.toReversed()) {
        daemon.kill('SIGTERM');
        await daemon.ended;
      }
      await plugin.remove();
      await place.remove();
    },
  };
}
