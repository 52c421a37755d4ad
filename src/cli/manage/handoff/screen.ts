import { once } from 'node:events';
import { fstatSync } from 'node:fs';
import { harmless, harmlessJson, say } from '#src/adapters/terminal.ts';
import { placeText, standingText } from '#src/cli/manage/handoff/words.ts';
import { printJson } from '#src/cli/print.ts';
import type { HandoffEvent, ToolDeed } from '#src/core/handoff/event.ts';
import { answerLeft } from '#src/core/handoff/answer-left.ts';
import type { HandoffView } from '#src/protocol/handoffs.ts';

/** Where what happens in a handoff goes on this side. */
export interface HandoffScreen {
  /** Resolves when more can be taken. */
  event(event: HandoffEvent): Promise<void>;
  standing(view: HandoffView): void;
  over(view: HandoffView): Promise<void>;
}

/** For a person: what the agent says on standard output, and everything else on standard error. */
export function textScreen(): HandoffScreen {
  const spoken = answerLeft();
  const isOnePlace = areOnePlace();
  let isLineOpen = false;
  let told = '';

  async function write(text: string): Promise<void> {
    if (text === '') return;
    const shown = process.stdout.isTTY ? harmless(text) : text;
    isLineOpen = !shown.endsWith('\n');
    if (!process.stdout.write(shown)) await once(process.stdout, 'drain');
  }

  async function endLine(): Promise<void> {
    if (isLineOpen) await write('\n');
  }

  /** Where both are shown, a word must not stand in the middle of a line of the agent’s. */
  async function aside(text: string): Promise<void> {
    if (isOnePlace) await endLine();
    say(text);
  }

  return {
    async event(event) {
      switch (event.type) {
        case 'text':
          spoken.said(event.text);
          return write(event.text);
        case 'tool':
          return event.phase === 'update' ? undefined : aside(toolText(event));
        case 'artefact':
          return aside(`file: ${event.name} (${event.size} bytes, sha256 ${event.sha256})`);
        case 'gap':
          return aside(`${event.events} events were too much to be kept`);
        case 'restarted':
          spoken.anew();
          await endLine();
          return aside(`begun anew elsewhere, attempt ${event.attempt}: what was said before is of no account`);
        case 'ended': {
          const left = spoken.left(event.text);
          if (left !== '') await endLine();
          await write(left);
          return endLine();
        }
        case 'started':
          return aside(`${event.agent} begins`);
      }
    },
    standing(view) {
      const text = `${placeText(view)}: ${standingText(view)}`;
      // What begins in a moment needs no words about waiting.
      const isWaiting = view.position !== null || view.problem !== null;
      if (!isWaiting || view.startedAt !== null || view.endedAt !== null || text === told) return;
      told = text;
      say(text);
    },
    async over(view) {
      await endLine();
      const { id, state, problem, artefacts } = view;
      // What is completed may still have left something out.
      if (state !== 'completed' || problem !== null) say(`${placeText(view)}: ${standingText(view)}`);
      if (artefacts.length > 0) {
        say(
          `${artefacts.length} file${artefacts.length === 1 ? '' : 's'}: manage-federation handoff fetch ${id} --out-dir .`,
        );
      }
    },
  };
}

/** Whether both outputs come together: on a screen, or in what `2>&1` makes one. */
function areOnePlace(): boolean {
  if (process.stdout.isTTY && process.stderr.isTTY) return true;
  try {
    const [output, errors] = [fstatSync(process.stdout.fd), fstatSync(process.stderr.fd)];
    return output.dev === errors.dev && output.ino === errors.ino;
  } catch {
    // One of them was closed by whoever started this.
    return false;
  }
}

/** Of what a tool is given and gives; the whole of it is for programs. */
const TOOL_TEXT = 160;

function toolText({ name, phase, text, failed }: ToolDeed): string {
  const line = text.replace(/\s+/g, ' ').trim();
  const shown = line.length > TOOL_TEXT ? `${line.slice(0, TOOL_TEXT)}…` : line;
  const head = phase === 'start' ? `tool ${name}` : `tool ${name} ${failed ? 'failed' : 'is done'}`;
  return (shown === '' ? head : `${head}: ${shown}`).replaceAll('\n', '⏎');
}

/** For a program that follows: every event in a line of its own, as the hub has it. */
export function ndjsonScreen(): HandoffScreen {
  return {
    async event(event) {
      if (!process.stdout.write(`${harmlessJson(event)}\n`)) await once(process.stdout, 'drain');
    },
    standing: () => undefined,
    over: async () => undefined,
  };
}

/** For a program that waits: how it ended, in one answer. */
export function jsonScreen(): HandoffScreen {
  return { event: async () => undefined, standing: () => undefined, over: async (view) => printJson(view) };
}
