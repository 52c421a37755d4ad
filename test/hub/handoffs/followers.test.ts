import type { IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { offeringNode } from '../../support/agent-node.ts';
import { eventually } from '../../support/eventually.ts';
import type { Federation } from '../../support/federation.ts';
import { startFederation } from '../../support/federation.ts';
import { hand, standingOf, untilState } from '../../support/handoff.ts';
import { open } from '../../support/http.ts';

/** Follows it; resolves when the hub has said how it stands. */
async function follow(federation: Federation, id: string): Promise<IncomingMessage> {
  const path = `/api/v1/handoffs/${id}/events`;
  const response = await open({ socketPath: federation.hub.operator, path });
  await new Promise((resolve) => response.once('data', resolve));
  response.on('error', () => undefined).resume();
  return response;
}

async function begun(cancelOnDisconnect: boolean) {
  const federation = await startFederation();
  const node = await offeringNode(federation, 'w1');
  node.onTaken = (taken) => node.start(taken);
  const { id } = await hand(federation, { cancelOnDisconnect });
  await untilState(federation, id, 'started');
  return { federation, node, id, isCancelled: () => node.taken.get(id)!.isCancelled };
}

test('it ends with the last who follows it, and not before', async () => {
  const { federation, node, id, isCancelled } = await begun(true);
  await using _ = federation;
  const first = await follow(federation, id);
  const second = await follow(federation, id);
  first.destroy();
  // Whoever comes before the other is gone keeps it alive.
  const third = await follow(federation, id);
  second.destroy();
  node.say(node.taken.get(id)!, { type: 'text', text: 'still here' });
  await eventually('it is heard', async () => (await standingOf(federation, id)).seq === 2);
  expect(await standingOf(federation, id)).toMatchObject({ state: 'started', cancelling: false });
  third.destroy();
  await eventually('its node is told', isCancelled);
  const taken = node.taken.get(id)!;
  taken.isOver = true;
  node.say(taken, { type: 'ended', outcome: 'cancelled', text: '', problem: null, usage: null });
  await untilState(federation, id, 'cancelled');
  const records = await federation.get<{ action: string; detail: { id: string } }[]>('/audit?limit=50');
  expect(records.filter(({ action }) => action === 'handoff.cancel').map(({ detail }) => detail.id)).toEqual([id]);
});

test('one that is to go on does so when nobody follows it', async () => {
  const { federation, node, id, isCancelled } = await begun(false);
  await using _ = federation;
  (await follow(federation, id)).destroy();
  node.end(node.taken.get(id)!, 'done');
  await untilState(federation, id, 'completed');
  expect(isCancelled()).toBe(false);
});

test('a hub that stops is not somebody who left', async () => {
  const { federation, node, id, isCancelled } = await begun(true);
  await using _ = federation;
  await follow(federation, id);
  await federation.restartHub();
  await federation.untilOnline('w1');
  node.end(node.taken.get(id)!, 'done');
  expect(await untilState(federation, id, 'completed')).toMatchObject({ cancelling: false, attempt: 1 });
  expect(isCancelled()).toBe(false);
});

test('who has more than the hub has got, hears nothing of it a second time', async () => {
  const { federation, node, id } = await begun(false);
  await using _ = federation;
  const path = `/api/v1/handoffs/${id}/events?after=3`;
  const response = await open({ socketPath: federation.hub.operator, path });
  const heard = text(response);
  const taken = node.taken.get(id)!;
  for (const said of ['known', 'known too', 'news']) node.say(taken, { type: 'text', text: said });
  await eventually('all is there', async () => (await standingOf(federation, id)).seq === 4);
  node.end(taken, 'done');
  const ids = [...(await heard).matchAll(/^id: (\d+)$/gm)].map(([, seq]) => seq);
  expect(ids).toEqual(['4', '5']);
});
