import { closeSync, openSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { FederationError } from '#src/core/errors.ts';

export interface DaemonSpec {
  /** What it is called in messages. */
  readonly name: string;
  readonly program: 'federation-hub' | 'federation-worker';
  readonly home: string;
  /** Settings by their environment names. */
  readonly environment: Readonly<Record<string, string>>;
  /** File that its log goes to; null: our standard error, which a container keeps. */
  readonly log: string | null;
  /** Called when it leaves with an exit code before it has run for a moment: then trying again is of no use. */
  readonly onFailed: (error: FederationError) => void;
}

/** One of our daemons as a child that is started again when it dies, and ends when this process does. */
export interface Daemon {
  stop(): Promise<void>;
}

const RESTART_MS = 1000;
/** A daemon that lives this long has started: what ends it later is worth another try. */
const STARTED_MS = 3000;
const KILL_AFTER_MS = 15_000;

export function startDaemon({ name, program, home, environment, log, onFailed }: DaemonSpec): Daemon {
  const script = fileURLToPath(new URL(`../../../bin/${program}.js`, import.meta.url));
  const stopping = new AbortController();
  let child: ReturnType<typeof start> | null = null;

  function start() {
    return execa(process.execPath, [...process.execArgv, script, '--home', home, '--until-input-ends'], {
      env: environment,
      // Its end tells the child that we are gone, however we went.
      stdin: 'pipe',
      stdout: 'ignore',
      stderr: log === null ? 'inherit' : { file: log, append: true },
      buffer: false,
      reject: false,
      // Ctrl-C reaches us alone; the order in which all stop is ours.
      detached: true,
      cleanup: true,
      forceKillAfterDelay: KILL_AFTER_MS,
    });
  }

  async function keepAlive(): Promise<void> {
    for (let first = true; !stopping.signal.aborted; first = false) {
      const startedAt = performance.now();
      child = start();
      const { exitCode } = await child;
      child = null;
      if (stopping.signal.aborted) return;
      // Whom a signal ended has not refused to start: it was ended from outside, and may live the next time.
      if (first && exitCode !== undefined && performance.now() - startedAt < STARTED_MS) {
        const problem = `${name} ended at once, with exit code ${exitCode}`;
        const hint = log === null ? 'see what it logged last' : `see the end of ${log}`;
        onFailed(new FederationError('START_FAILED', problem, { hint }));
        return;
      }
      await pause(RESTART_MS, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  }

  // Made before the child writes to it, so that only its owner may read it.
  if (log !== null) closeSync(openSync(log, 'a', 0o600));
  const ended = keepAlive();
  return {
    async stop() {
      stopping.abort();
      child?.kill('SIGTERM');
      await ended;
    },
  };
}
