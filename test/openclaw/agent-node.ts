import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runOpenClaw } from '#src/adapters/openclaw/program.ts';
import type { RunningOpenClaw } from '#src/adapters/openclaw/program.ts';
import { until } from '../e2e/until.ts';
import { OPENCLAW, freePort } from './small-federation.ts';

/** The real gateway of a node, whose one agent thinks by a scripted model. */
export interface AgentNode extends AsyncDisposable {
  readonly directory: string;
  /** Its openclaw.json, as `worker.tools.gatewaySettings` names it. */
  readonly settingsFile: string;
  readonly lines: readonly string[];
  /** Ends all of it at once, as a crash does, and starts it again. */
  crash(): Promise<void>;
}

const START_MS = 240_000;
const KILL_AFTER_MS = 10_000;

/** `model`: base URL of the model server. `more`: what is added to its openclaw.json. */
export async function agentNode(model: string, more: object = {}): Promise<AgentNode> {
  const directory = await mkdtemp(join(tmpdir(), 'ocf-agent-'));
  const [state, home] = [join(directory, 'state'), join(directory, 'home')];
  for (const folder of [state, home]) await mkdir(folder, { recursive: true, mode: 0o700 });
  const settingsFile = join(state, 'openclaw.json');
  const port = await freePort();
  const token = randomBytes(32).toString('base64url');
  const models = [
    {
      id: 'echo',
      name: 'Scripted',
      reasoning: false,
      input: ['text'],
      contextWindow: 128_000,
      maxTokens: 8192,
      cost: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 },
    },
  ];
  const settings = {
    gateway: { mode: 'local', bind: 'loopback', port, auth: { mode: 'token', token }, controlUi: { enabled: false } },
    discovery: { mdns: { mode: 'off' } },
    update: { checkOnStart: false },
    models: {
      mode: 'replace',
      providers: { test: { baseUrl: model, apiKey: 'sk-test', api: 'openai-completions', models } },
    },
    agents: {
      defaults: { workspace: join(directory, 'workspace'), skipBootstrap: true, model: { primary: 'test/echo' } },
    },
    tools: { toolSearch: false, exec: { notifyOnExit: false } },
    ...more,
  };
  await writeFile(settingsFile, JSON.stringify(settings, null, 2), { mode: 0o600 });
  const lines: string[] = [];

  async function start(): Promise<RunningOpenClaw> {
    const running = await runOpenClaw({
      openclaw: OPENCLAW,
      args: ['gateway', 'run'],
      // OpenClaw is another under a test runner.
      environment: { HOME: home, OPENCLAW_STATE_DIR: state, VITEST: '', NODE_ENV: 'production' },
      onLine: (line) => void lines.push(line),
    });
    const ready = async (): Promise<boolean> => {
      const health = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => null);
      await health?.body?.cancel();
      return health?.ok === true;
    };
    try {
      await until('the gateway is ready', ready, START_MS);
    } catch (error) {
      await running.stop(KILL_AFTER_MS);
      throw new Error(lines.slice(-20).join('\n'), { cause: error });
    }
    return running;
  }

  let running = await start();
  return {
    directory,
    settingsFile,
    lines,
    async crash() {
      await running.stop(0);
      running = await start();
    },
    async [Symbol.asyncDispose]() {
      await running.stop(KILL_AFTER_MS);
      await rm(directory, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
