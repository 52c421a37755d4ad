import type { ServerHttp2Stream } from 'node:http2';
import type { Log } from '#src/adapters/log.ts';
import type { Child, ChildExit, Processes } from '#src/adapters/process/processes.ts';
import type { ExitRecord } from '#src/core/outcome.ts';
import type { Command, Invocation } from '#src/protocol/worker-api.ts';
import { answerStarted } from '#src/worker/answer.ts';
import type { Input } from '#src/worker/input.ts';
import { type Output, relayOutput } from '#src/worker/output.ts';

export type EndReason = Exclude<ExitRecord['ended'], 'itself'>;

/** One command, from its start to its exit record. */
export interface RunningInvocation {
  /** Lets one that is held start. */
  go(): void;
  /** Starts the process and resolves when it has ended and its output is delivered. Never rejects for its sake. */
  run(): Promise<ExitRecord>;
  /** Ends the process and all that came of it; the first reason stands. Resolves when none of it is alive. */
  end(reason: EndReason): Promise<void>;
  /** Nobody takes the output any more: the process has `hubLossMs` left. */
  loseStream(): void;
  /** Gives back what the system held for its process, when the answer is out. */
  release(): void;
}

export interface InvocationOptions {
  readonly invocation: Invocation;
  readonly stream: ServerHttp2Stream;
  readonly input: Input;
  readonly node: { id(): string; readonly name: string };
  readonly hubLossMs: number;
  readonly killAfterMs: number;
  readonly processes: Processes;
  readonly log: Log;
}

/** A node that is thrown out has a second to end all that it runs. */
const REVOKED_KILL_AFTER_MS = 500;

export function createInvocation(options: InvocationOptions): RunningInvocation {
  const { invocation, stream, input, node, hubLossMs, killAfterMs, processes, log } = options;
  const timers = new Set<NodeJS.Timeout>();
  let ended: ExitRecord['ended'] = 'itself';
  let lost = false;
  let over = false;
  let child: Child | null = null;
  let output: Output | null = null;
  let exit: ChildExit | null = null;
  let ending: Promise<void> | null = null;
  let survivors = 0;
  const gate = Promise.withResolvers<void>();
  if (!invocation.held) gate.resolve();

  async function run(): Promise<ExitRecord> {
    try {
      return await start();
    } finally {
      over = true;
      for (const timer of timers) clearTimeout(timer);
    }
  }

  async function start(): Promise<ExitRecord> {
    await gate.promise;
    // Cancelled or left alone before it could start: it never does.
    if (ended !== 'itself') return record(0);
    const startedAt = performance.now();
    const { id, command, stdin } = invocation;
    const spawned = await processes.spawn({ id, argv: argvOf(command), cwd: command.cwd, env: command.env, stdin });
    if (spawned.ok) return record(await accompany(spawned.child, startedAt));
    const { exitCode, reason } = spawned.failure;
    return { ...record(performance.now() - startedAt), exitCode, spawnError: reason };
  }

  /** Resolves with the time that the process took, when its output is delivered too. */
  async function accompany(started: Child, startedAt: number): Promise<number> {
    child = started;
    answerStarted(stream, { node: node.id(), name: node.name, pid: started.pid, killAfterMs });
    output = relayOutput({ stream, stdout: started.stdout, stderr: started.stderr });
    input.attach(started.stdin);
    if (lost) output.discard();
    if (ended !== 'itself') void end(ended);
    if (invocation.command.timeoutMs !== null) after(invocation.command.timeoutMs, () => void end('timeout'));
    exit = await started.exited;
    const durationMs = performance.now() - startedAt;
    output.exited();
    await output.ended;
    await ending;
    return durationMs;
  }

  function after(milliseconds: number, act: () => void): void {
    timers.add(setTimeout(act, milliseconds));
  }

  async function end(reason: EndReason): Promise<void> {
    if (over) return;
    gate.resolve();
    // Of a process that has exited only children in the background are left: how it ended does not change.
    if (ended === 'itself' && exit === null) ended = reason;
    // A revocation does not wait for an ending that takes its time.
    if (child !== null && (ending === null || reason === 'revoked')) ending = endTree(child, reason);
    await ending;
  }

  /** Never rejects. */
  async function endTree(running: Child, reason: EndReason): Promise<void> {
    const wait = reason === 'revoked' ? Math.min(killAfterMs, REVOKED_KILL_AFTER_MS) : killAfterMs;
    try {
      survivors = await running.endTree({ termFirst: true, killAfterMs: wait });
    } catch (error) {
      // Nobody can say that nothing is left.
      survivors = 1;
      log.error('can’t see what is left of an invocation', { id: invocation.id, reason: String(error) });
    }
  }

  function loseStream(): void {
    if (lost || over) return;
    lost = true;
    output?.discard();
    if (child === null) void end('hub-lost');
    else after(hubLossMs, () => void end('hub-lost'));
  }

  function record(durationMs: number): ExitRecord {
    const [stdoutBytes, stderrBytes] = [output?.stdoutBytes ?? 0, output?.stderrBytes ?? 0];
    return {
      exitCode: exit?.exitCode ?? null,
      signal: exit?.signal ?? null,
      ended,
      durationMs,
      stdoutBytes,
      stderrBytes,
      // What was under way when the stream broke may have arrived or not.
      truncated: lost && stdoutBytes + stderrBytes > 0,
      survivors,
    };
  }

  return { go: gate.resolve, run, end, loseStream, release: () => child?.release() };
}

/** The program and its arguments, also of a shell's string: what policies judge and what is started. */
export function argvOf({ argv, shell = '' }: Command): readonly string[] {
  return argv ?? ['/bin/sh', '-c', shell];
}
