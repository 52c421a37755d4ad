import type { IncomingMessage } from 'node:http';
import { createParser } from 'eventsource-parser';
import type { HubApi } from '#src/adapters/hub.ts';
import type { ErrorCode } from '#src/core/errors.ts';
import { ERROR_CODES, FederationError } from '#src/core/errors.ts';
import type { ListedModelView } from '#src/protocol/models.ts';
import { MODEL_HEADERS } from '#src/protocol/models.ts';

export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

export interface Completion {
  readonly text: string;
  /** Name of the node that answered. */
  readonly node: string | null;
  readonly attempts: number;
  readonly firstByteMs: number;
  readonly totalMs: number;
  /** Tokens; null where the upstream does not say. */
  readonly tokens: { readonly input: number; readonly output: number } | null;
}

export interface CompletionAsk {
  readonly model: string;
  readonly api: 'openai' | 'anthropic';
  readonly messages: readonly ChatMessage[];
  readonly maxTokens: number | null;
}

/** The model that a person named. Throws MODEL_NOT_FOUND. */
export async function findModel(hub: HubApi, id: string): Promise<ListedModelView> {
  const models = await hub.ask<ListedModelView[]>('GET', '/models');
  const found = models.find((model) => model.id === id);
  if (found !== undefined) return found;
  const known = models.filter(({ kind }) => kind !== 'pinned').map((model) => model.id);
  throw new FederationError('MODEL_NOT_FOUND', `there is no model ${JSON.stringify(id)} now`, {
    hint: `manage-federation models list${known.length === 0 ? '' : ` (known: ${known.slice(0, 8).join(', ')})`}`,
  });
}

export function apiOf({ apis }: ListedModelView): 'openai' | 'anthropic' {
  return apis.includes('openai') || apis.length === 0 ? 'openai' : 'anthropic';
}

/**
 * Asks for an answer and tells each piece of it as it comes. Throws what the proxy or the upstream refuses with, and
 * UPSTREAM_FAILED where the answer breaks off; nothing more is asked of the upstream when `signal` is aborted.
 */
export async function complete(
  hub: HubApi,
  ask: CompletionAsk,
  onText: (text: string) => void,
  signal: AbortSignal,
): Promise<Completion> {
  const startedAt = performance.now();
  const path = ask.api === 'openai' ? '/chat/completions' : '/messages';
  const response = await hub.model(path, bodyOf(ask), signal).catch((error: unknown) => {
    signal.throwIfAborted();
    throw error;
  });
  const heard = newEar(onText);
  try {
    if (response.statusCode !== 200) throw refusal(response.statusCode ?? 0, await textOf(response));
    const type = response.headers['content-type'] ?? 'nothing';
    if (!/^text\/event-stream\b/i.test(type))
      throw noAnswer(`${type.slice(0, 100)} in the place of a stream of events`);
    for await (const chunk of response.setEncoding('utf8') as AsyncIterable<string>) heard.feed(chunk);
  } catch (cause) {
    signal.throwIfAborted();
    if (cause instanceof FederationError) throw cause;
    throw new FederationError('UPSTREAM_FAILED', 'the answer broke off', { hint: 'ask again', cause });
  }
  if (!heard.hasHeard()) throw noAnswer('without a word of a model');
  const { headers } = response;
  return {
    ...heard.result(startedAt),
    node: headerOf(headers[MODEL_HEADERS.node]),
    attempts: Number(headerOf(headers[MODEL_HEADERS.attempts]) ?? 1),
    totalMs: performance.now() - startedAt,
  };
}

function noAnswer(what: string): FederationError {
  return new FederationError('UPSTREAM_FAILED', `the model server answers ${what}`, {
    hint: 'look what its baseUrl leads to: manage-federation models list',
  });
}

function bodyOf({ model, api, messages, maxTokens }: CompletionAsk): object {
  if (api === 'openai') {
    const limit = maxTokens === null ? {} : { max_tokens: maxTokens };
    return { model, messages, stream: true, stream_options: { include_usage: true }, ...limit };
  }
  const system = messages.filter(({ role }) => role === 'system').map(({ content }) => content);
  return {
    ...{ model, stream: true, max_tokens: maxTokens ?? 4096 },
    ...(system.length === 0 ? {} : { system: system.join('\n') }),
    messages: messages.filter(({ role }) => role !== 'system'),
  };
}

/** What a stream of either API says, as far as a terminal shows it. */
interface StreamEvent {
  readonly choices?: readonly { readonly delta?: { readonly content?: unknown } }[];
  readonly delta?: { readonly text?: unknown };
  readonly message?: { readonly usage?: Usage };
  readonly usage?: Usage | null;
  readonly error?: { readonly message?: unknown } | null;
}

interface Usage {
  readonly prompt_tokens?: number;
  readonly completion_tokens?: number;
  readonly input_tokens?: number;
  readonly output_tokens?: number;
}

function newEar(onText: (text: string) => void) {
  let text = '';
  let firstAt: number | null = null;
  let input: number | null = null;
  let output: number | null = null;
  let hasHeard = false;

  function heard(event: StreamEvent): void {
    if (event.error !== undefined && event.error !== null) {
      throw new FederationError('UPSTREAM_FAILED', wordsOf(event.error.message) ?? 'the model server failed', {
        hint: 'look into the log of the model server',
      });
    }
    hasHeard ||= Array.isArray(event.choices) || event.message !== undefined || event.delta !== undefined;
    const usage = event.usage ?? event.message?.usage;
    input = usage?.prompt_tokens ?? usage?.input_tokens ?? input;
    output = usage?.completion_tokens ?? usage?.output_tokens ?? output;
    const piece = event.choices?.[0]?.delta?.content ?? event.delta?.text;
    if (typeof piece !== 'string' || piece === '') return;
    text += piece;
    onText(piece);
  }

  const parser = createParser({
    onEvent({ data }) {
      if (data === '[DONE]') return;
      const event = parsed(data);
      if (typeof event === 'object' && event !== null) heard(event);
    },
  });
  return {
    feed(chunk: string): void {
      firstAt ??= performance.now();
      parser.feed(chunk);
    },
    hasHeard: () => hasHeard,
    result: (startedAt: number) => ({
      text,
      firstByteMs: (firstAt ?? performance.now()) - startedAt,
      tokens: input === null || output === null ? null : { input, output },
    }),
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function headerOf(value: string | string[] | undefined): string | null {
  return typeof value === 'string' ? value : null;
}

/** More than any error has to say. */
const MAX_WORDS = 65_536;

async function textOf(response: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of response.setEncoding('utf8') as AsyncIterable<string>) {
    text += chunk;
    if (text.length > MAX_WORDS) break;
  }
  return text.slice(0, MAX_WORDS);
}

/** Our own codes come with their prefix; everything else is the upstream’s word. */
function refusal(status: number, text: string): FederationError {
  const body = parsed(text) as { readonly error?: { readonly message?: unknown; readonly code?: unknown } } | null;
  const { message, code } = body?.error ?? {};
  const own = (wordsOf(code) ?? '').replace(/^federation_/, '').toUpperCase();
  const known = (wordsOf(code) ?? '').startsWith('federation_') && (ERROR_CODES as readonly string[]).includes(own);
  const words = wordsOf(message) ?? `the model server answers ${status}`;
  const [, said = words, hint] = /^(.*?)(?: \(([^()]+)\))?$/s.exec(words) ?? [];
  if (known) return new FederationError(own as ErrorCode, said, { hint: hint ?? 'manage-federation models list' });
  return new FederationError('UPSTREAM_FAILED', `${words} (${status})`, {
    hint: 'look into the log of the model server',
  });
}

/** Null where it is no text. */
function wordsOf(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}
