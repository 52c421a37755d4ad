import { setTimeout as pause } from 'node:timers/promises';
import { FederationError } from '#src/core/errors.ts';
import type { AttachOrder, RunEnd, RunOrder } from '#src/core/handoff/runner.ts';
import { handoffSession } from '#src/core/handoff/session.ts';
import { agentEvents } from '#src/adapters/openclaw/agent-events.ts';
import type { AgentLink } from '#src/adapters/openclaw/agent-link.ts';
import { abortSchema, agentResultSchema } from '#src/adapters/openclaw/agent-messages.ts';
import { endOfResult } from '#src/adapters/openclaw/agent-result.ts';
import { lookForEnd } from '#src/adapters/openclaw/agent-session.ts';

/** Between two looks at a session, and two words that it shall end. */
const LOOK_MS = 1000;
const ABORT_MS = 500;
/** How long a gateway that was restarted may take to go on by itself with what it was at. */
const RECOVERY_MS = 90_000;
/** How long one that was just asked for may be unknown to it. */
const UNKNOWN_MS = 20_000;

/**
 * Asks the gateway once, and never again: after a restart of its own it would run the same key a second time. What follows
 * a lost connection is read from the session.
 */
export async function conductRun(link: AgentLink, settingsFile: string, order: RunOrder): Promise<RunEnd> {
  const connection = link.connection();
  if (connection === null) return { kind: 'not-started', problem: 'its gateway can’t be reached', again: true };
  const { key, agent, handoff, message, onEvent } = order;
  const session = handoffSession(agent, handoff);
  const following = follow(link, session, order);
  let accepted = false;
  const asked = connection.requestLong(
    'agent',
    { message, agentId: agent, sessionKey: session, idempotencyKey: key, deliver: false },
    agentResultSchema,
    () => {
      accepted = true;
      onEvent({ type: 'started' });
    },
  );
  try {
    const result = await Promise.race([asked, following.left]);
    if (result === null) return { kind: 'left' };
    if (!accepted) onEvent({ type: 'started' });
    return await endOfResult(result, settingsFile);
  } catch (error) {
    if (isRefusal(error) && !accepted) return { kind: 'not-started', problem: messageOf(error), again: false };
    // A run that failed is answered with a refusal, too.
    if (isRefusal(error)) return failed(messageOf(error));
    return await settle(link, settingsFile, order, session, following.left, following.heard);
  } finally {
    asked.catch(() => undefined);
    following.close();
  }
}

/** Follows what another process of ours asked for. */
export async function followRun(link: AgentLink, settingsFile: string, order: AttachOrder): Promise<RunEnd> {
  const session = handoffSession(order.agent, order.handoff);
  const following = follow(link, session, order);
  try {
    return await settle(link, settingsFile, order, session, following.left, following.heard);
  } finally {
    following.close();
  }
}

interface Following {
  /** Resolves when it is to be left to itself. */
  readonly left: Promise<null>;
  /** When something happened in it last; by `performance.now()`. */
  readonly heard: () => number;
  close(): void;
}

/** Passes on what happens in the session; once its end is asked for, says so until it is over. */
function follow(link: AgentLink, session: string, { key, onEvent, stop, leave }: AttachOrder): Following {
  const over = new AbortController();
  const left = Promise.withResolvers<null>();
  const leaving = (): void => left.resolve(null);
  const translate = agentEvents();
  let heard = performance.now();
  const deafen = link.listen(session, (event) => {
    heard = performance.now();
    onEvent(translate(event));
  });
  const stopping = (): void => void abort(link, session, key, over.signal);
  if (stop.aborted) stopping();
  else stop.addEventListener('abort', stopping, { once: true });
  if (leave.aborted) leaving();
  else leave.addEventListener('abort', leaving, { once: true });
  return {
    left: left.promise,
    heard: () => heard,
    close() {
      over.abort();
      deafen();
      stop.removeEventListener('abort', stopping);
      leave.removeEventListener('abort', leaving);
    },
  };
}

/** A run that is only about to begin can't be aborted yet, and a gateway that restarts begins another in its place. */
async function abort(link: AgentLink, sessionKey: string, runId: string, over: AbortSignal): Promise<void> {
  while (!over.aborted) {
    const connection = link.connection();
    if (connection !== null) {
      await connection
        .request('chat.abort', { sessionKey, runId }, abortSchema)
        .then(({ aborted }) => (aborted ? null : connection.request('chat.abort', { sessionKey }, abortSchema)))
        .catch(() => undefined);
    }
    await pause(ABORT_MS, undefined, { signal: over, ref: false }).catch(() => undefined);
  }
}

/** The end of a run whose answer will not come on this connection: by looks at its session. */
async function settle(
  link: AgentLink,
  settingsFile: string,
  { key, leave, onEvent }: AttachOrder,
  session: string,
  left: Promise<null>,
  heard: () => number,
): Promise<RunEnd> {
  let known = false;
  /** Since when the gateway says that it does not work on it. */
  let quietSince: number | null = null;
  while (!leave.aborted) {
    const connection = link.connection();
    if (connection !== null) {
      const found = await lookForEnd(connection, { session, key, settingsFile }).catch(() => null);
      if (found?.kind === 'lost') return found;
      if (found?.kind === 'ended') {
        // Whoever asked for it may have ended before that was told.
        if (!known) onEvent({ type: 'started' });
        return found;
      }
      if (found?.kind === 'running' || found?.kind === 'interrupted') {
        if (!known) onEvent({ type: 'started' });
        known = true;
      }
      if (found?.kind === 'running') quietSince = null;
      else if (found !== null) {
        quietSince = Math.max(quietSince ?? performance.now(), heard());
        const quiet = performance.now() - quietSince;
        if (found.kind === 'unknown' && quiet > UNKNOWN_MS) {
          return { kind: 'lost', problem: 'its gateway knows nothing of it' };
        }
        if (quiet > RECOVERY_MS) {
          return { kind: 'lost', problem: 'its gateway was restarted, and did not go on with it' };
        }
      }
    }
    await Promise.race([left, pause(LOOK_MS, undefined, { ref: false })]);
  }
  return { kind: 'left' };
}

function failed(problem: string): RunEnd {
  return { kind: 'ended', outcome: 'failed', text: '', problem, usage: null, media: [] };
}

function isRefusal(error: unknown): boolean {
  return error instanceof FederationError && error.code === 'OPENCLAW_REFUSED';
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
