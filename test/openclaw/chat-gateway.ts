import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { execa } from 'execa';
import { openConnection } from '#src/adapters/openclaw/gateway-connection.ts';
import type { GatewayConnection } from '#src/adapters/openclaw/gateway-connection.ts';
import { runOpenClaw } from '#src/adapters/openclaw/program.ts';
import type { RunningOpenClaw } from '#src/adapters/openclaw/program.ts';
import { OWNER, STRANGER } from '../support/telegram-api.ts';
import { OPENCLAW } from './small-federation.ts';

/** The real gateway with our plugin, a model that is scripted, and Telegram where it is named. */
export interface ChatGateway {
  readonly directory: string;
  readonly port: number;
  readonly token: string;
  readonly url: string;
  readonly lines: readonly string[];
  /** One connection of its operator, which hears all events. */
  connect(onEvent?: (name: string) => void): Promise<GatewayConnection>;
  /** `openclaw …` as the gateway's own user, to its end; it does not throw. */
  openclaw(...args: readonly string[]): Promise<{ exitCode: number | undefined; stdout: string; stderr: string }>;
  restart(): Promise<void>;
  close(): Promise<void>;
}

export interface ChatGatewayOptions {
  /** Folder of the plugin, to be loaded from where it is. */
  readonly plugin: string;
  /** What deploys it into the home of its user instead, where the gateway has the settings of a person before. */
  readonly deploy?: (home: string) => Promise<void>;
  /** The hub's socket for the plugin. */
  readonly socket: string;
  /** Base URL of the model server. */
  readonly model: string;
  /** Of a Telegram Bot API. */
  readonly telegram?: string;
  /** Who may command there. */
  readonly owners?: readonly number[];
  readonly toolSearch?: boolean;
  /** Commands of nodes that need a word of the gateway's owner. */
  readonly nodeCommands?: readonly string[];
  /** Secret of those who may start a turn of the agent by HTTP. */
  readonly webhooks?: string;
  /** Where it is to listen, with that secret: a hub may have been told of both before. */
  readonly port: number;
  readonly token: string;
}

/** OpenClaw is another under a test runner: it takes no lock then, and its own commands don't find a gateway. */
const AT_WORK = { VITEST: '', NODE_ENV: 'production' };
const START_MS = 240_000;
const KILL_AFTER_MS = 10_000;

export async function chatGateway(options: ChatGatewayOptions): Promise<ChatGateway> {
  const directory = await mkdtemp(join(tmpdir(), 'ocf-chat-'));
  const home = join(directory, 'home');
  const state = options.deploy === undefined ? join(directory, 'state') : join(home, '.openclaw');
  for (const folder of [state, home]) await mkdir(folder, { recursive: true, mode: 0o700 });
  const { port, token } = options;
  const url = `ws://127.0.0.1:${port}`;
  const lines: string[] = [];
  const environment = { ...AT_WORK, HOME: home, OPENCLAW_STATE_DIR: state, OPENCLAW_GATEWAY_TOKEN: token };
  await writeFile(join(state, 'openclaw.json'), JSON.stringify(settings(options, directory), null, 2), {
    mode: 0o600,
  });
  await options.deploy?.(home);

  async function start(): Promise<RunningOpenClaw> {
    const running = await runOpenClaw({
      openclaw: OPENCLAW,
      args: ['gateway', 'run'],
      environment,
      onLine: (line) => void lines.push(line),
    });
    try {
      await answering(port, () => lines.slice(-20));
    } catch (error) {
      await running.stop(KILL_AFTER_MS);
      throw error;
    }
    return running;
  }

  let running = await start();
  return {
    directory,
    port,
    token,
    url,
    lines,
    connect: (onEvent = () => undefined) =>
      openConnection({ url, token, trusts: () => true, onEvent, signal: new AbortController().signal }),
    async openclaw(...args) {
      const { exitCode, stdout, stderr } = await execa(OPENCLAW, args, {
        env: { ...environment, OPENCLAW_GATEWAY_PORT: String(port) },
        reject: false,
        stdin: 'ignore',
      });
      return { exitCode, stdout, stderr };
    },
    async restart() {
      await running.stop(KILL_AFTER_MS);
      running = await start();
    },
    async close() {
      await running.stop(KILL_AFTER_MS);
      await rm(directory, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

async function answering(port: number, said: () => readonly string[]): Promise<void> {
  const end = performance.now() + START_MS;
  while (performance.now() < end) {
    const ready = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => null);
    await ready?.body?.cancel();
    if (ready?.ok === true) return;
    await pause(250);
  }
  throw new Error(`the gateway is not ready: ${said().join('\n')}`);
}

function settings(options: ChatGatewayOptions, directory: string): object {
  const { port, model, toolSearch, nodeCommands = [], webhooks } = options;
  const provider = {
    baseUrl: model,
    apiKey: 'sk-of-the-test',
    api: 'openai-completions',
    models: [
      {
        id: 'scripted',
        name: 'Scripted',
        reasoning: false,
        input: ['text'],
        cost: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 },
        contextWindow: 128_000,
        maxTokens: 8192,
      },
    ],
  };
  return {
    gateway: {
      mode: 'local',
      bind: 'loopback',
      port,
      auth: { mode: 'token' },
      nodes: { pairing: { autoApproveLocal: false, sshVerify: false }, commands: { allow: nodeCommands } },
      controlUi: { enabled: false },
    },
    discovery: { mdns: { mode: 'off' } },
    ...(webhooks === undefined ? {} : { hooks: { enabled: true, token: webhooks, path: '/hooks' } }),
    update: { checkOnStart: false },
    models: { mode: 'replace', providers: { test: provider } },
    agents: {
      defaults: { workspace: join(directory, 'workspace'), model: { primary: 'test/scripted' }, skipBootstrap: true },
    },
    tools: { exec: { notifyOnExit: false }, ...(toolSearch === undefined ? {} : { toolSearch }) },
    ...(options.deploy === undefined ? inGateway(options) : { channels: { telegram: { apiRoot: options.telegram } } }),
  };
}

/** Our plugin, and people at Telegram. */
function inGateway({ plugin, socket, telegram, owners = [OWNER] }: ChatGatewayOptions): object {
  return {
    plugins: {
      load: { paths: [plugin] },
      entries: { 'openclaw-federation': { enabled: true, config: { socket } } },
    },
    ...(telegram === undefined ? {} : chat(telegram, owners)),
  };
}

/** What a person has who talks to the agent by Telegram alone. */
function chat(apiRoot: string, owners: readonly number[]): object {
  return {
    channels: {
      telegram: {
        enabled: true,
        botToken: '123456:TEST',
        apiRoot,
        dmPolicy: 'allowlist',
        allowFrom: [...owners, STRANGER].map(String),
        // Of a tool that runs a command OpenClaw says nothing but its name otherwise.
        streaming: { mode: 'progress', progress: { toolProgress: true, commandText: 'raw' } },
        execApprovals: { enabled: true, approvers: owners.map(String) },
      },
    },
    commands: { ownerAllowFrom: owners.map((id) => `telegram:${id}`) },
    approvals: { plugin: { enabled: true, mode: 'session' } },
  };
}
