import { expect, test } from 'vitest';
import { ERROR_CODES, errorBody, exitCodeOf, FederationError } from '#src/core/errors.ts';
import type { ExitRecord, Outcome, Summary } from '#src/core/outcome.ts';
import { broadcastExitCode, execExitCode, OUTCOMES, outcomeOf, summarize } from '#src/core/outcome.ts';

const EXIT: ExitRecord = {
  exitCode: 0,
  signal: null,
  ended: 'itself',
  durationMs: 1,
  stdoutBytes: 0,
  stderrBytes: 0,
  truncated: false,
  survivors: 0,
};

test.each<[Partial<ExitRecord>, Outcome]>([
  [{}, 'ok'],
  [{ exitCode: 1 }, 'failed'],
  [{ exitCode: 127, spawnError: 'no such program' }, 'failed'],
  [{ exitCode: null }, 'failed'],
  [{ exitCode: null, signal: 'SIGKILL' }, 'signaled'],
  [{ ended: 'timeout' }, 'timeout'],
  [{ ended: 'timeout', exitCode: null, signal: 'SIGTERM' }, 'timeout'],
  [{ ended: 'cancelled' }, 'cancelled'],
  [{ ended: 'hub-lost', exitCode: 0 }, 'cancelled'],
  [{ ended: 'revoked', exitCode: 0 }, 'cancelled'],
])('an exit record of %j is %s', (changed, outcome) => {
  expect(outcomeOf({ ...EXIT, ...changed })).toBe(outcome);
});

test.each<[Outcome, number | null, string | null, number]>([
  ['ok', 0, null, 0],
  ['failed', 1, null, 1],
  ['failed', 126, null, 126],
  ['failed', 253, null, 253],
  // 254 and 255 say something else
  ['failed', 254, null, 253],
  ['failed', 255, null, 253],
  ['failed', null, null, 1],
  ['timeout', null, 'SIGKILL', 124],
  ['cancelled', null, 'SIGTERM', 130],
  ['unknown', null, null, 254],
  ['unreachable', null, null, 255],
  ['denied', null, null, 255],
  ['skipped', null, null, 255],
])('exec on one node that is %s with %s and %s exits with %i', (outcome, exitCode, signal, expected) => {
  expect(execExitCode({ outcome, exitCode, signal })).toBe(expected);
});

test.each([
  ['SIGHUP', 129],
  ['SIGABRT', 134],
  ['SIGBUS', 135],
  ['SIGKILL', 137],
  ['SIGUSR1', 138],
  ['SIGSEGV', 139],
  ['SIGTERM', 143],
  ['SIGXCPU', 152],
  ['SIGSYS', 159],
  ['SIGWHATEVER', 128],
])('a command that %s ended exits with %i, as in a shell', (signal, expected) => {
  expect(execExitCode({ outcome: 'signaled', exitCode: null, signal })).toBe(expected);
});

test.each<[Summary, number]>([
  [{}, 0],
  [{ ok: 3 }, 0],
  [{ ok: 3, failed: 1 }, 1],
  [{ ok: 3, signaled: 1 }, 1],
  [{ failed: 9, unreachable: 1 }, 4],
  [{ failed: 1, unknown: 1 }, 4],
  [{ ok: 9, timeout: 1 }, 4],
  [{ unknown: 1, skipped: 1 }, 5],
  [{ skipped: 1, denied: 1 }, 6],
  [{ denied: 1, cancelled: 1 }, 130],
  [{ ok: 0, failed: 0, denied: 0 }, 0],
])('a broadcast that ends with %j exits with %i', (summary, expected) => {
  expect(broadcastExitCode(summary)).toBe(expected);
});

test('no outcome but ok lets any command end with 0', () => {
  for (const outcome of OUTCOMES) {
    const silent = outcome === 'ok';
    expect(broadcastExitCode({ ok: 5, [outcome]: 1 }) === 0).toBe(silent);
    expect(execExitCode({ outcome, exitCode: silent ? 0 : null, signal: null }) === 0).toBe(silent);
  }
});

test('a summary counts every part once', () => {
  const parts = OUTCOMES.flatMap((outcome, at) => Array.from({ length: at }, () => ({ outcome })));
  const summary = summarize(parts);
  expect(Object.values(summary).reduce((sum, count) => sum + count, 0)).toBe(parts.length);
  expect('ok' in summary).toBe(false);
});

test('an error ends a command with 1 for this machine, 3 for a target and 2 for wrong use', () => {
  const byExit = Map.groupBy(ERROR_CODES, exitCodeOf);
  expect(byExit.get(3)).toEqual([
    ...['NODE_NOT_FOUND', 'REQUEST_NOT_FOUND', 'JOB_NOT_FOUND', 'NOT_FOUND'],
    ...[
      'PATH_NOT_FOUND',
      'MODEL_NOT_FOUND',
      'AGENT_NOT_FOUND',
      'HANDOFF_NOT_FOUND',
      'NODE_AMBIGUOUS',
      'NOTHING_MATCHED',
    ],
  ]);
  expect(byExit.get(1)).toEqual(
    expect.arrayContaining(['HUB_UNREACHABLE', 'PORT_IN_USE', 'HOME_UNUSABLE', 'INTERNAL']),
  );
  expect(byExit.get(2)).toEqual(expect.arrayContaining(['USAGE', 'SETTINGS_INVALID', 'TOKEN_INVALID', 'NAME_TAKEN']));
  expect(byExit.size).toBe(3);
});

test('of a bug nothing crosses a wire, and of a refusal never its cause', () => {
  expect(errorBody(new TypeError('secret of the inside'))).toEqual({ code: 'INTERNAL', message: 'internal error' });
  const refusal = new FederationError('NAME_TAKEN', 'taken', { hint: 'another', cause: new Error('inside') });
  expect(errorBody(refusal)).toEqual({ code: 'NAME_TAKEN', message: 'taken', hint: 'another' });
});
