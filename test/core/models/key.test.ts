import { expect, test } from 'vitest';
import type { ModelBudget, ModelKey } from '#src/core/models/key.ts';
import { budgetText, isForModel, isGood, lackingBudget, nothingSpent, spend, spentIn } from '#src/core/models/key.ts';
import { scrub } from '#src/core/secrets.ts';

const at = (text: string): number => Date.parse(text);
const NOON = at('2026-11-21T12:00:00Z');

test('what is spent counts in its day, its month and for ever', () => {
  let spending = spend(nothingSpent('k'), { tokens: 10, requests: 1 }, NOON);
  spending = spend(spending, { tokens: 5, requests: 1 }, NOON + 1);
  expect(spending).toEqual({
    ...{ id: 'k', day: '2026-11-21' },
    ofDay: { tokens: 15, requests: 2 },
    ofMonth: { tokens: 15, requests: 2 },
    total: { tokens: 15, requests: 2 },
  });
  const nextDay = spend(spending, { tokens: 1, requests: 1 }, at('2026-11-22T00:00:00Z'));
  expect([nextDay.ofDay.tokens, nextDay.ofMonth.tokens, nextDay.total.tokens]).toEqual([1, 16, 16]);
  const nextMonth = spend(nextDay, { tokens: 2, requests: 1 }, at('2026-12-01T00:00:00Z'));
  expect([nextMonth.ofDay.tokens, nextMonth.ofMonth.tokens, nextMonth.total.tokens]).toEqual([2, 2, 18]);
  const sameDayNextYear = at('2027-11-21T12:00:00Z');
  expect(spentIn(spending, 'month', sameDayNextYear).tokens).toBe(0);
  expect(spentIn(spending, 'total', sameDayNextYear).tokens).toBe(15);
});

test.each<[ModelBudget, number, number, 'room' | 'held' | 'spent']>([
  [{ amount: 100, unit: 'tokens', per: 'day' }, 0, 0, 'room'],
  [{ amount: 100, unit: 'tokens', per: 'day' }, 99, 0, 'room'],
  [{ amount: 100, unit: 'tokens', per: 'day' }, 100, 0, 'spent'],
  [{ amount: 100, unit: 'tokens', per: 'day' }, 50, 40, 'room'],
  [{ amount: 100, unit: 'tokens', per: 'day' }, 50, 41, 'held'],
  [{ amount: 5, unit: 'tokens', per: 'total' }, 0, 0, 'room'],
])('a budget of %j with %i spent and %i held has room or not', (budget, spent, held, expected) => {
  const spending = spend(nothingSpent('k'), { tokens: spent, requests: 0 }, NOON);
  const wanted = { tokens: 10, requests: 1 };
  const lacking = lackingBudget({ budgets: [budget] }, spending, { tokens: held, requests: 1 }, wanted, NOON);
  expect(lacking === null ? 'room' : lacking.isSpent ? 'spent' : 'held').toBe(expected);
});

test('the first of several budgets that has no room is named', () => {
  const budgets: ModelBudget[] = [
    { amount: 1000, unit: 'tokens', per: 'month' },
    { amount: 1, unit: 'requests', per: 'day' },
  ];
  const spending = spend(nothingSpent('k'), { tokens: 1, requests: 1 }, NOON);
  const none = { tokens: 0, requests: 0 };
  expect(lackingBudget({ budgets }, spending, none, none, NOON)?.budget).toBe(budgets[1]);
  expect(budgets.map(budgetText)).toEqual(['1000 tokens a month', '1 requests a day']);
});

test('a key is for what its patterns say, and for no name at all where it is for all', () => {
  const key = { models: ['qwen*', 'box/*'] };
  const names = ['qwen3:8b', 'box/llama', 'llama', 'my-qwen', ''];
  expect(names.map((name) => isForModel(key, name))).toEqual([true, true, false, false, false]);
  expect(isForModel({ models: ['*'] }, '')).toBe(true);
  expect(isForModel({ models: [] }, 'qwen')).toBe(false);
});

test('a key is good until it is revoked or over', () => {
  const key = { revokedAt: null, expiresAt: null } as ModelKey;
  expect(isGood(key, NOON)).toBe(true);
  expect(isGood({ ...key, expiresAt: NOON }, NOON - 1)).toBe(true);
  expect(isGood({ ...key, expiresAt: NOON }, NOON)).toBe(false);
  expect(isGood({ ...key, revokedAt: 1 }, NOON)).toBe(false);
});

test('a key is cut from whatever is printed', () => {
  expect(scrub(`key ocfm_${'a-_9'.repeat(10)}abc, and on`)).toBe('key [secret], and on');
});
