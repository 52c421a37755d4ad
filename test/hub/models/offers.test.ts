import { expect, test } from 'vitest';
import { anAsk, anOffer, aSite } from '../../support/models.ts';

test('an offer goes with the link that it came by', () => {
  const site = aSite();
  const w1 = site.join('w1', [anOffer(), anOffer({ id: 'qwen' })]);
  site.join('w2', [anOffer()]);
  expect(site.offers.offering('llama').map(({ nodeId }) => nodeId)).toHaveLength(2);
  expect(() => site.offers.put(w1.id, 99, [anOffer()])).toThrow('this credential is of a link that is not up');
  site.leave('w1');
  expect(site.offers.of(w1.id)).toEqual([]);
  expect([...site.offers.modelIds()]).toEqual(['llama']);
  expect(site.offers.lost('qwen')).toEqual([w1.id]);
  expect(() => site.offers.put(w1.id, 1, [anOffer()])).toThrow('this credential is of a link that is not up');
  site.join('w1', []);
  expect(site.offers.lost('qwen')).toEqual([]);
});

test('what a node says last is all that it offers', () => {
  const site = aSite();
  const w1 = site.join('w1', [anOffer(), anOffer({ id: 'qwen' })]);
  const heard: string[] = [];
  site.offers.changes.on('offer', (nodeId) => heard.push(nodeId));
  site.offers.put(w1.id, 1, [anOffer({ id: 'new' })]);
  expect([...site.offers.modelIds()]).toEqual(['new']);
  expect(heard).toEqual([w1.id]);
  expect(site.router.models(anAsk().consumer).map(({ id }) => id)).toEqual(['new', 'w1/new']);
});

test('a node that says all the time what it offers is slowed down, and no other is', () => {
  const site = aSite();
  const [w1, w2] = [site.join('w1', []), site.join('w2', [])];
  const knock = () => site.offers.knock(w1.id);
  for (let at = 0; at < 20; at++) knock();
  expect(knock).toThrow('this node says too often what it offers');
  site.offers.knock(w2.id);
  site.pass(3000);
  knock();
  // A new link is no new patience.
  site.leave('w1');
  site.join('w1', []);
  expect(knock).toThrow('this node says too often what it offers');
});
