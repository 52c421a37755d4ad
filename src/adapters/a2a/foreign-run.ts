import { readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import type { SendMessageRequest, StreamResponse } from '@a2a-js/sdk';
import { Role } from '@a2a-js/sdk';
import type { Client } from '@a2a-js/sdk/client';
import { A2AError, TaskNotFoundError } from '@a2a-js/sdk/errors';
import { FederationError } from '#src/core/errors.ts';
import { createHeard } from '#src/adapters/a2a/heard.ts';
import type { Heard } from '#src/adapters/a2a/heard.ts';
import type { TaskIds } from '#src/adapters/a2a/task-ids.ts';
import { A2A_EXTENSION } from '#src/core/handoff/foreign.ts';
import type { AttachOrder, RunEnd, RunOrder, RunWork } from '#src/core/handoff/runner.ts';

/** A server whose card was read. */
export interface ForeignServer {
  readonly client: Client;
  /** It does the same message once, and brings back what a cut stream did not. */
  readonly replays: boolean;
  readonly streams: boolean;
}

export interface ForeignRunOptions {
  /** Reads the card. Throws what the network throws. */
  readonly connect: () => Promise<ForeignServer>;
  readonly tasks: TaskIds;
}

const RETRY_MS = 500;
const MAX_RETRY_MS = 5000;
/** How long a server is asked to end a task that it does not end. */
const CANCEL_MS = 60_000;

/**
 * Sends the message once, and follows what comes of it. Where the answer is cut off before it names a task nobody can
 * ask what became of it: `lost`, unless the server says that it does the same message once.
 */
export async function conductRun(options: ForeignRunOptions, order: RunOrder): Promise<RunEnd> {
  let server: ForeignServer;
  try {
    server = await options.connect();
  } catch (error) {
    return { kind: 'not-started', problem: `the foreign agent can’t be reached: ${wordOf(error)}`, again: false };
  }
  const heard = createHeard(order.work.out, order.onEvent);
  const wanted = await messageOf(order.key, order.work);
  for (let waitMs = RETRY_MS; ; waitMs = Math.min(2 * waitMs, MAX_RETRY_MS)) {
    if (order.leave.aborted) return { kind: 'left' };
    const cut = await send(options, server, heard, wanted, order);
    if (cut === null) break;
    if (heard.taskId() !== null) break;
    // What it refused itself it has not begun.
    if (cut instanceof A2AError || cut instanceof FederationError)
      return { kind: 'not-started', problem: wordOf(cut), again: false };
    if (order.leave.aborted) return { kind: 'left' };
    if (order.stop.aborted || !server.replays) return lost(cut);
    await pause(waitMs, undefined, { signal: order.leave }).catch(() => undefined);
  }
  return toItsEnd(options, server, heard, order);
}

/** Follows a task that another daemon began. */
export async function followRun(options: ForeignRunOptions, order: AttachOrder, out: string): Promise<RunEnd> {
  const task = await options.tasks.get(order.key);
  if (task === null) return { kind: 'lost', problem: 'the foreign agent had named no task when this node was cut off' };
  const heard = createHeard(out, order.onEvent, true);
  const server = await untilConnected(options, order);
  if (server === null) return order.leave.aborted ? { kind: 'left' } : lost(null);
  return toItsEnd(options, server, heard, order, task);
}

async function untilConnected(options: ForeignRunOptions, order: AttachOrder): Promise<ForeignServer | null> {
  for (let waitMs = RETRY_MS; ; waitMs = Math.min(2 * waitMs, MAX_RETRY_MS)) {
    const server = await options.connect().catch(() => null);
    if (server !== null || order.leave.aborted || order.stop.aborted) return server;
    const woken = AbortSignal.any([order.leave, order.stop]);
    await pause(waitMs, undefined, { signal: woken }).catch(() => undefined);
  }
}

/** Null where the stream came to its end; else what cut it off. */
async function send(
  { tasks }: ForeignRunOptions,
  { client, streams }: ForeignServer,
  heard: Heard,
  wanted: SendMessageRequest,
  order: RunOrder,
): Promise<unknown> {
  const { signal, release } = linked(order);
  // One that does not stream names the task at once, and is asked how it stands.
  const updates = streams ? client.sendMessageStream(wanted, { signal }) : answered(client, wanted, signal);
  try {
    for await (const update of updates) {
      const known = heard.taskId();
      heard.take(update);
      const id = heard.taskId();
      if (known === null && id !== null) await tasks.put(order.key, id);
    }
    return null;
  } catch (error) {
    return error;
  } finally {
    release();
  }
}

async function* answered(
  client: Client,
  wanted: SendMessageRequest,
  signal: AbortSignal,
): AsyncGenerator<StreamResponse, void, undefined> {
  const configuration = { acceptedOutputModes: [], taskPushNotificationConfig: undefined, returnImmediately: true };
  const value = await client.sendMessage({ ...wanted, configuration }, { signal });
  if ('messageId' in value) yield { payload: { $case: 'message', value } };
  else yield { payload: { $case: 'task', value } };
}

/** Ends with its leave at once, and with a stop when there is a task that can be cancelled instead. */
function linked({ leave, stop }: AttachOrder): { readonly signal: AbortSignal; release(): void } {
  const ended = new AbortController();
  const end = (): void => ended.abort();
  leave.addEventListener('abort', end, { once: true });
  stop.addEventListener('abort', end, { once: true });
  if (leave.aborted || stop.aborted) end();
  return {
    signal: ended.signal,
    release() {
      leave.removeEventListener('abort', end);
      stop.removeEventListener('abort', end);
    },
  };
}

async function toItsEnd(
  options: ForeignRunOptions,
  server: ForeignServer,
  heard: Heard,
  order: AttachOrder,
  task: string | null = heard.taskId(),
): Promise<RunEnd> {
  const { client, replays, streams } = server;
  for (let waitMs = RETRY_MS; ; waitMs = Math.min(2 * waitMs, MAX_RETRY_MS)) {
    const end = await heard.end();
    if (end !== null) {
      await options.tasks.forget(order.key);
      return end;
    }
    if (task === null) return lost(null);
    if (order.leave.aborted) return { kind: 'left' };
    const wants = heard.wants();
    if (order.stop.aborted || wants !== null) return cancelled(options, client, heard, order, task, wants);
    const { signal, release } = linked(order);
    try {
      if (streams) {
        const serviceParameters: Record<string, string> = {};
        if (replays) serviceParameters['Last-Event-ID'] = String(heard.seq() ?? 0);
        for await (const update of client.resubscribeTask({ tenant: '', id: task }, { signal, serviceParameters })) {
          heard.take(update);
          waitMs = RETRY_MS;
        }
      }
      heard.takeTask(await client.getTask({ tenant: '', id: task }, { signal }));
    } catch (error) {
      // It may be over, of which only its state tells, or not known there any more.
      const gone = error instanceof TaskNotFoundError ? error : await getOnce(client, heard, task, order);
      if (gone !== null) return lost(gone);
    } finally {
      release();
    }
    if ((await heard.end()) !== null) continue;
    const woken = AbortSignal.any([order.leave, order.stop]);
    await pause(waitMs, undefined, { signal: woken }).catch(() => undefined);
  }
}

/** What says that the task is not there; null otherwise. */
async function getOnce(
  client: Client,
  heard: Heard,
  task: string,
  { leave }: AttachOrder,
): Promise<TaskNotFoundError | null> {
  try {
    heard.takeTask(await client.getTask({ tenant: '', id: task }, { signal: leave }));
    return null;
  } catch (error) {
    return error instanceof TaskNotFoundError ? error : null;
  }
}

async function cancelled(
  { tasks }: ForeignRunOptions,
  client: Client,
  heard: Heard,
  order: AttachOrder,
  task: string,
  wants: string | null,
): Promise<RunEnd> {
  const signal = order.leave;
  const until = performance.now() + CANCEL_MS;
  for (let waitMs = 100; !signal.aborted; waitMs = Math.min(2 * waitMs, 1000)) {
    const stands = await client
      .cancelTask({ tenant: '', id: task, metadata: undefined }, { signal })
      .catch(() => client.getTask({ tenant: '', id: task }, { signal }))
      .catch(() => null);
    if (stands !== null) heard.takeTask(stands);
    const end = await heard.end();
    if (end !== null) {
      await tasks.forget(order.key);
      if (wants === null) return end;
      const problem = `the agent wants to know more, which nobody can tell it: ${wants}`;
      return { ...end, outcome: 'failed', problem };
    }
    if (performance.now() > until) return lost(new Error('it does not end what was cancelled'));
    await pause(waitMs, undefined, { signal }).catch(() => undefined);
  }
  return { kind: 'left' };
}

async function messageOf(key: string, { task, context, files }: RunWork): Promise<SendMessageRequest> {
  const text = [task, ...(context === '' ? [] : [`What you should know beside it:\n${context}`])].join('\n\n');
  const none = { metadata: undefined, filename: '', mediaType: '' };
  const given = files.map(async ({ name, path }) => ({
    ...{ ...none, filename: name, mediaType: 'application/octet-stream' },
    content: { $case: 'raw', value: await readFile(path) } as const,
  }));
  const words = { ...none, mediaType: 'text/plain', content: { $case: 'text', value: text } as const };
  return {
    ...{ tenant: '', configuration: undefined, metadata: undefined },
    message: {
      ...{ messageId: key, contextId: '', taskId: '', role: Role.ROLE_USER, metadata: undefined },
      ...{ parts: [words, ...(await Promise.all(given))], extensions: [A2A_EXTENSION], referenceTaskIds: [] },
    },
  };
}

function lost(cause: unknown): RunEnd {
  const why = cause === null ? 'the foreign agent ended its answer before the end' : wordOf(cause);
  return { kind: 'lost', problem: `nobody knows what became of it at the foreign agent: ${why}` };
}

/** What a stranger’s server says is bounded and in one line; the network’s own words are behind `fetch failed`. */
function wordOf(error: unknown): string {
  const isOurs = error instanceof FederationError;
  const cause = !isOurs && error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const text = cause instanceof Error ? cause.message : String(cause);
  return text.replaceAll(/\s+/g, ' ').slice(0, 300).toWellFormed();
}
