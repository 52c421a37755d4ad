import { expect, test } from 'vitest';
import type { HandoffDeed, HandoffEvent } from '#src/core/handoff/event.ts';
import type { Heard } from '#src/core/handoff/order.ts';
import { judgeEvent, NOTHING_HEARD } from '#src/core/handoff/order.ts';

const expected = { attempt: 2, agent: 'coder' };
const started: HandoffDeed = { type: 'started', attempt: 2, agent: 'coder' };
const text: HandoffDeed = { type: 'text', text: 'a' };
const file = (name: string): HandoffDeed => ({ type: 'artefact', name, size: 1, sha256: '0'.repeat(64) });
const ended = (outcome: 'completed' | 'failed' | 'expired'): HandoffDeed => ({
  ...{ type: 'ended', outcome, text: '', problem: null, usage: null },
});

/** The first fault in these; null where there is none. */
function faultIn(...deeds: readonly (HandoffDeed | HandoffEvent)[]): string | null {
  let heard: Heard = NOTHING_HEARD;
  for (const [at, deed] of deeds.entries()) {
    const judged = judgeEvent(heard, { seq: at + 1, ...deed }, expected);
    if (!judged.ok) return judged.fault;
    heard = judged.heard;
  }
  return null;
}

test('a run from its start to its end is in order, and so is an end without a start that is no success', () => {
  expect(faultIn(started, text, file('a'), file('b'), { type: 'gap', events: 3 }, ended('completed'))).toBeNull();
  expect(faultIn(ended('expired'))).toBeNull();
});

test.each<[string, readonly (HandoffDeed | HandoffEvent)[]]>([
  ['the event 3 came where 2 was next', [started, { ...text, seq: 3 }]],
  ['the event 1 came where 2 was next', [started, { ...text, seq: 1 }]],
  ['it started twice', [started, started]],
  ['attempt 1 started where 2 was asked for', [{ ...started, attempt: 1 }]],
  ['the agent main started where coder was asked for', [{ ...started, agent: 'main' }]],
  ['it says something and never started', [text]],
  ['it has files and never started', [file('a')]],
  ['it was completed and never started', [ended('completed')]],
  ['a node begins nothing anew', [started, { type: 'restarted', attempt: 3 }]],
  ['it has two files "a"', [started, file('a'), file('a')]],
  ['it has more than 100 files', [started, ...Array.from({ length: 101 }, (_, at) => file(String(at)))]],
])('%s', (fault, deeds) => {
  expect(faultIn(...deeds)).toBe(fault);
});
