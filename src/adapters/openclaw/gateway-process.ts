import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Log } from '#src/adapters/log.ts';
import { FederationError } from '#src/core/errors.ts';
import { openConnection } from '#src/adapters/openclaw/gateway-connection.ts';
import { endOrphan, rememberProcess } from '#src/adapters/openclaw/orphan.ts';
import { runOpenClaw } from '#src/adapters/openclaw/program.ts';
import type { RunningOpenClaw } from '#src/adapters/openclaw/program.ts';

/** A gateway of our own, for a federation on one machine: loopback only, nothing shared with another OpenClaw. */
export interface GatewayProcess {
  readonly pid: number;
  readonly url: string;
  /** Resolves when it has ended, with how. */
  readonly exited: Promise<string>;
  stop(): Promise<void>;
}

export interface GatewayProcessOptions {
  /** Its home, settings and state go here. */
  readonly directory: string;
  readonly port: number;
  /** Reaches it by its environment only. */
  readonly token: string;
  /** The openclaw program: a name on PATH or a path. */
  readonly openclaw: string;
  readonly log: Log;
  /** Gives up waiting; a gateway that was started is stopped. */
  readonly signal: AbortSignal;
}

const START_MS = 180_000;
const KILL_AFTER_MS = 10_000;
const REMEMBERED_LINES = 5;

/**
 * Starts it and waits until an operator can connect. Throws OPENCLAW_MISSING where the program is not there or its
 * Node is too old, PORT_IN_USE, and START_FAILED where it ends or says nothing for three minutes.
 */
export async function startGateway(options: GatewayProcessOptions): Promise<GatewayProcess> {
  const { directory, port, token, openclaw, log, signal } = options;
  const state = join(directory, 'state');
  const home = join(directory, 'home');
  await prepare({ state, home, port });
  await endOrphan(state, log);
  await checkPort(port);
  const lines: string[] = [];
  const running = await runOpenClaw({
    openclaw,
    args: ['gateway', 'run'],
    environment: { HOME: home, OPENCLAW_STATE_DIR: state, OPENCLAW_GATEWAY_TOKEN: token },
    onLine: (text) => {
      const line = text.replaceAll(token, '[secret]');
      log.info(line);
      lines.push(line);
      if (lines.length > REMEMBERED_LINES) lines.shift();
    },
  });
  const stop = (): Promise<void> => running.stop(KILL_AFTER_MS);
  try {
    await rememberProcess(state, running.pid);
    await ready(running, { port, token, signal }, lines);
  } catch (error) {
    await stop();
    throw error;
  }
  return { pid: running.pid, url: urlOf(port), exited: running.exited, stop };
}

async function prepare({ state, home, port }: { state: string; home: string; port: number }): Promise<void> {
  for (const directory of [state, home]) await mkdir(directory, { recursive: true, mode: 0o700 });
  await writeFile(join(state, 'openclaw.json'), `${JSON.stringify(settings(port), null, 2)}\n`, { mode: 0o600 });
}

/** Whoever has the port may be a gateway too, and would answer in the place of ours. */
async function checkPort(port: number): Promise<void> {
  const server = createServer();
  try {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    server.close();
    await once(server, 'close');
  } catch (cause) {
    throw new FederationError('PORT_IN_USE', `the port ${port} for the OpenClaw gateway can't be taken`, {
      hint: 'end what listens there, or choose another port',
      cause,
    });
  }
}

/** To the gateway every carried node looks local, so nothing that it does for local peers may happen by itself. */
function settings(port: number): object {
  return {
    gateway: {
      mode: 'local',
      bind: 'loopback',
      port,
      auth: { mode: 'token' },
      nodes: { pairing: { autoApproveLocal: false, sshVerify: false } },
      controlUi: { enabled: false },
    },
    discovery: { mdns: { mode: 'off' } },
    update: { checkOnStart: false },
    // Otherwise every command of a node host wakes the agent and costs a turn of its model.
    tools: { exec: { notifyOnExit: false } },
  };
}

interface Awaited {
  readonly port: number;
  readonly token: string;
  readonly signal: AbortSignal;
}

/** Its health is good before it takes operators: both are waited for. */
async function ready(running: RunningOpenClaw, { port, token, signal }: Awaited, lines: string[]): Promise<void> {
  const over = new AbortController();
  const stopped = AbortSignal.any([signal, over.signal, AbortSignal.timeout(START_MS)]);
  const ended = running.exited.then((how) => Promise.reject(startFailed(how, lines)));
  try {
    await Promise.race([ended, answers(port, token, stopped)]);
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    over.abort();
    ended.catch(() => undefined);
  }
}

async function answers(port: number, token: string, signal: AbortSignal): Promise<void> {
  let problem: unknown = null;
  while (!signal.aborted) {
    try {
      const health = await fetch(`http://127.0.0.1:${port}/healthz`, { signal });
      await health.body?.cancel();
      if (health.ok) {
        const connection = await openConnection({
          url: urlOf(port),
          token,
          trusts: isOwn,
          onEvent: () => undefined,
          signal,
        });
        connection.close();
        return;
      }
    } catch (error) {
      problem = error;
    }
    await pause(250, undefined, { signal }).catch(() => undefined);
  }
  throw new FederationError('START_FAILED', 'the OpenClaw gateway does not answer', {
    hint: 'see its lines in the log',
    cause: problem,
  });
}

function startFailed(how: string, lines: readonly string[]): FederationError {
  const tooOld = lines.find((line) =>
    /node:sqlite is unavailable|Node(?:\.js)? .*(?:required|unsupported)/i.test(line),
  );
  if (tooOld !== undefined) {
    return new FederationError('OPENCLAW_MISSING', `OpenClaw does not run with this Node: ${tooOld}`, {
      hint: 'install Node 24.16 or newer',
    });
  }
  return new FederationError(
    'START_FAILED',
    `the OpenClaw gateway ended at its start (${how}): ${lines.at(-1) ?? ''}`,
    {
      hint: 'see its lines in the log',
    },
  );
}

function urlOf(port: number): string {
  return `ws://127.0.0.1:${port}`;
}

/** It runs as we do; where that can't be seen, its port was free a moment before. */
function isOwn(uid: number | null): boolean {
  return uid === null ? process.platform !== 'linux' : uid === process.getuid?.();
}
