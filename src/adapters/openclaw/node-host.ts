import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Log } from '#src/adapters/log.ts';
import { endOrphan, rememberProcess } from '#src/adapters/openclaw/orphan.ts';
import { runOpenClaw } from '#src/adapters/openclaw/program.ts';

/** OpenClaw's node host as a program that can be started, one process at a time. */
export interface NodeHostProgram {
  /** Throws OPENCLAW_MISSING. A process that an earlier daemon left behind is ended first. */
  start(options: NodeHostStart): Promise<NodeHostProcess>;
}

export interface NodeHostStart {
  /** Joins with this code; null: with what an earlier join left in the state directory. */
  readonly setupCode: string | null;
  readonly carrierPort: number;
  /** Called each time that it says that it is connected. */
  readonly onConnected?: () => void;
}

export interface NodeHostProcess {
  readonly pid: number;
  /** Whether it ever said that it is connected. */
  hasConnected(): boolean;
  /** Resolves when it has given up and waits for a person, with the gateway's reason. */
  readonly paused: Promise<string>;
  /** Resolves when it has ended, with how. */
  readonly exited: Promise<string>;
  /** Ends its process group and resolves when it is gone. */
  stop(): Promise<void>;
}

export interface NodeHostProgramOptions {
  /** The openclaw program: a name on PATH or a path. */
  readonly openclaw: string;
  /** Its own: identity, device token and settings of the node host. */
  readonly stateDirectory: string;
  readonly displayName: string;
  /** What it may offer to the gateway, at most. */
  readonly commands: readonly string[];
  readonly log: Log;
}

const KILL_AFTER_MS = 5000;
/** "reconnect paused after close (1008): … detail=PAIRING_REQUIRED; waiting for operator action" */
const PAUSED = /reconnect paused after close(?:.*detail=(\w+))?/;

export function nodeHostProgram(options: NodeHostProgramOptions): NodeHostProgram {
  const { openclaw, stateDirectory, displayName, commands, log } = options;
  const codeFile = join(stateDirectory, 'setup-code');

  async function start({ setupCode, carrierPort, onConnected }: NodeHostStart): Promise<NodeHostProcess> {
    await prepare();
    await endOrphan(stateDirectory, log);
    if (setupCode !== null) await writeFile(codeFile, setupCode, { mode: 0o600, flag: 'wx' });
    const target =
      setupCode === null
        ? ['node', 'run', '--host', '127.0.0.1', '--port', String(carrierPort), '--no-tls']
        : ['connect', '--target-file', codeFile];
    const paused = Promise.withResolvers<string>();
    let connected = false;
    const running = await runOpenClaw({
      openclaw,
      args: [...target, '--display-name', displayName, '--commands', commands.join(',')],
      environment: { OPENCLAW_STATE_DIR: stateDirectory },
      onLine: (line) => {
        log.info(line);
        if (line.includes('node host gateway connected')) {
          connected = true;
          onConnected?.();
        }
        const match = PAUSED.exec(line);
        if (match !== null) paused.resolve(match[1] ?? 'no reason given');
      },
    });
    try {
      await rememberProcess(stateDirectory, running.pid);
    } catch (error) {
      // One that nobody remembers could not be ended after a crash, and would be there twice.
      await running.stop(KILL_AFTER_MS);
      throw error;
    }
    return {
      pid: running.pid,
      hasConnected: () => connected,
      paused: paused.promise,
      exited: running.exited,
      async stop() {
        await running.stop(KILL_AFTER_MS);
        await rm(codeFile, { force: true });
      },
    };
  }

  async function prepare(): Promise<void> {
    await mkdir(stateDirectory, { recursive: true, mode: 0o700 });
    await rm(codeFile, { force: true });
    const settingsFile = join(stateDirectory, 'openclaw.json');
    // Written once: what OpenClaw or a person changes in it later stays.
    const settings = { nodeHost: { autoUpdate: { enabled: false } }, update: { checkOnStart: false } };
    if (existsSync(settingsFile)) return;
    await writeFile(settingsFile, `${JSON.stringify(settings, null, 2)}\n`, { mode: 0o600 });
  }

  return { start };
}
