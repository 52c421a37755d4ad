import { EventEmitter } from 'node:events';
import { expect, test } from 'vitest';
import type { Fleet } from '#src/hub/fleet/fleet.ts';
import { createOfferDoor } from '#src/hub/fleet/offer-door.ts';

function opened() {
  const fleet = { link: () => undefined, changes: new EventEmitter() } as unknown as Pick<Fleet, 'link' | 'changes'>;
  const clock = { now: 0 };
  const door = createOfferDoor({ fleet, tooOften: 'QUEUE_FULL', now: () => clock.now });
  const down = (): void => void fleet.changes.emit('down', { nodeId: 'a' } as never);
  return { door, clock, down };
}

test('a node may say twenty times a minute what it offers, and a link that is new gives it no more', () => {
  const { door, clock, down } = opened();
  for (let times = 0; times < 20; times += 1) door.knock('a');
  expect(() => door.knock('a')).toThrow('too often');
  down();
  expect(() => door.knock('a')).toThrow('too often');
  door.knock('b');
  clock.now = 120_000;
  down();
  for (let times = 0; times < 20; times += 1) door.knock('a');
  expect(() => door.knock('a')).toThrow('too often');
});

test('the credential of a link that is not up says nothing', () => {
  const { door } = opened();
  expect(() => door.check('a', 1)).toThrow('not up');
});
