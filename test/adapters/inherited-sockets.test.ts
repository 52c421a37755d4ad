import { describe, expect, test } from 'vitest';
import { takeInheritedSockets } from '#src/adapters/inherited-sockets.ts';

const OWN = String(process.pid);

function taken(environment: NodeJS.ProcessEnv, known: readonly string[] = ['operator', 'plugin']): object {
  return Object.fromEntries(takeInheritedSockets(known, environment));
}

test('sockets are found by their names, from descriptor 3 on', () => {
  expect(taken({ LISTEN_PID: OWN, LISTEN_FDS: '2', LISTEN_FDNAMES: 'plugin:operator' })).toEqual({
    plugin: 3,
    operator: 4,
  });
});

test('a process that was started without any has none', () => {
  expect(taken({})).toEqual({});
});

test.each([String(process.ppid), '', '0', `${OWN} `, `+${OWN}`, `${OWN}.0`, 'self'])(
  'sockets for the process %j are not ours',
  (pid) => {
    expect(taken({ LISTEN_PID: pid, LISTEN_FDS: '1', LISTEN_FDNAMES: 'operator' })).toEqual({});
  },
);

describe('what makes no sense is refused', () => {
  test.each(['', '0', '-1', '1e3', '0x1', ' 1', '1.5', '99999999999999999999', 'many', undefined])(
    'LISTEN_FDS is %j',
    (count) => {
      expect(() => taken({ LISTEN_PID: OWN, LISTEN_FDS: count, LISTEN_FDNAMES: 'operator' })).toThrow(
        expect.objectContaining({ code: 'START_FAILED' }),
      );
    },
  );

  test.each([
    ['1', ''],
    ['1', 'operator:plugin'],
    ['2', 'operator'],
    ['2', 'operator:operator'],
    ['1', 'unknown'],
    ['1', undefined],
    ['1', '__proto__'],
  ])('%s sockets have the names %j', (count, names) => {
    expect(() => taken({ LISTEN_PID: OWN, LISTEN_FDS: count, LISTEN_FDNAMES: names })).toThrow(
      expect.objectContaining({ code: 'START_FAILED' }),
    );
  });
});

test.each([
  { LISTEN_PID: OWN, LISTEN_FDS: '1', LISTEN_FDNAMES: 'operator' },
  { LISTEN_PID: '1', LISTEN_FDS: '1', LISTEN_FDNAMES: 'operator' },
  { LISTEN_PID: OWN, LISTEN_FDS: 'x' },
])('no child learns of them: %j', (variables) => {
  const environment = { ...variables, HOME: '/home/claw' };
  try {
    taken(environment);
  } catch {
    // Refused or not.
  }
  expect(environment).toEqual({ HOME: '/home/claw' });
});
