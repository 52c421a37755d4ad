import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { eventually } from './eventually.ts';

/** One call that a bot made, with its fields as text. */
export interface BotCall {
  readonly method: string;
  readonly fields: Readonly<Record<string, string>>;
  /** What it uploaded, by field name. */
  readonly files: Readonly<Record<string, Buffer>>;
  /** On the clock of performance.now. */
  readonly at: number;
}

export interface Button {
  readonly text: string;
  readonly callback_data: string;
}

/** Telegram's Bot API on loopback, as far as OpenClaw's channel uses it, with people in it who do what a test says. */
export interface TelegramApi extends AsyncDisposable {
  /** What the channel's `apiRoot` takes. */
  readonly url: string;
  /** All calls but the polling, in their order. */
  readonly calls: readonly BotCall[];
  /** Somebody writes to the bot in a chat of their own. */
  say(text: string, from?: number): void;
  /** Somebody presses a button of a message. */
  press(button: Button, from?: number): void;
  /** Waits for a call that was made since the last mark. */
  until(what: string, matches: (call: BotCall) => boolean, withinMs?: number): Promise<BotCall>;
  /** Waits for a text that was sent or edited since the last mark, and holds `part`. */
  untilText(part: string | RegExp, withinMs?: number): Promise<string>;
  /** What follows is waited for from here on. */
  mark(): void;
  /** Texts since the last mark. */
  texts(): string[];
}

export const OWNER = 1001;
export const STRANGER = 2002;
const BOT = { id: 42, is_bot: true, first_name: 'Claw', username: 'claw_test_bot' };
/** A poll that finds nothing is answered after so long, whatever it asks for. */
const POLL_MS = 20_000;
const PATIENCE_MS = 60_000;

export async function telegramApi(): Promise<TelegramApi> {
  const calls: BotCall[] = [];
  const updates: { update_id: number }[] = [];
  let marked = 0;
  let updateId = 100;
  let messageId = 500;
  let wake = Promise.withResolvers<void>();
  const server = createServer((request, response) => void serve(request, response));

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const method = /^\/bot[^/]+\/(\w+)/.exec(request.url ?? '')?.[1];
    const { fields, files } = await readForm(request);
    if (method === undefined) return reply(response, null);
    if (method === 'getUpdates') return reply(response, await poll(fields, response));
    calls.push({ method, fields, files, at: performance.now() });
    reply(response, answer(method, fields));
  }

  async function poll({ offset = '0', timeout = '0' }: BotCall['fields'], response: ServerResponse) {
    while (updates.length > 0 && updates[0]!.update_id < Number(offset)) updates.shift();
    if (updates.length === 0 && Number(timeout) > 0) {
      const late = Promise.withResolvers<void>();
      const timer = setTimeout(late.resolve, POLL_MS);
      response.once('close', late.resolve);
      await Promise.race([wake.promise, late.promise]);
      clearTimeout(timer);
    }
    return updates.filter(({ update_id: id }) => id >= Number(offset));
  }

  function answer(method: string, fields: BotCall['fields']): unknown {
    if (method === 'getMe') return BOT;
    if (method === 'getChat') return chatOf(Number(fields['chat_id']));
    if (method === 'getMyCommands') return [];
    if (method === 'getWebhookInfo') return { url: '', has_custom_certificate: false, pending_update_count: 0 };
    if (!/^(?:send(?!ChatAction|MessageDraft)|editMessage)/.test(method)) return true;
    return {
      message_id: Number(fields['message_id'] ?? (messageId += 1)),
      date: now(),
      from: BOT,
      chat: chatOf(Number(fields['chat_id'])),
      text: fields['text'] ?? '',
    };
  }

  function add(update: object): void {
    updates.push({ update_id: (updateId += 1), ...update });
    wake.resolve();
    wake = Promise.withResolvers<void>();
  }

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const since = () => calls.slice(marked);
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    say(text, from = OWNER) {
      const [first = ''] = text.split(' ');
      const entities = text.startsWith('/') ? [{ type: 'bot_command', offset: 0, length: first.length }] : [];
      const message = {
        message_id: (messageId += 1),
        date: now(),
        text,
        entities,
        from: person(from),
        chat: chatOf(from),
      };
      add({ message });
    },
    press({ callback_data: data }, from = OWNER) {
      const message = { message_id: messageId, date: now(), from: BOT, chat: chatOf(from), text: 'as it was sent' };
      add({ callback_query: { id: String(updateId), from: person(from), chat_instance: '1', data, message } });
    },
    until: (what, matches, withinMs = PATIENCE_MS) => eventually(what, () => since().find(matches), withinMs),
    async untilText(part, withinMs = PATIENCE_MS) {
      const holds = ({ fields }: BotCall) => matchesText(textOf(fields), part);
      try {
        return textOf((await eventually(`a text with ${part}`, () => since().find(holds), withinMs)).fields);
      } catch (cause) {
        throw new Error(`no text with ${part} in ${JSON.stringify(since().map(({ fields }) => textOf(fields)))}`, {
          cause,
        });
      }
    },
    mark() {
      marked = calls.length;
    },
    texts: () => since().flatMap(({ fields }) => (textOf(fields) === '' ? [] : [textOf(fields)])),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Buttons below a message. */
export function buttonsOf({ fields }: BotCall): Button[] {
  const markup = JSON.parse(fields['reply_markup'] ?? '{}') as { inline_keyboard?: Button[][] };
  return (markup.inline_keyboard ?? []).flat();
}

function textOf(fields: BotCall['fields']): string {
  return fields['text'] ?? fields['caption'] ?? '';
}

function matchesText(text: string, part: string | RegExp): boolean {
  return typeof part === 'string' ? text.includes(part) : part.test(text);
}

function person(id: number) {
  return { id, is_bot: false, first_name: `Person ${id}`, username: `person${id}`, language_code: 'en' };
}

function chatOf(id: number) {
  return { id, type: 'private', first_name: `Person ${id}`, username: `person${id}` };
}

function now(): number {
  return Math.floor(Date.now() / 1000);
}

function reply(response: ServerResponse, result: unknown): void {
  const [status, body] =
    result === null ? [404, { ok: false, error_code: 404, description: 'Not Found' }] : [200, { ok: true, result }];
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

/** JSON, a form or a form with files, and the query. */
async function readForm(request: IncomingMessage): Promise<Pick<BotCall, 'fields' | 'files'>> {
  const query = Object.fromEntries(new URL(request.url ?? '', 'http://api').searchParams);
  const body = await buffer(request);
  const type = request.headers['content-type'] ?? '';
  if (type.includes('json'))
    return { fields: { ...query, ...asText(JSON.parse(body.toString() || '{}') as object) }, files: {} };
  if (!type.includes('multipart') && !type.includes('urlencoded')) return { fields: query, files: {} };
  // oxlint-disable-next-line typescript/no-deprecated -- what comes is no stranger's, and no more than a photo
  const form = await new Response(body, { headers: { 'content-type': type } }).formData();
  const fields: Record<string, string> = { ...query };
  const files: Record<string, Buffer> = {};
  for (const [name, value] of form) {
    if (typeof value === 'string') fields[name] = value;
    else files[name] = Buffer.from(await value.arrayBuffer());
  }
  return { fields, files };
}

function asText(json: object): Record<string, string> {
  return Object.fromEntries(
    Object.entries(json).map(([key, value]) => [key, typeof value === 'string' ? value : JSON.stringify(value)]),
  );
}
