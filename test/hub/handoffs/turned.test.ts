import { expect, test } from 'vitest';
import { offeringNode } from '../../support/agent-node.ts';
import { eventually } from '../../support/eventually.ts';
import { startFederation } from '../../support/federation.ts';
import { eventsOf, hand, standingOf, untilState } from '../../support/handoff.ts';

const MIB = 1 << 20;

test('what is more than is kept was not heard: the events have no gap, and the end is known to a next hub, too', async () => {
  await using federation = await startFederation({ hub: { handoffs: { keepMaxBytes: MIB } } });
  const node = await offeringNode(federation, 'w1');
  const long = 'x'.repeat(200_000);
  let at = 0;
  node.onTaken = (taken) => {
    node.start(taken);
    for (; at < 12; at += 1) node.say(taken, { type: 'text', text: long });
  };
  node.mishap = (what) => {
    // Once it was told that it says too much, it says less in the place of it.
    const [, after] = /after=(\d+)$/.exec(what) ?? [];
    const [taken] = node.taken.values();
    if (after !== undefined && Number(after) > 5 && taken !== undefined && !taken.isOver) {
      taken.lines.length = Number(after);
      node.say(taken, { type: 'text', text: 'short' });
    }
    return undefined;
  };
  const { id } = await hand(federation);
  await eventually('it goes on', async () => (await standingOf(federation, id)).seq > 10);
  await federation.stopHub();
  await federation.startHub();
  await federation.untilOnline('w1');
  await federation.ask('DELETE', `/handoffs/${id}`);
  const [taken] = node.taken.values();
  await eventually('the node is told', () => taken?.isCancelled === true);
  node.end(taken!, 'done');
  await untilState(federation, id, 'completed');
  const seqs = (await eventsOf(federation, id)).map(({ seq }) => seq);
  expect(seqs).toEqual(seqs.map((_, place) => place + 1));
});

test('a node that has no room is asked for one handoff, and not for all that wait', async () => {
  await using federation = await startFederation();
  const node = await offeringNode(federation, 'w1');
  node.mishap = (what) => (what === 'POST /handoffs' ? { code: 'QUEUE_FULL' } : undefined);
  const orders = (): number => node.asked.filter((what) => what === 'POST /handoffs').length;
  await Promise.all(Array.from({ length: 30 }, () => hand(federation)));
  const first = orders();
  await eventually('it is asked again', () => orders() >= first + 2);
  node.mishap = () => undefined;
  node.onTaken = (taken) => {
    node.start(taken);
    node.end(taken, 'done');
  };
  await eventually('all are taken', () => node.taken.size === 30);
  // Each was refused once more otherwise.
  expect(orders()).toBeLessThan(first + 50);
});
