import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { chatGateway } from '../../openclaw/chat-gateway.ts';
import type { ChatGateway } from '../../openclaw/chat-gateway.ts';
import { freePort } from '../../openclaw/small-federation.ts';
import { agentModel } from '../../support/agent-model.ts';
import { modelServer } from '../../support/model-server.ts';
import type { TelegramApi } from '../../support/telegram-api.ts';
import { telegramApi } from '../../support/telegram-api.ts';
import type { Bench } from '../bench.ts';
import { startHub, startWorker, WORKER } from '../federation.ts';
import type { Figure } from '../figure.ts';
import { atMost, median, percentile } from '../figure.ts';

/** OpenClaw sends one message a second to a chat: people enough that nobody's turn comes sooner. */
const OWNERS = Array.from({ length: 24 }, (_, at) => 5001 + at);

/** The command of the plugin, from the update of Telegram to the call that answers it. */
export const chatCommand: Figure = {
  name: 'chat-command',
  unit: 'ms',
  what: 'a /federation command, from Telegram’s update to the answer; floor: a command of OpenClaw’s own, /whoami',
  warmUps: 24,
  samples: 48,
  lines: [{ name: 'p50', of: median, bar: atMost(150, 'ms') }],
  async open(bench) {
    const telegram = await telegramApi();
    bench.onEnd(async () => telegram[Symbol.asyncDispose]());
    await startChat(bench, telegram);
    let turn = 0;
    const next = (): number => OWNERS[(turn += 1) % OWNERS.length]!;
    return {
      ours: () => answered(telegram, '/federation status', 'is the master', next()),
      floor: () => answered(telegram, '/whoami', 'User id', next()),
    };
  },
};

async function answered(telegram: TelegramApi, command: string, answer: string, from: number): Promise<number> {
  telegram.mark();
  const startedAt = performance.now();
  telegram.say(command, from);
  const call = await telegram.until(`an answer to ${command}`, ({ fields }) => (fields['text'] ?? '').includes(answer));
  return call.at - startedAt;
}

/** A tool call by the gateway, until the process on the worker runs. */
export const chatTool: Figure = {
  name: 'chat-tool',
  unit: 'ms',
  what: 'tools.invoke of cluster_exec at the gateway, until its process on the worker runs; floor: /bin/sh started here',
  warmUps: 200,
  samples: 200,
  lines: [
    { name: 'p50', of: median, bar: atMost(20, 'ms') },
    { name: 'p95', of: percentile(0.95), bar: null },
  ],
  async open(bench) {
    const gateway = await startChat(bench, null);
    const connection = await gateway.connect();
    bench.onEnd(async () => connection.close());
    const bell = await openBell(bench);
    const invoke = () =>
      connection.request(
        'tools.invoke',
        { name: 'cluster_exec', args: { node: WORKER, command: bell.command } },
        z.object({ ok: z.literal(true) }),
      );
    return {
      ours: () => bell.until(invoke),
      floor: () => bell.until(() => ended('/bin/sh', ['-c', bell.command])),
    };
  },
};

/** A hub, a worker and a gateway with the plugin of the installed package. */
async function startChat(bench: Bench, telegram: TelegramApi | null): Promise<ChatGateway> {
  const hub = await startHub(bench);
  await startWorker(bench, hub);
  const model = await modelServer();
  model.otherwise = agentModel([]);
  bench.onEnd(() => model.die());
  const gateway = await chatGateway({
    plugin: join(bench.installed, 'plugin'),
    socket: hub.client.record.plugin ?? '',
    model: model.baseUrl,
    port: await freePort(),
    token: randomBytes(32).toString('base64url'),
    toolSearch: false,
    ...(telegram === null ? {} : { telegram: telegram.url, owners: OWNERS }),
  });
  bench.onEnd(() => gateway.close());
  return gateway;
}

interface Bell {
  /** What a shell runs to ring it: nothing but what it has built in. */
  readonly command: string;
  /** Milliseconds from the start of `work` until the bell rings; `work` is waited for too. */
  until(work: () => Promise<unknown>): Promise<number>;
}

/** A pipe that a process writes to as its first deed. */
async function openBell(bench: Bench): Promise<Bell> {
  const path = join(await bench.folder(), 'bell');
  execFileSync('mkfifo', [path]);
  // Also for writing, or it would end with each process that rings.
  const pipe = await open(path, 'r+');
  bench.onEnd(() => pipe.close());
  return {
    command: `echo > ${path}`,
    async until(work) {
      const startedAt = performance.now();
      const working = work();
      const rings = pipe.read(Buffer.alloc(1)).then(() => performance.now() - startedAt);
      const failed = working.then(() => new Promise<never>(() => undefined));
      const took = await Promise.race([rings, failed]);
      await working;
      return took;
    },
  };
}

function ended(program: string, args: readonly string[]): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const child = spawn(program, args, { stdio: 'ignore' });
  child.once('error', reject);
  child.once('exit', (code) => (code === 0 ? resolve() : reject(new Error(`exit ${code}`))));
  return promise;
}
