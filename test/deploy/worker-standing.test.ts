import { expect, test } from 'vitest';
import { workerStandingIn } from '#src/deploy/worker-standing.ts';

const LEAST = { pid: 1, id: 'b2', name: 'pi', fingerprint: 'b2b2', hub: 'vps:19000', link: 'member' };

test('a record of an earlier worker says nothing of what it did not know', () => {
  const silent = { held: null, problem: null, nodeHost: null, nodeHostProblem: null };
  expect(workerStandingIn(JSON.stringify(LEAST))).toEqual({ ...LEAST, ...silent });
});

test('a word of a later worker that is not known here hides nothing else that it says', () => {
  const record = { ...LEAST, nodeHost: 'resting', more: 1, problem: { code: 'NEW_CODE', message: 'so it is' } };
  expect(workerStandingIn(JSON.stringify(record))).toMatchObject({
    link: 'member',
    nodeHost: null,
    problem: { code: 'INTERNAL', message: 'so it is' },
  });
});

test.each(['', 'null', '{"link":', '[]', JSON.stringify({ ...LEAST, link: 'resting' })])('%j is no record', (text) => {
  expect(workerStandingIn(text)).toBeNull();
});
