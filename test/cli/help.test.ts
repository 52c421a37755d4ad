import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { main as autoRegister } from '#src/cli/auto-register.ts';
import { main as deploy } from '#src/cli/deploy.ts';
import { main as manage } from '#src/cli/manage.ts';
import { onTerminal, screen } from '../support/screen.ts';

let seen: ReturnType<typeof screen>;
beforeEach(() => {
  process.stdout.setMaxListeners(200);
  seen = screen();
});
afterEach(() => vi.restoreAllMocks());

const PROGRAMS = { manage, deploy, autoRegister };

const ALL: readonly [keyof typeof PROGRAMS, readonly string[]][] = [
  ...[
    [],
    ['token', 'create'],
    ['login'],
    ['group'],
    ['exec'],
    ['broadcast'],
    ['approve'],
    ['operators'],
    ['models'],
    ['models', 'share'],
    ['models', 'route'],
    ['models', 'key', 'create'],
    ['models', 'usage'],
    ['handoff'],
    ['handoff', 'start'],
    ['handoff', 'fetch'],
  ].map((words) => ['manage', words] as [keyof typeof PROGRAMS, readonly string[]]),
  ['autoRegister', []],
  ['deploy', []],
  ['deploy', ['worker']],
];

const tooLong = (width: number) => seen.stdout.split('\n').filter((line) => line.length > width);

test.each(ALL)('the help of %s %j fits 60 and 80 columns, and 80 in a pipe', async (program, words) => {
  for (const columns of [60, 80]) {
    seen.stdout = '';
    expect(await onTerminal({ columns }, () => PROGRAMS[program]([...words, '--help']))).toBe(0);
    expect(tooLong(columns)).toEqual([]);
  }
  seen.stdout = '';
  expect(await PROGRAMS[program]([...words, '--help'])).toBe(0);
  expect(tooLong(80)).toEqual([]);
});

test('a long example is broken as a shell takes it, and never inside of quotes', async () => {
  await onTerminal({ columns: 60 }, () => manage(['login', '--help']));
  expect(seen.stdout).toContain(
    '  manage-federation login vps.tail.example --name laptop \\\n      --hub-key 896f-3850-0352-d5be\n',
  );
  seen.stdout = '';
  await onTerminal({ columns: 60 }, () => manage(['exec', '--help']));
  expect(seen.stdout).toContain('"docker ps | wc -l"');
});

test('on a narrow terminal what a long term means stands below it', async () => {
  await onTerminal({ columns: 60 }, () => manage(['--help']));
  expect(seen.stdout).toMatch(/\n {2}exec <node> -- <program> \[arguments\.\.\.\]\n {6}run a command on one node/);
});
