import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { runOpenClaw } from '#src/adapters/openclaw/program.ts';
import { OPENCLAW, until } from './small-federation.ts';

/** OpenClaw's own node host as somebody starts it who has never heard of a federation. */
export interface PlainNode {
  /** What it has said since its last start. */
  readonly lines: readonly string[];
  /** Starts it; it keeps its identity from start to start. */
  start(): Promise<void>;
  /** Resolves when it has given up and waits for a person. */
  paused(): Promise<void>;
  stop(): Promise<void>;
}

export interface PlainNodeOptions {
  /** Its home and its state go here. */
  readonly directory: string;
  readonly port: number;
  readonly token: string;
  readonly displayName: string;
  readonly commands: readonly string[];
}

export function plainNode({ directory, port, token, displayName, commands }: PlainNodeOptions): PlainNode {
  const lines: string[] = [];
  const home = join(directory, 'home');
  const environment = { HOME: home, OPENCLAW_STATE_DIR: join(directory, 'state'), OPENCLAW_GATEWAY_TOKEN: token };
  const where = ['--host', '127.0.0.1', '--port', String(port), '--no-tls'];
  const args = ['node', 'run', ...where, '--display-name', displayName, '--commands', commands.join(',')];
  let stop = (): Promise<void> => Promise.resolve();
  return {
    lines,
    async start() {
      await mkdir(home, { recursive: true });
      lines.length = 0;
      const running = await runOpenClaw({
        openclaw: OPENCLAW,
        args,
        environment,
        onLine: (line) => void lines.push(line),
      });
      stop = () => running.stop(5000);
    },
    paused: () =>
      until(
        () => lines.some((line) => line.includes('waiting for operator action')),
        () => lines,
      ),
    stop: () => stop(),
  };
}
