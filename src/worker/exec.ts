import { once } from 'node:events';
import { constants, type ServerHttp2Stream } from 'node:http2';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { Log } from '#src/adapters/log.ts';
import type { Processes } from '#src/adapters/process/processes.ts';
import type { Journal } from '#src/adapters/store/journal.ts';
import { errorBody, FederationError } from '#src/core/errors.ts';
import type { Role } from '#src/core/node.ts';
import { type ExecSettings, judgeCommand } from '#src/core/policy.ts';
import { type Invocation, type InvocationState, invocationSchema, type WorkerExit } from '#src/protocol/worker-api.ts';
import { answerError, answerExit } from '#src/worker/answer.ts';
import type { Consent, Wanted } from '#src/worker/consent.ts';
import { type Input, readInput } from '#src/worker/input.ts';
import { argvOf, createInvocation, type EndReason, type RunningInvocation } from '#src/worker/invocation.ts';

export interface Executor {
  /** Takes a request of POST /exec: its frames, the verdict, the process and the answer. */
  run(stream: ServerHttp2Stream): void;
  state(id: string): InvocationState;
  /** Ends one invocation; false when no such one runs. Its `exit` goes out on its own stream. */
  cancel(id: string): boolean;
  /** Ends everything that runs. Resolves when all of it is dead and in the journal, and the hub had time to hear of it. */
  endAll(reason: 'revoked' | 'cancelled'): Promise<void>;
  readonly running: number;
  /** Lets nothing new begin, and says why, until it is called with null. */
  hold(reason: string | null): void;
  /** Denies everything new, until it is lifted. */
  lockDown(on: boolean): void;
}

export interface ExecutorNode {
  /** It changes with the node's key. */
  id(): string;
  readonly name: string;
  readonly role: Role;
}

export interface ExecutorOptions {
  readonly node: ExecutorNode;
  readonly consent: Consent;
  /** Asked anew for each invocation. */
  readonly settings: () => { readonly exec: ExecSettings; readonly hubLossMs: number; readonly killAfterMs: number };
  readonly journal: Journal;
  readonly processes: Processes;
  readonly log: Log;
}

interface Running {
  readonly invocation: RunningInvocation;
  readonly finished: Promise<void>;
}

/** How long the reader of a dead process's output may take when everything ends. */
const LAST_OUTPUT_MS = 250;

export function createExecutor({ node, consent, settings, journal, processes, log }: ExecutorOptions): Executor {
  const running = new Map<string, Running>();
  /** Answers that are on their way to the hub. */
  const open = new Set<ServerHttp2Stream>();
  let held: string | null = null;
  let lockedDown = false;

  function run(stream: ServerHttp2Stream): void {
    let current: RunningInvocation | null = null;
    let wantsStdin = false;
    const input = readInput(stream, {
      open: (value) => {
        const { success, data, error } = invocationSchema.safeParse(value);
        if (!success) return answerUsage(stream, z.prettifyError(error));
        wantsStdin = data.stdin;
        current = admit(data, stream, input);
      },
      go: () => current?.go(),
      cancel: () => void current?.end('cancelled'),
      malformed: (error) => {
        log.warn('malformed frames', { reason: errorBody(error).message });
        if (current === null) answerUsage(stream, 'malformed frames');
        else stream.close(constants.NGHTTP2_PROTOCOL_ERROR);
      },
    });
    // A reset shows as a close; its error says nothing more.
    stream.on('error', () => undefined);
    stream.on('close', () => current?.loseStream());
    stream.on('end', () => {
      if (current === null) answerUsage(stream, 'the stream ended before an `open` frame');
      // Half of its input must not look like all of it.
      else if (wantsStdin && !input.complete) current.loseStream();
    });
  }

  function admit(invocation: Invocation, stream: ServerHttp2Stream, input: Input): RunningInvocation | null {
    const { exec, hubLossMs, killAfterMs } = settings();
    // A repeat first: its approval was used by what it repeats.
    const refusal = repeat(state(invocation.id)) ?? judge(invocation, exec) ?? whileLockedDown() ?? whileHeld();
    if (refusal !== null) {
      input.attach(null);
      answerExit(stream, refusal);
      return null;
    }
    consent.take(wantedBy(invocation));
    const current = createInvocation({ invocation, stream, input, node, hubLossMs, killAfterMs, processes, log });
    running.set(invocation.id, { invocation: current, finished: conduct(invocation.id, current, stream, input) });
    return current;
  }

  /** At most once: durable before the start, and never started again whatever happens after it. */
  async function conduct(
    id: string,
    current: RunningInvocation,
    stream: ServerHttp2Stream,
    input: Input,
  ): Promise<void> {
    try {
      const journaled = journal.start(id);
      // While the journal is on its way to the medium.
      processes.prepare(id);
      await journaled;
      const exit = await current.run();
      answerExit(stream, { kind: 'ended', exit, replayed: false });
      journal.end(id, exit);
      untilClosed(stream);
    } catch (error) {
      if (error instanceof FederationError && error.code === 'JOURNAL_FULL') {
        answerExit(stream, { kind: 'refused', outcome: 'unreachable', reason: error.message });
      } else {
        log.error('an invocation failed inside', { id, stack: error instanceof Error ? error.stack : String(error) });
        void current.end('cancelled');
        stream.close(constants.NGHTTP2_INTERNAL_ERROR);
      }
    } finally {
      running.delete(id);
      processes.forget(id);
      current.release();
      input.attach(null);
    }
  }

  function untilClosed(stream: ServerHttp2Stream): void {
    if (stream.closed) return;
    open.add(stream);
    stream.once('close', () => open.delete(stream));
  }

  function whileLockedDown(): WorkerExit | null {
    return lockedDown ? { kind: 'refused', outcome: 'denied', reason: 'the federation is locked down' } : null;
  }

  function whileHeld(): WorkerExit | null {
    return held === null ? null : { kind: 'refused', outcome: 'unreachable', reason: held };
  }

  function judge(invocation: Invocation, exec: ExecSettings): WorkerExit | null {
    const { asker, command, stdin } = invocation;
    const consented = consent.judge(wantedBy(invocation));
    const verdict =
      consented.kind === 'allow'
        ? judgeCommand(exec, { argv: argvOf(command), cwd: command.cwd, env: command.env })
        : consented;
    if (verdict.kind !== 'allow') return { kind: 'refused', outcome: 'denied', reason: verdict.rule };
    // Nobody has seen what would come: to a shell it would be another command.
    if (!stdin || asker.kind !== 'chat') return null;
    return { kind: 'refused', outcome: 'denied', reason: 'a command from a chat takes no input' };
  }

  function state(id: string): InvocationState {
    if (running.has(id)) return { state: 'running' };
    const known = journal.state(id);
    return known.state === 'running' ? { state: 'lost' } : known;
  }

  async function end({ invocation, finished }: Running, reason: EndReason): Promise<void> {
    await invocation.end(reason);
    const waiting = new AbortController();
    await Promise.race([finished, sleep(LAST_OUTPUT_MS, null, waiting).catch(() => null)]);
    waiting.abort();
    invocation.loseStream();
    await finished;
  }

  return {
    run,
    state,
    cancel(id) {
      const found = running.get(id);
      void found?.invocation.end('cancelled');
      return found !== undefined;
    },
    async endAll(reason) {
      // Again for those that came while the others died.
      while (running.size > 0) await Promise.all([...running.values()].map((one) => end(one, reason)));
      const told = Promise.all([...open].map((stream) => once(stream, 'close')));
      const waiting = new AbortController();
      await Promise.race([told, sleep(LAST_OUTPUT_MS, null, waiting).catch(() => null)]);
      waiting.abort();
    },
    get running() {
      return running.size;
    },
    hold: (reason) => void (held = reason),
    lockDown: (on) => void (lockedDown = on),
  };
}

function wantedBy({ asker, command, approval }: Invocation): Wanted {
  return { asker, action: { kind: 'exec', command }, approval };
}

/** The answer to an invocation that the journal knows; null for a new one. */
function repeat(known: InvocationState): WorkerExit | null {
  switch (known.state) {
    case 'never-started':
      return null;
    case 'running':
      return { kind: 'unknown', reason: 'it runs already' };
    case 'ended':
      return { kind: 'ended', exit: known.exit, replayed: true };
    case 'lost':
      return { kind: 'unknown', reason: 'it was started, and the worker died before it saw the end' };
  }
}

function answerUsage(stream: ServerHttp2Stream, message: string): void {
  answerError(stream, 400, { code: 'USAGE', message });
}
