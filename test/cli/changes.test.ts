import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { addToGroup, removeFromGroup } from '#src/cli/manage/group.ts';
import { detailText } from '#src/cli/manage/history.ts';
import { allowModels, denyModels } from '#src/cli/manage/models/allow.ts';
import { drainNodes, labelNode, undrainNodes } from '#src/cli/manage/member.ts';
import { localTime } from '#src/cli/print.ts';
import type { ScriptedHub } from '../support/scripted-hub.ts';
import { scriptedHub } from '../support/scripted-hub.ts';
import { onTerminal, screen } from '../support/screen.ts';

let hub: ScriptedHub;
let seen: ReturnType<typeof screen>;

beforeEach(async () => {
  hub = await scriptedHub();
  seen = screen();
  isThere(
    'new',
    { drained: false, groups: [], labels: {}, mayOfferModels: false },
    { drained: true, groups: ['gpu'], labels: { env: 'home' } },
  );
  isThere('old', { drained: true, groups: ['gpu'], labels: { env: 'home' }, mayOfferModels: true });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await hub.close();
});

/** A member, and what it is after any change. */
function isThere(name: string, before: object, after: object = before): void {
  hub.answers.set(`GET /nodes/${name}`, { id: name, name, state: 'online', ...before });
  for (const what of ['drain', 'undrain', 'groups', 'labels', 'models/allow', 'models/deny']) {
    hub.answers.set(`POST /nodes/${name}/${what}`, { id: name, name, state: 'online', ...after });
  }
}

const flags = () => ({ home: hub.home });

test.each<[string, () => Promise<number>, string]>([
  [
    'drain',
    () => drainNodes(['new', 'old', 'new'], flags()),
    'new: left out of broadcast, exec --all and groups until: manage-federation undrain\nold: drained already\n',
  ],
  [
    'undrain',
    () => undrainNodes(['new', 'old'], flags()),
    'old: meant again by broadcast, exec --all and groups\nnew: not drained before either\n',
  ],
  [
    'group add',
    () => addToGroup('gpu', ['new', 'old'], flags()),
    'new: in @gpu; try: manage-federation exec @gpu -- uptime\nold: in @gpu already\n',
  ],
  [
    'group remove',
    () => removeFromGroup('gpu', ['new', 'old'], flags()),
    'old: not in @gpu any more\nnew: not in @gpu before either\n',
  ],
  [
    'models allow',
    () => allowModels(['new', 'old'], flags()),
    'new: may offer models: who is served by them is read there\nold: may offer models already\n',
  ],
  [
    'models deny',
    () => denyModels(['new', 'old'], flags()),
    'old: may not offer models: what it shares is for its own programs\nnew: could not offer models before either\n',
  ],
  ['label', () => labelNode('new', ['env=home'], flags()), 'new: env=home\n'],
  ['label that is there', () => labelNode('old', ['env=home'], flags()), 'old: env=home, as before\n'],
])('%s says what changed and what was so already', async (_, act, said) => {
  expect(await act()).toBe(0);
  expect(seen.stderr).toBe(said);
});

test('what is done to nodes by name is done to no group, and the line says so', async () => {
  const { length } = hub.asked;
  for (const word of ['@gpu', 'tags:gpu', 'env=home']) {
    await expect(denyModels(['old', word], flags())).rejects.toMatchObject({
      code: 'USAGE',
      message: `nodes are named one by one here, and "${word}" means many`,
    });
  }
  expect(hub.asked).toHaveLength(length);
});

test('what the audit knows is read in words and times, with ids as a person compares them', async () => {
  const at = Date.UTC(2026, 10, 21, 12);
  const detail = {
    ...{ node: 'pi', id: '1a2b'.repeat(16), expiresAt: at, token: null, labels: { env: 'home', gpu: 'no' } },
    ...{ groups: ['a', 'b'], byRules: true, uses: 1, replaced: [] },
  };
  const text = await onTerminal({ columns: 80 }, async () => detailText(detail));
  expect(text).toBe(
    `node pi, id 1a2b1a2b1a2b, expires at ${localTime(new Date(at).toISOString())}, ` +
      'labels env=home gpu=no, groups a b, by rules yes, uses 1',
  );
});
