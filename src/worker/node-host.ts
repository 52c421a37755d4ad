import { setTimeout as pause } from 'node:timers/promises';
import type { Log } from '#src/adapters/log.ts';
import type { NodeHostProcess, NodeHostProgram } from '#src/adapters/openclaw/node-host.ts';
import { FederationError } from '#src/core/errors.ts';
import type { BackOff } from '#src/link/back-off.ts';
import { patientDelayMs, retryDelayMs } from '#src/link/back-off.ts';
import type { NodeHostState } from '#src/protocol/hub-api/node.ts';

/** What the supervision asks of the hub. Both throw while it can't be reached, and FORBIDDEN where it turns us away. */
export interface NodeHostDesk {
  requestSetupCode(carrierPort: number): Promise<string>;
  /** What the gateway says of this node's own node host. */
  ownNodeHost(): Promise<NodeHostState>;
}

export interface NodeHostStatus {
  readonly phase: 'waiting' | 'running' | 'stopped';
  /** What the gateway last said; `unknown` where it could not be asked. */
  readonly gateway: NodeHostState;
  readonly pid: number | null;
  /** Why the last process was ended or ended itself. */
  readonly lastEnd: string | null;
  /** Why none is started, while it waits. */
  readonly problem: string | null;
}

export interface NodeHostSupervision {
  state(): NodeHostStatus;
  /** Resolves after `signal`, when the process is gone. */
  readonly done: Promise<void>;
}

export interface NodeHostPace {
  /** Time between two questions to the hub. */
  readonly askMs: number;
  /** The same where the process says that it is connected, and doubling until the gateway says so too. */
  readonly promptMs: number;
  /** How long a process may run while the gateway says that it is not there. */
  readonly zombieMs: number;
  /** The same before the process has said that it is connected: a small machine starts it slowly. */
  readonly startMs: number;
  /** Between two processes; `patientMs` while there is nothing to start one for. */
  readonly retry: BackOff;
}

export const NODE_HOST_PACE: NodeHostPace = {
  askMs: 15_000,
  promptMs: 250,
  zombieMs: 60_000,
  startMs: 180_000,
  retry: { minMs: 1000, maxMs: 60_000, patientMs: 4000 },
};

export interface NodeHostOptions {
  readonly program: NodeHostProgram;
  readonly desk: NodeHostDesk;
  readonly carrierPort: number;
  readonly pace?: NodeHostPace;
  /** Called at each change of the status. */
  readonly onChange?: (status: NodeHostStatus) => void;
  readonly log: Log;
  readonly signal: AbortSignal;
}

type Readiness =
  | { readonly ok: true; readonly setupCode: string | null }
  | { readonly ok: false; readonly problem: string };

interface End {
  readonly why: 'paused' | 'exited' | 'zombie';
  readonly detail: string;
  readonly needsCode: boolean;
}

/**
 * Keeps OpenClaw's node host at the gateway. The process itself gives up at a pause and may hang, so what counts is
 * what the gateway says: whoever is not there for too long is started anew, with a fresh code where it needs one.
 */
export function startNodeHost(options: NodeHostOptions): NodeHostSupervision {
  const { program, desk, carrierPort, pace = NODE_HOST_PACE, onChange, log, signal } = options;
  let status: NodeHostStatus = { phase: 'waiting', gateway: 'unknown', pid: null, lastEnd: null, problem: null };
  let failures = 0;
  /** Aborted when the process says that it is connected. */
  let news = new AbortController();

  const done = run();

  async function run(): Promise<void> {
    let needsCode = false;
    while (!signal.aborted) {
      const ready = await readiness(needsCode);
      if (signal.aborted) break;
      if (!ready.ok) {
        say(ready.problem);
        await wait(patientDelayMs(pace.retry, Math.random()));
        continue;
      }
      try {
        const end = await live(ready.setupCode);
        if (end === null) break;
        needsCode = end.needsCode;
        change({ lastEnd: `${end.why}: ${end.detail}` });
        log.warn('the node host is started anew', { why: end.why, detail: end.detail, newCode: end.needsCode });
      } catch (error) {
        say(messageOf(error));
      }
      change({ phase: 'waiting', pid: null });
      await wait(retryDelayMs(pace.retry, failures++, Math.random()));
    }
    change({ phase: 'stopped', pid: null });
  }

  function change(next: Partial<NodeHostStatus>): void {
    const before = status;
    status = { ...before, ...next };
    if (JSON.stringify(status) !== JSON.stringify(before)) onChange?.(status);
  }

  /** Without the hub and its gateway the node host would reach nothing: it waits for them instead of starting. */
  async function readiness(needsCode: boolean): Promise<Readiness> {
    try {
      const said = await desk.ownNodeHost();
      change({ gateway: said });
      if (said === 'unknown') return { ok: false, problem: 'the gateway can’t be asked' };
      if (said === 'none') return { ok: false, problem: 'the hub does not know that this node offers a node host' };
      const setupCode = needsCode || said === 'unpaired' ? await desk.requestSetupCode(carrierPort) : null;
      return { ok: true, setupCode };
    } catch (error) {
      change({ gateway: 'unknown' });
      return { ok: false, problem: messageOf(error) };
    }
  }

  /** Says once what is the same all the time. */
  function say(problem: string): void {
    if (problem !== status.problem) log.warn('the node host is not started', { problem });
    change({ problem });
  }

  /** One process, from its start until it has ended; null where `signal` ended it. */
  async function live(setupCode: string | null): Promise<End | null> {
    news = new AbortController();
    const started = await program.start({ setupCode, carrierPort, onConnected: () => news.abort() });
    // What the gateway said was of the process before.
    change({ phase: 'running', gateway: 'unknown', pid: started.pid, problem: null });
    const over = new AbortController();
    try {
      return await Promise.race([ended(started), watch(started, AbortSignal.any([signal, over.signal]))]);
    } finally {
      over.abort();
      await started.stop();
    }
  }

  function ended({ paused, exited }: NodeHostProcess): Promise<End> {
    return Promise.race([
      paused.then((detail) => ({ why: 'paused', detail, needsCode: true }) as const),
      exited.then((detail) => ({ why: 'exited', detail, needsCode: false }) as const),
    ]);
  }

  /** Asks what the gateway says until that is "not there" for too long. */
  async function watch(started: NodeHostProcess, until: AbortSignal): Promise<End | null> {
    let absentSince = performance.now();
    let delay = pace.askMs;
    for (;;) {
      await wait(delay, AbortSignal.any([until, news.signal]));
      if (until.aborted) return null;
      if (news.signal.aborted) {
        news = new AbortController();
        delay = Math.min(pace.promptMs, pace.askMs) / 2;
      }
      const said = await desk.ownNodeHost().catch(unanswered);
      change({ gateway: said });
      delay = said === 'connected' ? pace.askMs : Math.min(2 * delay, pace.askMs);
      const now = performance.now();
      if (said === 'connected') failures = 0;
      // While the gateway can't be asked nothing is known of the node host either.
      if (said === 'connected' || said === 'unknown') absentSince = now;
      const limit = started.hasConnected() ? pace.zombieMs : pace.startMs;
      if (now - absentSince >= limit) {
        return { why: 'zombie', detail: `the gateway says ${said}`, needsCode: said === 'unpaired' };
      }
    }
  }

  async function wait(ms: number, until: AbortSignal = signal): Promise<void> {
    await pause(ms, undefined, { signal: until, ref: false }).catch(() => undefined);
  }

  return { state: () => status, done };
}

/** To a hub that turns this node away its node host is as good as not there: the node was revoked. */
function unanswered(error: unknown): NodeHostState {
  return error instanceof FederationError && error.code === 'FORBIDDEN' ? 'none' : 'unknown';
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
