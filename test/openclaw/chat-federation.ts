import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { HubRecord } from '#src/core/hub-record.ts';
import type { NodeView } from '#src/protocol/hub-api/node.ts';
import type { Finished, Place, Running } from '../e2e/place.ts';
import { makePlace } from '../e2e/place.ts';
import { until } from '../e2e/until.ts';
import type { Script } from '../support/agent-model.ts';
import { agentModel } from '../support/agent-model.ts';
import type { ModelServer } from '../support/model-server.ts';
import { modelServer } from '../support/model-server.ts';
import type { TelegramApi } from '../support/telegram-api.ts';
import { telegramApi } from '../support/telegram-api.ts';
import type { ChatGateway } from './chat-gateway.ts';
import { chatGateway } from './chat-gateway.ts';
import type { PluginPackage } from './plugin-package.ts';
import { pluginPackage } from './plugin-package.ts';
import { freePort } from './small-federation.ts';

/** A hub, workers, the real gateway with our plugin in it, a model that is scripted, and people at Telegram. */
export interface ChatFederation {
  readonly place: Place;
  readonly hub: HubRecord;
  readonly gateway: ChatGateway;
  readonly telegram: TelegramApi;
  readonly model: ModelServer;
  readonly plugin: PluginPackage;
  homeOf(node: string): string;
  manage(...args: readonly string[]): Promise<Finished>;
  /** The answer of a command that is expected to succeed, read as JSON. */
  ask<T>(...args: readonly string[]): Promise<T>;
  node(name: string): Promise<NodeView>;
  /** A worker daemon as a process with a link of its own, again where it ran before; resolves when it is online. */
  startWorker(name: string, role?: 'worker' | 'hybrid', settings?: Environment): Promise<Running>;
  /** Ends the hub, and starts it again where it was, with these settings besides its own. */
  restartHub(settings: Environment): Promise<void>;
  close(): Promise<void>;
}

/** Settings of a daemon, by their environment names. */
type Environment = Readonly<Record<string, string>>;

export interface ChatFederationOptions {
  readonly script: Script;
  readonly toolSearch?: boolean;
  readonly nodeCommands?: readonly string[];
  /** Secret of those who may start a turn of the agent by HTTP. */
  readonly webhooks?: string;
  /** Has the folder of the plugin before the gateway loads it. */
  readonly prepare?: (plugin: string) => Promise<void>;
  /** Deploys the plugin, and Telegram, into the home of the gateway's user. */
  readonly deploy?: (home: string, to: DeployedTo) => Promise<void>;
}

export interface DeployedTo {
  readonly port: number;
  /** The gateway's. */
  readonly token: string;
  /** Home of the hub. */
  readonly hub: string;
  /** Folder of our package. */
  readonly plugin: string;
}

/** Long enough for a press, and short enough to be waited for. */
const APPROVAL_SECONDS = 40;

export async function chatFederation({
  script,
  prepare,
  deploy,
  ...options
}: ChatFederationOptions): Promise<ChatFederation> {
  const place = await makePlace();
  const home = place.file('hub');
  const [port, token] = [await freePort(), randomBytes(32).toString('base64url')];
  const tokenFile = place.file('gateway-token');
  await writeFile(tokenFile, token, { mode: 0o600 });
  const [model, telegram, plugin] = await Promise.all([modelServer(), telegramApi(), pluginPackage()]);
  model.otherwise = agentModel(script);
  await prepare?.(plugin.path);
  const daemons: Running[] = [];
  const start = (...said: Parameters<Place['start']>): Running => {
    const daemon = place.start(...said);
    daemons.push(daemon);
    return daemon;
  };
  const startHub = (hubPort: number, more: Environment = {}): Running =>
    start('federation-hub', ['--home', home, '--port', String(hubPort)], {
      env: {
        OPENCLAW_FEDERATION_GATEWAY_URL: `ws://127.0.0.1:${port}`,
        OPENCLAW_FEDERATION_GATEWAY_TOKEN_FILE: tokenFile,
        OPENCLAW_FEDERATION_HUB_APPROVAL_SECONDS: String(APPROVAL_SECONDS),
        ...more,
      },
    });
  let hubDaemon = startHub(0);
  const record = await until('the hub listens', () => readFile(join(home, 'hub.json'), 'utf8').catch(() => null));
  const hub = JSON.parse(record) as HubRecord;

  const manage = (...args: readonly string[]) => place.run('manage-federation', ['--home', home, ...args]);
  async function ask<T>(...args: readonly string[]): Promise<T> {
    const { exitCode, stdout, stderr } = await manage('--json', ...args);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    return JSON.parse(stdout) as T;
  }
  const node = async (name: string): Promise<NodeView> => {
    const found = (await ask<NodeView[]>('list')).find((one) => one.name === name);
    if (found === undefined) throw new Error(`no member is named ${name}`);
    return found;
  };

  const gateway = await chatGateway({
    ...options,
    plugin: plugin.path,
    socket: hub.plugin ?? '',
    model: model.baseUrl,
    telegram: telegram.url,
    port,
    token,
    ...(deploy && { deploy: (at) => deploy(at, { port, token, hub: home, plugin: plugin.whole }) }),
  });

  const federation: ChatFederation = {
    place,
    hub,
    gateway,
    telegram,
    model,
    plugin,
    homeOf: (name) => place.file(name),
    manage,
    ask,
    node,
    async restartHub(more) {
      hubDaemon.kill('SIGTERM');
      await hubDaemon.ended;
      hubDaemon = startHub(hub.port, more);
      await until('the hub listens again', async () => (await manage('status')).exitCode === 0);
    },
    async startWorker(name, role = 'worker', more = {}) {
      if ((await mkdir(place.file(name), { recursive: true, mode: 0o700 })) !== undefined) {
        const made = await ask<{ token: string }>('token', 'create', '--name', name, '--role', role);
        await writeFile(join(place.file(name), 'join-token'), made.token, { mode: 0o600 });
      }
      const worker = start('federation-worker', ['--home', place.file(name)], {
        env: {
          OPENCLAW_FEDERATION_NAME: name,
          OPENCLAW_FEDERATION_ROLE: role,
          OPENCLAW_FEDERATION_WORKER_HUB: `${hub.address}:${hub.port}`,
          ...more,
        },
      });
      await until(`${name} is online`, async () => {
        const nodes = await ask<NodeView[]>('list');
        return nodes.some((one) => one.name === name && one.state === 'online');
      });
      return worker;
    },
    async close() {
      await gateway.close();
      for (const daemon of daemons.toReversed()) {
        daemon.kill('SIGTERM');
        await daemon.ended;
      }
      await Promise.all([telegram[Symbol.asyncDispose](), model[Symbol.asyncDispose](), plugin.remove()]);
      await place.remove();
    },
  };
  return federation;
}
