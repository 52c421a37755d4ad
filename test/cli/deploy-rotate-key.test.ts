import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { main } from '#src/cli/deploy.ts';
import { FederationError } from '#src/core/errors.ts';
import type { rotateKey } from '#src/deploy/rotate-key.ts';
import { healthyMaster } from '../support/facts.ts';
import { fakeTools, screen, watchScreen } from './deploy-tools.ts';

beforeEach(() => watchScreen());
afterEach(() => void vi.restoreAllMocks());

async function rotated(argv: readonly string[], failing?: typeof rotateKey) {
  const facts = healthyMaster({});
  const tools = fakeTools({ facts, ...(failing === undefined ? {} : { change: { rotateKey: failing } }) });
  const code = await main(['rotate-key', ...argv], async () => tools);
  return { code, log: tools.log, facts };
}

test('the worker of the deployment gets a new key, and both are shown', async () => {
  const { code, log, facts } = await rotated([]);
  expect({ code, stdout: screen.stdout }).toEqual({
    code: 0,
    stdout: 'pi: 1111-2222-3333-4444 is 5555-6666-7777-8888 now\n',
  });
  expect(screen.stderr).toBe('the hub is asked\n');
  expect(log).toContain(`rotate the key of ${facts.place.workerHome} as ${facts.person.name} on this machine`);
});

test('another machine, home and user are taken by their names', async () => {
  const { log } = await rotated(['--ssh', 'pi@10.0.0.5', '--home', '/data', '--run-as', 'sam', '--yes', '--json']);
  expect(log).toEqual([
    'reach pi@10.0.0.5',
    'gather any sam',
    expect.stringMatching(/^rotate the key of \/data as \w+ on pi@10\.0\.0\.5, ending what runs$/),
    'close',
  ]);
  expect(JSON.parse(screen.stdout)).toEqual({
    name: 'pi',
    before: '1111-2222-3333-4444',
    after: '5555-6666-7777-8888',
  });
  expect(screen.stderr).toBe('');
});

test('a home of another machine is named whole', async () => {
  const { code, log } = await rotated(['--ssh', 'pi@10.0.0.5', '--home', 'data']);
  expect({ code, log: log.filter((line) => line.startsWith('rotate')) }).toEqual({ code: 2, log: [] });
  expect(screen.stderr).toMatch(/^error: --home is no absolute path.*\n {2}try: name it whole/);
});

test('what runs there is ended by the same command with --yes', async () => {
  const { code } = await rotated(['--ssh', 'pi@10.0.0.5', '--home', '/my data'], () =>
    Promise.reject(new FederationError('CONFIRMATION_NEEDED', 'a command runs here, and would be ended')),
  );
  expect({ code, stderr: screen.stderr }).toEqual({
    code: 2,
    stderr:
      'error: a command runs here, and would be ended\n' +
      "  try: wait for the end, or: deploy-federation rotate-key --home '/my data' --ssh pi@10.0.0.5 --yes\n",
  });
});

test('Ctrl-C says that what has begun goes on', async () => {
  const { code } = await rotated([], async (_machine, _wish, signal) => {
    process.emit('SIGINT');
    signal.throwIfAborted();
    throw new Error('not aborted');
  });
  expect({ code, stderr: screen.stderr }).toEqual({
    code: 130,
    stderr: 'stopped waiting; a change that has begun comes to its end: deploy-federation doctor\n',
  });
});
