import { say } from '#src/adapters/terminal.ts';
import type { GlobalFlags } from '#src/cli/manage/context.ts';
import { hubOf } from '#src/cli/manage/context.ts';
import { handoffId, placeText, standingText } from '#src/cli/manage/handoff/words.ts';
import { printJson } from '#src/cli/print.ts';
import { isOver } from '#src/core/handoff/state.ts';
import type { HandoffView } from '#src/protocol/handoffs.ts';

/** `manage-federation handoff cancel ID`: asks for its end; the same however often. */
export async function cancelHandoff(word: string, flags: GlobalFlags): Promise<number> {
  const id = handoffId(word);
  const view = await (await hubOf(flags)).ask<HandoffView>('DELETE', `/handoffs/${id}`);
  if (flags.json === true) printJson(view);
  else if (view.state === 'cancelled') say(`${placeText(view)}: ${standingText(view)}`);
  else if (isOver(view.state)) say(`${placeText(view)}: it was over before: ${standingText(view)}`);
  else say(`${placeText(view)}: its end was asked for; how it went: manage-federation handoff show ${id}`);
  return 0;
}
