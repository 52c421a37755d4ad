import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { Home } from '#src/adapters/home.ts';
import type { Log } from '#src/adapters/log.ts';
import { createLog } from '#src/adapters/log.ts';
import { startGateway } from '#src/adapters/openclaw/gateway-process.ts';
import { freePort } from '#src/deploy/children/free-port.ts';
import { logFile } from '#src/deploy/children/log-file.ts';

/** The real OpenClaw gateway of a local federation, below the master's home. */
export interface LocalGateway {
  /** What the hub has to know of it, as settings by their environment names. */
  readonly environment: Readonly<Record<string, string>>;
  /** Starts it, and again whenever it ends, at the same port; says so when it runs and when it ended. */
  keep(progress: (line: string) => void): KeptGateway;
}

export interface KeptGateway {
  /** Resolves when an operator can connect for the first time. Rejects as startGateway does; then it is not kept. */
  readonly ready: Promise<void>;
  stop(): Promise<void>;
}

const TOKEN_FILE = 'gateway-token';
const RESTART_MIN_MS = 1000;
/** A gateway takes all of a small machine for 10 s when it starts: one that can't is not tried all the time. */
const RESTART_MAX_MS = 60_000;

export async function localGateway(master: Home, openclaw: string): Promise<LocalGateway> {
  const token = await master.secret(TOKEN_FILE, () => randomBytes(32).toString('hex'));
  const port = await freePort();
  const log = createLog({ level: 'info', module: 'gateway', write: logFile(master.file('gateway.log')) });
  const directory = master.file('openclaw');
  return {
    environment: {
      OPENCLAW_FEDERATION_GATEWAY_URL: `ws://127.0.0.1:${port}`,
      OPENCLAW_FEDERATION_GATEWAY_TOKEN_FILE: master.file(TOKEN_FILE),
    },
    keep: (progress) =>
      keepGateway((signal) => startGateway({ directory, port, token, openclaw, log, signal }), {
        log,
        progress,
        where: `127.0.0.1:${port}`,
      }),
  };
}

interface Keeping {
  readonly log: Log;
  readonly progress: (line: string) => void;
  readonly where: string;
}

function keepGateway(
  start: (signal: AbortSignal) => ReturnType<typeof startGateway>,
  { log, progress, where }: Keeping,
): KeptGateway {
  const stopping = new AbortController();
  const { signal } = stopping;
  const stopped = Promise.withResolvers<null>();
  signal.addEventListener('abort', () => stopped.resolve(null));
  const ready = Promise.withResolvers<void>();

  async function keep(): Promise<void> {
    await live(ready.resolve);
    for (let failures = 0; !signal.aborted; failures++) {
      const delay = Math.min(RESTART_MAX_MS, RESTART_MIN_MS * 2 ** Math.min(failures, 6));
      await pause(delay, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      try {
        await live(() => (failures = -1));
      } catch (error) {
        if (!signal.aborted) log.error('the gateway can’t be started', { problem: String(error) });
      }
    }
  }

  /** One process, from its start until nothing of it is left. */
  async function live(onReady: () => void): Promise<void> {
    const gateway = await start(signal);
    onReady();
    progress(`the OpenClaw gateway runs (${where})`);
    const how = await Promise.race([gateway.exited, stopped.promise]);
    await gateway.stop();
    if (how !== null) progress(`the OpenClaw gateway ended (${how}) and is started again`);
  }

  const done = keep().catch(ready.reject);
  return {
    ready: ready.promise,
    async stop() {
      stopping.abort();
      await done;
    },
  };
}
