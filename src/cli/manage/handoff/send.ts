import { tell } from '#src/adapters/handoffs/tell.ts';
import { say } from '#src/adapters/terminal.ts';
import type { GlobalFlags } from '#src/cli/manage/context.ts';
import { hubOf } from '#src/cli/manage/context.ts';
import { keyOf, wordsOf } from '#src/cli/manage/handoff/given.ts';
import { sayAway } from '#src/cli/manage/handoff/watch.ts';
import { printJson } from '#src/cli/print.ts';
import { messageText } from '#src/core/handoff/message-text.ts';
import type { MessageCreate } from '#src/protocol/handoffs.ts';

export interface SendFlags extends GlobalFlags {
  readonly key?: string;
}

/** For a hub that went away while the message was handed over. */
const HAND_IN_MS = 60_000;

/** `manage-federation handoff send TARGET [MESSAGE]`: exit code 0 where it is delivered or kept, 1 where it was refused. */
export async function sendMessage(target: string, message: string | undefined, flags: SendFlags): Promise<number> {
  const words = await wordsOf(message, 'message', `manage-federation handoff send ${target} "what it is to know"`);
  const order: MessageCreate = { key: keyOf(flags.key), target, message: words };
  const signal = new AbortController().signal;
  const options = { signal, patienceMs: HAND_IN_MS, onAway: sayAway };
  const view = await tell(await hubOf(flags), order, options);
  if (flags.json === true) printJson(view);
  else say(messageText(view));
  return view.state === 'refused' ? 1 : 0;
}
