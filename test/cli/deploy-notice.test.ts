import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { main } from '#src/cli/deploy.ts';
import { bareMachine } from '../support/facts.ts';
import { fakeTools, screen, watchScreen } from './deploy-tools.ts';

const stdin = process.stdin.isTTY;

beforeEach(() => {
  watchScreen();
  vi.useFakeTimers();
});
afterEach(() => {
  process.stdin.isTTY = stdin;
  vi.useRealTimers();
  vi.restoreAllMocks();
});

test.each([
  [true, ''],
  [false, 'connecting to pi@10.0.0.5\n'],
])('while ssh connects, nothing is said where it may ask a person (terminal: %j)', async (isTTY, said) => {
  process.stdin.isTTY = isTTY;
  const tools = fakeTools({ facts: bareMachine() });
  const reach: typeof tools.reach = async (target, signal) => {
    await vi.advanceTimersByTimeAsync(5000);
    return tools.reach(target, signal);
  };
  await main(['uninstall', '--ssh', 'pi@10.0.0.5'], async () => ({ ...tools, reach }));
  expect(screen.stderr).toBe(`${said}nothing is deployed here\n`);
});
