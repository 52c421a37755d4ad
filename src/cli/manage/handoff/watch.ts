import { followHandoff } from '#src/adapters/handoffs/follow.ts';
import type { HubApi } from '#src/adapters/hub.ts';
import { say } from '#src/adapters/terminal.ts';
import type { HandoffScreen } from '#src/cli/manage/handoff/screen.ts';
import { jsonScreen, ndjsonScreen, textScreen } from '#src/cli/manage/handoff/screen.ts';
import { FederationError } from '#src/core/errors.ts';
import { handoffExitCode } from '#src/core/handoff/exit-code.ts';
import { isOver } from '#src/core/handoff/state.ts';

export interface WatchFlags {
  readonly json?: boolean;
  readonly ndjson?: boolean;
}

/** Throws USAGE for two ways at once. */
export function screenFor({ json, ndjson }: WatchFlags): HandoffScreen {
  if (json === true && ndjson === true) {
    throw new FederationError('USAGE', '--json is one answer, --ndjson is a line for each event', {
      hint: 'leave one of them out',
    });
  }
  if (ndjson === true) return ndjsonScreen();
  return json === true ? jsonScreen() : textScreen();
}

/** Said once for each time the hub is away. */
export function sayAway(problem: string): void {
  say(`${problem}; it is asked again until it is back (the agent goes on)`);
}

export interface Watch {
  readonly hub: HubApi;
  readonly id: string;
  /** Seq of the last event that is known; 0 for none. */
  readonly after: number;
  readonly screen: HandoffScreen;
  /** Aborted when the person leaves. */
  readonly signal: AbortSignal;
}

/** Shows a handoff to its end; returns the exit code. Throws the reason of the signal, and what the hub answers. */
export async function watchHandoff({ hub, id, after, screen, signal }: Watch): Promise<number> {
  const options = { after, signal, patienceMs: Infinity, onAway: sayAway };
  for await (const news of followHandoff(hub, id, options)) {
    if (news.kind === 'event') await screen.event(news.event);
    else if (news.kind === 'standing') screen.standing(news.view);
    else {
      await screen.over(news.view);
      if (isOver(news.view.state)) return handoffExitCode(news.view.state);
    }
  }
  throw new FederationError('INTERNAL', 'the events ended before the handoff');
}
