import type { HandoffUsage } from '#src/core/handoff/event.ts';
import type { RunEnd } from '#src/core/handoff/runner.ts';
import { contentText } from '#src/adapters/openclaw/agent-events.ts';
import type { History, Session } from '#src/adapters/openclaw/agent-messages.ts';
import { historySchema, sessionSchema, waitSchema } from '#src/adapters/openclaw/agent-messages.ts';
import type { GatewayConnection } from '#src/adapters/openclaw/gateway-connection.ts';

export interface SessionOfRun {
  readonly session: string;
  /** Of the run. */
  readonly key: string;
  readonly settingsFile: string;
}

export type Found =
  | Extract<RunEnd, { kind: 'ended' | 'lost' }>
  | { readonly kind: 'running' }
  /** Its gateway was ended under it. Some go on by themselves, with another run in the same session. */
  | { readonly kind: 'interrupted' }
  /** The gateway does not know it, or not yet. */
  | { readonly kind: 'unknown' };

const HISTORY = 200;

/** How a run ended, as far as its gateway knows it: nothing is concluded that it does not say. */
export async function lookForEnd(connection: GatewayConnection, { session, key }: SessionOfRun): Promise<Found> {
  const waited = await connection.request('agent.wait', { runId: key, timeoutMs: 1 }, waitSchema);
  if (waited.status === 'ok' || waited.status === 'error') return endOf(connection, session, key, waited.status);
  if (waited.status === 'timeout' && waited.stopReason === 'rpc') return cancelled();
  const { session: described } = await connection.request('sessions.describe', { key: session }, sessionSchema);
  if (described === null || described === undefined) return { kind: 'unknown' };
  if (described.hasActiveRun === true) return { kind: 'running' };
  if (described.abortedLastRun === true) {
    return described.status === 'killed' && described.lastRunId === key ? cancelled() : { kind: 'interrupted' };
  }
  switch (described.status) {
    case 'done':
      return endOf(connection, session, key, 'ok');
    case 'failed':
    case 'timeout':
      return endOf(connection, session, key, 'error');
    case 'killed':
      return cancelled();
    default:
      return isBegun(described) ? { kind: 'running' } : { kind: 'interrupted' };
  }
}

function isBegun({ status }: Session): boolean {
  return status === 'running';
}

/** The words of the end are the last that the agent said in this session, which is the handoff's alone. */
async function endOf(
  connection: GatewayConnection,
  sessionKey: string,
  key: string,
  status: 'ok' | 'error',
): Promise<Found> {
  const { messages } = await connection.request('chat.history', { sessionKey, limit: HISTORY }, historySchema);
  const from = messages.findLastIndex(({ idempotencyKey }) => idempotencyKey === `${key}:user`);
  const answers = messages.slice(from + 1).filter(({ role }) => role === 'assistant');
  const last = answers.at(-1);
  const base = { kind: 'ended', usage: usageOf(answers), media: [] } as const;
  if (status === 'error') return { ...base, outcome: 'failed', text: '', problem: 'the agent failed on its gateway' };
  if (from === -1 || last === undefined) return { kind: 'lost', problem: 'its session holds no answer' };
  return { ...base, outcome: 'completed', text: contentText(last.content).trim(), problem: null };
}

function usageOf(answers: History['messages']): HandoffUsage | null {
  const counted = answers.flatMap(({ usage }) => (usage === undefined ? [] : [usage]));
  if (counted.length === 0) return null;
  return counted.reduce((sum, { input, output }) => ({ input: sum.input + input, output: sum.output + output }));
}

function cancelled(): Found {
  return { kind: 'ended', outcome: 'cancelled', text: '', problem: 'it was stopped', usage: null, media: [] };
}
