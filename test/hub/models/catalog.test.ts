import { expect, test } from 'vitest';
import type { OfferedModel } from '#src/core/models/catalog.ts';
import { anAsk, anOffer, aSite, ended, NEVER, NOBODY } from '../../support/models.ts';
import { randomNumbers } from '../../support/random.ts';

const NAMES = ['w1', 'w2', 'meta'];
const IDS = ['llama', 'meta/llama', 'w1/llama', 'w1/meta/llama', 'qwen:8b'];

test('whoever comes, goes and changes its offers: what is listed is what is offered, and all that is listed is served', async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = randomNumbers(seed);
    const pick = <T>(all: readonly T[]): T => all[Math.floor(random() * all.length)]!;
    const site = aSite();
    const offered = new Map<string, readonly OfferedModel[]>();
    for (let step = 0; step < 30; step++) {
      site.pass(2000);
      const name = pick(NAMES);
      if (random() < 0.3 && offered.has(name)) {
        site.leave(name);
        offered.delete(name);
      } else {
        const models = IDS.filter(() => random() < 0.4).map((id) => anOffer({ id, concurrency: 100 }));
        site.join(name, models);
        offered.set(name, models);
      }

      for (const id of IDS) {
        const who = [...offered].filter(([, models]) => models.some((model) => model.id === id)).map(([node]) => node);
        const found = site.offers
          .offering(id)
          .map(({ nodeId }) => Buffer.from(nodeId, 'hex').toString().replaceAll('\0', ''));
        expect(found.toSorted()).toEqual(who.toSorted());
      }
      const listed = site.router.models(anAsk().consumer);
      expect(new Set(listed.map(({ id }) => id)).size).toBe(listed.length);
      const pins = [...offered].flatMap(([node, models]) => models.map(({ id }) => `${node}/${id}`));
      expect(pins.filter((pin) => !listed.some(({ id }) => id === pin))).toEqual([]);
      for (const { id, kind, nodes } of listed) {
        const attempt = await site.router.next(anAsk({ model: id }), NOBODY, NEVER);
        attempt.end(ended());
        expect(nodes).toContain(attempt.node.name);
        // A pin is kept, whatever others call their models.
        expect([id, kind === 'pinned' ? id.split('/')[0] : attempt.node.name]).toEqual([id, attempt.node.name]);
      }
    }
  }
});
