import { expect, test } from 'vitest';
import { offeringNode } from '../../support/agent-node.ts';
import { eventually } from '../../support/eventually.ts';
import { startFederation } from '../../support/federation.ts';
import { hand, handoffWish, standingOf, untilState } from '../../support/handoff.ts';

test('a lockdown ends what waits, what is queued and what runs, and nothing is begun before it is lifted', async () => {
  await using federation = await startFederation({ hub: { hub: { onward: true } } });
  const node = await offeringNode(federation, 'w1');
  const away = await offeringNode(federation, 'w2');
  await away.node.stop();
  await eventually('w2 is away', async () => !(await federation.isOnline('w2')));
  node.onTaken = (taken) => {
    if (taken.order.task === 'run') node.start(taken);
  };
  const running = await hand(federation, { task: 'run' });
  await untilState(federation, running.id, 'started');
  const queued = await hand(federation, { task: 'queue' });
  await eventually('it is queued', () => node.taken.has(queued.id));
  const waiting = await hand(federation, { target: 'w2' });
  await federation.post('/lockdown', { reason: 'drill' });
  await untilState(federation, waiting.id, 'cancelled');
  for (const { id } of [running, queued]) {
    const taken = node.taken.get(id)!;
    await eventually(`${id} is told`, () => taken.isCancelled);
    taken.isOver = true;
    node.say(taken, { type: 'ended', outcome: 'cancelled', text: '', problem: 'locked down', usage: null });
    await untilState(federation, id, 'cancelled');
  }
  expect((await standingOf(federation, waiting.id)).problem).toContain('drill');
  const answers = [
    await federation.ask('POST', '/handoffs', handoffWish()),
    await federation.ask('POST', '/messages', { key: 'm', target: 'w1', message: 'hello' }),
  ];
  expect(answers.map(({ json }) => (json as { code: string }).code)).toEqual(['LOCKED_DOWN', 'LOCKED_DOWN']);
  await federation.post('/lockdown/lift');
  const after = await hand(federation, { task: 'run' });
  await untilState(federation, after.id, 'started');
  expect([...node.taken.keys()]).toEqual([running.id, queued.id, after.id]);
});
