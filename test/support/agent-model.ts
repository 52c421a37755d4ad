import type { ServerResponse } from 'node:http';
import type { ModelHandler } from './model-server.ts';

/** What the scripted model makes of a person's sentence: a call of a tool, or words. */
export type Move = { readonly tool: string; readonly args: object } | { readonly words: string };

/** Sentences of people, and what a model makes of them; the first that fits counts. */
export type Script = readonly (readonly [sentence: string | RegExp, move: Move | ((sentence: string) => Move)])[];

interface Message {
  readonly role: string;
  readonly content?: string | readonly { readonly type: string; readonly text?: string }[] | null;
}

interface Request {
  readonly messages: readonly Message[];
  readonly tools?: readonly { readonly function: { readonly name: string } }[];
  readonly stream?: boolean;
  readonly model: string;
}

/**
 * A model that picks a tool as the script says, and says what the tool answered. Where OpenClaw hides its tools behind its
 * search, it calls them through `tool_call`, as a model does that has found them.
 */
export function agentModel(script: Script): ModelHandler {
  return ({ json }, response) => {
    const asked = json as Request;
    const move = next(asked, script);
    if ('words' in move) return send(response, asked, { content: move.words }, 'stop');
    const offered = (asked.tools ?? []).map((tool) => tool.function.name);
    const isDirect = offered.includes(move.tool);
    if (!isDirect && !offered.includes('tool_call')) {
      return send(response, asked, { content: `no ${move.tool} among ${offered.join(', ')}` }, 'stop');
    }
    const [name, args] = isDirect ? [move.tool, move.args] : ['tool_call', { id: move.tool, args: move.args }];
    const call = { id: `call_${Date.now()}`, type: 'function', function: { name, arguments: JSON.stringify(args) } };
    send(response, asked, { tool_calls: [{ index: 0, ...call }] }, 'tool_calls');
  };
}

/** OpenClaw adds a message of its own behind the person's, and behind a tool's answer too. */
const INTERNAL = '<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>';

function next({ messages }: Request, script: Script): Move {
  const said = messages.findLastIndex((message) => message.role === 'user' && !textOf(message).startsWith(INTERNAL));
  const answers = messages.slice(said + 1).filter(({ role }) => role === 'tool');
  // Of a turn that was stopped OpenClaw puts an answer of its own into the history, before what is said next.
  if (answers.length > 0) return { words: `The tool says: ${answers.map(textOf).join('\n')}` };
  const sentence = said === -1 ? '' : textOf(messages[said]!);
  for (const [pattern, move] of script) {
    const fits = typeof pattern === 'string' ? sentence.includes(pattern) : pattern.test(sentence);
    if (fits) return typeof move === 'function' ? move(sentence) : move;
  }
  return { words: 'I have nothing to say to that.' };
}

function textOf({ content }: Message): string {
  if (typeof content === 'string') return content;
  return (content ?? []).map(({ text = '' }) => text).join('');
}

function send(response: ServerResponse, { model, stream }: Request, delta: object, reason: string): void {
  const base = { id: 'answer', created: 1, model };
  const usage = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 };
  const message = { role: 'assistant', content: null, ...delta };
  if (stream !== true) {
    const choices = [{ index: 0, finish_reason: reason, message }];
    response
      .writeHead(200, { 'content-type': 'application/json' })
      .end(JSON.stringify({ ...base, object: 'chat.completion', choices, usage }));
    return;
  }
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  const chunk = (choices: object[], more: object = {}) =>
    response.write(`data: ${JSON.stringify({ ...base, object: 'chat.completion.chunk', choices, ...more })}\n\n`);
  chunk([{ index: 0, delta: { role: 'assistant', ...delta }, finish_reason: null }]);
  chunk([{ index: 0, delta: {}, finish_reason: reason }]);
  chunk([], { usage });
  response.end('data: [DONE]\n\n');
}
