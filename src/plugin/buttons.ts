import type { OpenClawPluginApi } from 'openclaw/plugin-sdk/plugin-entry';

type Presentation = NonNullable<
  Awaited<ReturnType<Parameters<OpenClawPluginApi['registerCommand']>[0]['handler']>>['presentation']
>;
type Button = Extract<Presentation['blocks'][number], { type: 'buttons' }>['buttons'][number];

export type Verb = 'approve' | 'reject';

const NAMESPACE = 'federation';
/** Of an id on a button: short enough for every chat, and too long to be met by trying. */
const ID_DIGITS = 32;

/** A button that does what `/federation VERB ID` does when it is typed by whoever presses it. */
export function commandButton(channel: string, label: string, verb: Verb, id: string): Button {
  const word = id.slice(0, ID_DIGITS);
  return {
    label,
    style: verb === 'approve' ? 'success' : 'danger',
    action: hasHandler(channel)
      ? { type: 'callback', value: `${NAMESPACE}:${verb}:${word}` }
      : { type: 'command', command: commandOf(verb, word) },
  };
}

/**
 * Telegram hands the command of a button to the agent instead of the plugin whose command it is. What a handler of the
 * plugin gives back as text is taken for what the presser typed: so OpenClaw decides whether they may, as for the command.
 */
const CHANNEL = 'telegram';

function hasHandler(channel: string): boolean {
  return channel === CHANNEL;
}

export function registerButtons(api: OpenClawPluginApi): void {
  api.registerInteractiveHandler({
    channel: CHANNEL,
    namespace: NAMESPACE,
    handler: (context) => pressed((context as { callback?: { payload?: unknown } }).callback?.payload),
  });
}

function pressed(payload: unknown): { handled: boolean; submitText?: string } {
  const [, verb, word] = /^(approve|reject):([0-9a-f]{4,64})$/.exec(String(payload)) ?? [];
  if (verb === undefined || word === undefined) return { handled: false };
  return { handled: true, submitText: commandOf(verb as Verb, word) };
}

function commandOf(verb: Verb, word: string): string {
  return `/federation ${verb} ${word}`;
}
