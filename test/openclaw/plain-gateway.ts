import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { openConnection } from '#src/adapters/openclaw/gateway-connection.ts';
import type { GatewayConnection } from '#src/adapters/openclaw/gateway-connection.ts';
import { runOpenClaw } from '#src/adapters/openclaw/program.ts';
import { until } from '../e2e/until.ts';
import { OPENCLAW } from './small-federation.ts';

/** The real gateway of a person who has not said which model is to think: without a provider, and without a key. */
export interface PlainGateway {
  /** Its state and everything else that is its own. */
  readonly directory: string;
  /** Path of its openclaw.json, which it reads again when it changes. */
  readonly settings: string;
  readonly url: string;
  readonly token: string;
  readonly lines: readonly string[];
  connect(): Promise<GatewayConnection>;
  /** `openclaw …` as the gateway's own user, to its end; it does not throw. */
  openclaw(...args: readonly string[]): Promise<{ exitCode: number | undefined; stdout: string; stderr: string }>;
  close(): Promise<void>;
}

export interface PlainGatewayOptions {
  readonly port: number;
  readonly token: string;
  readonly plugin: string;
  readonly pluginConfig: object;
}

const START_MS = 300_000;
const KILL_AFTER_MS = 10_000;

export async function plainGateway({ port, token, plugin, pluginConfig }: PlainGatewayOptions): Promise<PlainGateway> {
  const directory = await mkdtemp(join(tmpdir(), 'ocf-models-'));
  const [state, home] = [join(directory, 'state'), join(directory, 'home')];
  for (const folder of [state, home]) await mkdir(folder, { recursive: true, mode: 0o700 });
  const settings = join(state, 'openclaw.json');
  const written = {
    gateway: {
      mode: 'local',
      bind: 'loopback',
      port,
      auth: { mode: 'token' },
      controlUi: { enabled: false },
      http: { endpoints: { chatCompletions: { enabled: true } } },
    },
    discovery: { mdns: { mode: 'off' } },
    update: { checkOnStart: false },
    agents: { defaults: { workspace: join(directory, 'workspace'), skipBootstrap: true } },
    tools: { exec: { notifyOnExit: false }, toolSearch: false },
    plugins: {
      allow: ['openclaw-federation'],
      load: { paths: [plugin] },
      entries: { 'openclaw-federation': { enabled: true, config: pluginConfig } },
    },
  };
  await writeFile(settings, JSON.stringify(written, null, 2), { mode: 0o600 });
  const environment = { HOME: home, OPENCLAW_STATE_DIR: state, OPENCLAW_GATEWAY_TOKEN: token };
  const lines: string[] = [];
  const running = await runOpenClaw({
    openclaw: OPENCLAW,
    args: ['gateway', 'run'],
    environment,
    onLine: (line) => void lines.push(line),
  });
  const url = `http://127.0.0.1:${port}`;
  try {
    await until('the gateway is ready', async () => (await fetch(`${url}/readyz`).catch(() => null))?.ok, START_MS);
  } catch (error) {
    await running.stop(KILL_AFTER_MS);
    throw new Error(lines.slice(-20).join('\n'), { cause: error });
  }
  return {
    directory,
    settings,
    url,
    token,
    lines,
    connect: () =>
      openConnection({
        url: `ws://127.0.0.1:${port}`,
        token,
        trusts: () => true,
        onEvent: () => undefined,
        signal: new AbortController().signal,
      }),
    async openclaw(...args) {
      const { exitCode, stdout, stderr } = await execa(OPENCLAW, args, {
        // Where it takes itself for a part of a test, OpenClaw prints nothing.
        env: { ...environment, OPENCLAW_GATEWAY_PORT: String(port), VITEST: undefined, NODE_ENV: undefined },
        reject: false,
        stdin: 'ignore',
      });
      return { exitCode, stdout, stderr };
    },
    async close() {
      await running.stop(KILL_AFTER_MS);
      await rm(directory, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
