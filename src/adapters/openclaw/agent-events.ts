import type { RunEvent } from '#src/core/handoff/runner.ts';
import type { SessionEvent } from '#src/adapters/openclaw/agent-link.ts';
import { assistantSchema, toolSchema } from '#src/adapters/openclaw/agent-messages.ts';

/** Longest text of a tool, in UTF-16 units: what it was given, says on its way, and gave. */
const TOOL_TEXT = { start: 16_384, update: 4096, result: 65_536 } as const;

const MAX_WORD = 200;

/** Makes of what the gateway tells of a session what happened in a handoff; one for each follower, from its beginning. */
export function agentEvents(): (event: SessionEvent) => RunEvent {
  /** How much of an item's text was passed on. What was said while nobody listened is in the next telling. */
  const said = new Map<string, number>();

  function newText({ runId, data }: SessionEvent): RunEvent {
    const parsed = assistantSchema.safeParse(data);
    if (!parsed.success) return { type: 'alive' };
    const { text, delta, itemId = '' } = parsed.data;
    const item = `${runId} ${itemId}`;
    const before = said.get(item) ?? 0;
    const whole = text ?? null;
    const fresh = whole === null ? (delta ?? '') : whole.slice(before);
    said.set(item, whole === null ? before + fresh.length : Math.max(before, whole.length));
    return fresh === '' ? { type: 'alive' } : { type: 'text', text: fresh };
  }

  return (event) => {
    if (event.stream === 'assistant') return newText(event);
    if (event.stream === 'tool') return toolEvent(event.data);
    return { type: 'alive' };
  };
}

function toolEvent(data: unknown): RunEvent {
  const parsed = toolSchema.safeParse(data);
  if (!parsed.success) return { type: 'alive' };
  const { phase, name, toolCallId, args, partialResult, result, isError = false } = parsed.data;
  const text = phase === 'start' ? asText(args) : contentText(phase === 'update' ? partialResult : result);
  const [call, tool] = [toolCallId, name].map((word) => word.slice(0, MAX_WORD).toWellFormed()) as [string, string];
  return { type: 'tool', call, name: tool, phase, text: cut(text, TOOL_TEXT[phase]), failed: isError };
}

/** What is said in the parts of a tool's answer; of one that has no such parts, the JSON. */
export function contentText(content: unknown): string {
  if (typeof content === 'string') return content;
  const parts = Array.isArray(content) ? (content as unknown[]) : partsOf(content);
  if (parts === null) return asText(content);
  return parts
    .map((part) => (isRecord(part) && typeof part['text'] === 'string' ? part['text'] : ''))
    .filter((text) => text !== '')
    .join('\n');
}

function partsOf(content: unknown): unknown[] | null {
  return isRecord(content) && Array.isArray(content['content']) ? (content['content'] as unknown[]) : null;
}

function asText(value: unknown): string {
  return value === undefined ? '' : JSON.stringify(value);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function cut(text: string, length: number): string {
  const whole = text.toWellFormed();
  return whole.length <= length ? whole : `${whole.slice(0, length - 24).toWellFormed()}… (${whole.length} in all)`;
}
