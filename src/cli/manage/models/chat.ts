import { createInterface } from 'node:readline/promises';
import { text } from 'node:stream/consumers';
import { harmless, say } from '#src/adapters/terminal.ts';
import type { HubApi } from '#src/adapters/hub.ts';
import type { GlobalFlags } from '#src/cli/manage/context.ts';
import { hubOf } from '#src/cli/manage/context.ts';
import type { ChatMessage, Completion } from '#src/cli/manage/models/completion.ts';
import { apiOf, complete, findModel } from '#src/cli/manage/models/completion.ts';
import { printJson } from '#src/cli/print.ts';
import { FederationError } from '#src/core/errors.ts';

export interface ChatFlags extends GlobalFlags {
  readonly system?: string;
}

const INTERRUPTED = 130;

/**
 * `manage-federation models chat MODEL [words…]`: one answer to the words or to standard input, or on a terminal one
 * after the other. Ctrl-C ends an answer, also at the model server, and between answers the chat.
 */
export async function chat(model: string, words: readonly string[], flags: ChatFlags): Promise<number> {
  const hub = await hubOf(flags);
  const listed = await findModel(hub, model);
  const asking = { model, api: apiOf(listed) };
  const system: ChatMessage[] = flags.system === undefined ? [] : [{ role: 'system', content: flags.system }];
  const question = words.length > 0 ? words.join(' ') : process.stdin.isTTY ? null : (await text(process.stdin)).trim();
  if (question?.trim() === '')
    throw new FederationError('USAGE', 'there is nothing to ask', { hint: `models chat ${model} "hello"` });
  if (question === null && flags.json === true) {
    throw new FederationError('USAGE', '--json answers one question', { hint: `models chat ${model} "hello" --json` });
  }
  if (question === null) return talk(hub, asking, system);
  const messages: ChatMessage[] = [...system, { role: 'user', content: question }];
  const { answer } = await answerTo(hub, { ...asking, messages }, flags.json !== true);
  if (answer === null) return INTERRUPTED;
  if (flags.json === true) printJson(answer);
  return 0;
}

interface Asking {
  readonly model: string;
  readonly api: 'openai' | 'anthropic';
}

/** Line by line, until the input ends or nothing is typed but Ctrl-C. */
async function talk(hub: HubApi, asking: Asking, system: readonly ChatMessage[]): Promise<number> {
  say(`talking to ${asking.model}; Ctrl-D ends it`);
  const messages = [...system];
  for (;;) {
    const line = await typed();
    if (line === null) return 0;
    if (line.trim() === '') continue;
    messages.push({ role: 'user', content: line });
    const { answer, shown } = await answerTo(hub, { ...asking, messages }, true);
    messages.push({ role: 'assistant', content: answer?.text ?? shown });
  }
}

async function typed(): Promise<string | null> {
  const lines = createInterface({ input: process.stdin, output: process.stderr, terminal: true });
  const { promise, resolve } = Promise.withResolvers<string | null>();
  lines.once('close', () => resolve(null));
  lines.once('SIGINT', () => resolve(null));
  lines.question('> ').then(resolve, () => resolve(null));
  return promise.finally(() => lines.close());
}

interface Answered {
  /** Null where Ctrl-C ended it. */
  readonly answer: Completion | null;
  readonly shown: string;
}

async function answerTo(
  hub: HubApi,
  ask: Asking & { readonly messages: readonly ChatMessage[] },
  isShown: boolean,
): Promise<Answered> {
  const stopping = new AbortController();
  const stop = (): void => stopping.abort();
  process.once('SIGINT', stop);
  let shown = '';
  try {
    const answer = await complete(
      hub,
      { ...ask, maxTokens: null },
      (piece) => {
        shown += piece;
        if (isShown) process.stdout.write(process.stdout.isTTY ? harmless(piece) : piece);
      },
      stopping.signal,
    );
    return { answer, shown };
  } catch (error) {
    if (stopping.signal.aborted) return { answer: null, shown };
    throw error;
  } finally {
    process.off('SIGINT', stop);
    if (isShown && shown !== '') process.stdout.write('\n');
  }
}
