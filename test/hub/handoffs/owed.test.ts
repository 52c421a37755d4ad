import { EventEmitter } from 'node:events';
import { expect, test } from 'vitest';
import type { HandoffRecord } from '#src/core/handoff/record.ts';
import type { Book } from '#src/hub/handoffs/book.ts';
import type { AgentNodes } from '#src/hub/handoffs/nodes.ts';
import { tellWhatIsOver } from '#src/hub/handoffs/owed.ts';
import type { Link } from '#src/link/accept.ts';
import { eventually } from '../../support/eventually.ts';
import { SILENT_LOG } from '../../support/member.ts';

test('a node that can’t be told of one that is over is told of the others, and of that one when it is back', async () => {
  const records = new Map(['a', 'b', 'c'].map((id) => [id, { id, owed: ['w1'] } as unknown as HandoffRecord]));
  const told: string[] = [];
  let fails = true;
  const book = {
    all: () => records.values(),
    get: (id: string) => records.get(id),
    change: async (id: string, decide: (record: HandoffRecord) => { next: HandoffRecord }) =>
      records.set(id, decide(records.get(id)!).next),
    changes: new EventEmitter(),
  } as unknown as Book;
  const link = { nodeId: 'w1' } as Link;
  const nodes = { link: () => link, member: (id: string) => ({ id }) } as unknown as AgentNodes;
  const changes = new EventEmitter<{ up: [Link] }>();
  const calls = {
    cancel(_link: Link, id: string) {
      if (id === 'a' && fails) return Promise.reject(new Error('it does not answer'));
      told.push(id);
      return Promise.resolve({} as never);
    },
  };
  const stopping = new AbortController();
  tellWhatIsOver(book, nodes, { changes }, calls, SILENT_LOG, stopping.signal);
  await eventually('the others are told', () => told.length === 2);
  expect(told).toEqual(['b', 'c']);
  fails = false;
  changes.emit('up', link);
  await eventually('that one is told', () => told.includes('a'));
  await eventually('nothing is owed', () => [...records.values()].every(({ owed }) => owed.length === 0));
  stopping.abort();
});
