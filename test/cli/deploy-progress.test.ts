import { afterEach, expect, test, vi } from 'vitest';
import { showProgress } from '#src/cli/deploy/progress.ts';
import { screen, watchScreen } from './deploy-tools.ts';

afterEach(() => void vi.restoreAllMocks());

const STEPS = ['a', 'b', 'c'].map((id) => ({ id, title: `${id} is so` }));
const SECRET = `ocf1.${'a'.repeat(64)}.${'s'.repeat(43)}`;

/** Without what steers the terminal. */
function shown(): string {
  // oxlint-disable-next-line no-control-regex -- escape sequences are what is cut out
  return screen.stderr.replaceAll(/\u001b\[[0-9;?]*[A-Za-z]/g, '');
}

async function goThrough(): Promise<void> {
  const progress = showProgress(STEPS, false);
  progress.step('a', 'begun');
  progress.step('a', 'done');
  progress.step('b', 'begun');
  // The list has to come to it.
  await new Promise((resolve) => setImmediate(resolve));
  progress.line(`fetching \u001b[2J with ${SECRET}`);
  progress.step('b', 'failed');
  progress.step('unheard-of', 'begun');
  await progress.close();
}

test('in a pipe each step is a line when it ends, and what is said meanwhile stands below its name', async () => {
  watchScreen();
  await goThrough();
  expect(screen.stderr).toMatchInlineSnapshot(`
    "done    a is so
    ...     b is so
            fetching ␛[2J with [secret]
    FAILED  b is so
    "
  `);
  expect(screen.stdout).toBe('');
});

test('on a terminal what was not reached stays open in the list, and nothing steers it or tells a secret', async () => {
  watchScreen(60);
  await goThrough();
  const lines = shown().split('\n').slice(-4);
  expect(lines).toEqual(['✔ a is so', '✖ b is so', '◼ c is so', '']);
  expect(shown()).not.toContain(SECRET);
  expect(screen.stderr).not.toContain('\u001b[2J');
  expect(screen.stdout).toBe('');
});

test('asked for silence it says nothing', async () => {
  watchScreen(60);
  const progress = showProgress(STEPS, true);
  progress.step('a', 'begun');
  progress.line('x');
  await progress.close();
  expect(screen).toEqual({ stdout: '', stderr: '' });
});
