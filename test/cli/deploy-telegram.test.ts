import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { main } from '#src/cli/deploy.ts';
import { scrub } from '#src/core/secrets.ts';
import type { Plan } from '#src/deploy/action.ts';
import { bareMachine, healthyMaster } from '../support/facts.ts';
import type { FakeTools } from './deploy-tools.ts';
import { fakeTools, screen, watchScreen } from './deploy-tools.ts';

const BOT = `123456789:${'Ab_-x'.repeat(7)}`;

let folder: string;
let file: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ocf-telegram-'));
  file = join(folder, 'bot-token');
  await writeFile(file, `${BOT}\n`);
  await writeFile(join(folder, 'empty'), '\n');
  await writeFile(join(folder, 'password'), 'hunter2\n');
});
afterAll(() => rm(folder, { recursive: true }));
beforeEach(() => watchScreen());
afterEach(() => void vi.restoreAllMocks());

const run = (argv: readonly string[], tools: FakeTools): Promise<number> => main(argv, async () => tools);
const flags = (ids: string, token = file) => ['--telegram-token-file', token, '--telegram-allow', ids];

test.each<[readonly string[], RegExp, RegExp]>([
  [['--telegram-allow', '1001'], /--telegram-allow alone is not enough/, /--telegram-token-file FILE/],
  [['--telegram-token-file', 'x'], /--telegram-token-file alone is not enough/, /--telegram-allow ID/],
  [flags('@sam', 'file'), /"@sam" is no number of a person/, /@userinfobot/],
  [flags('sam', 'file'), /"sam" is no number/, /@userinfobot/],
  [flags('1001,', 'file'), /"" is no number/, /@userinfobot/],
  [flags('-1001234', 'file'), /"-1001234" is a group/, /@userinfobot/],
  [flags('1e3', 'file'), /"1e3" is no number/, /@userinfobot/],
  [flags('1001', '/nowhere/token'), /\/nowhere\/token can’t be read \(ENOENT\)/, /- for standard input/],
  [[...flags('1001', 'file'), '--light'], /--light and --telegram-token-file don’t go together/, /leave --light out/],
  [[...flags('1001', 'file'), '--foreground'], /--telegram-token-file and --foreground/, /openclaw\.json/],
])('%j is refused, and nothing is touched', async (words, problem, wayOut) => {
  const tools = fakeTools({ facts: bareMachine() });
  expect(await run(['master', ...words], tools)).toBe(2);
  const [error, hint, ...more] = screen.stderr.trimEnd().split('\n');
  expect(error).toMatch(/^error: /);
  expect(error).toMatch(problem);
  expect(hint).toMatch(/^ {2}try: /);
  expect(hint).toMatch(wayOut);
  expect([more, screen.stdout, tools.log]).toEqual([[], '', []]);
});

test.each([
  ['empty', 'is empty'],
  ['password', 'is no token of a Telegram bot'],
])('what is in the file must be a token, and is not repeated: %s', async (name, problem) => {
  const tools = fakeTools({ facts: bareMachine() });
  expect(await run(['master', '--yes', ...flags('1001', join(folder, name))], tools)).toBe(2);
  expect(screen.stderr).toContain(problem);
  expect(screen.stderr).toContain('@BotFather');
  expect(screen.stderr).not.toContain('hunter2');
  expect(tools.log).toEqual([]);
});

test('other nodes have no Telegram', async () => {
  expect(await run(['worker', 'vps', ...flags('1001')], fakeTools({ facts: bareMachine() }))).toBe(2);
  expect(screen.stderr).toContain("unknown option '--telegram-token-file'");
});

/** Deploys, and gives what was applied. */
async function applied(words: readonly string[], facts = bareMachine()) {
  let plan: Plan | null = null;
  const tools = fakeTools({ facts });
  const { apply } = tools;
  const change: Partial<FakeTools> = {
    apply(...said) {
      [plan] = said;
      return apply(...said);
    },
  };
  const code = await run(['master', '--yes', ...words], { ...tools, ...change });
  return { code, plan: plan as Plan | null };
}

test('the token goes into its file, and stands in nothing that is shown', async () => {
  const { code, plan } = await applied(flags('1001, 1002,1001'));
  expect(code).toBe(0);
  const step = plan?.steps.find(({ id }) => id === 'telegram');
  expect(step?.actions).toMatchObject([
    { do: 'write', path: '/home/sam/.openclaw/telegram-bot-token', text: `${BOT}\n`, mode: 0o600, secret: true },
    { do: 'merge', values: { 'channels.telegram.allowFrom': ['1001', '1002'] } },
  ]);
  expect(screen.stderr).toContain('at Telegram, to the bot: which machines are there?');
  expect(screen.stdout + screen.stderr).not.toContain(BOT);
});

test.each([['--dry-run'], ['--dry-run', '--json'], ['--json', '--yes']])(
  'it is not in what %s %s prints',
  async (...words) => {
    const text = 'hunter2\n';
    const path = '/home/sam/.openclaw/telegram-bot-token';
    const facts = healthyMaster({ files: [[path, { text, mode: 0o600, owner: 'sam' }]] });
    expect(await run(['master', ...flags('1001'), ...words], fakeTools({ facts }))).toBe(0);
    expect(screen.stdout).toContain('telegram');
    expect(screen.stdout + screen.stderr).not.toContain(BOT);
    expect(screen.stdout + screen.stderr).not.toContain('hunter2');
  },
);

test('what goes on where it stopped says the flags again, as it needs the token', async () => {
  const tools = fakeTools({ facts: bareMachine(), failing: 'gateway' });
  expect(await run(['master', '--yes', ...flags('1001,1002')], tools)).not.toBe(0);
  expect(screen.stderr).toContain(
    `deploy-federation master --resume --telegram-token-file ${file} --telegram-allow 1001,1002 --yes`,
  );
});

test('a second run without the flags keeps who was named', async () => {
  const record = { wanted: { telegram: ['1001'] } };
  const path = '/home/sam/.openclaw/telegram-bot-token';
  const facts = healthyMaster({ record, files: [[path, { text: `${BOT}\n`, mode: 0o600, owner: 'sam' }]] });
  const { plan } = await applied([], facts);
  expect(plan?.steps.find(({ id }) => id === 'telegram')?.actions).toMatchObject([
    { do: 'merge', values: { 'channels.telegram.allowFrom': ['1001'] } },
  ]);
});

test('a token that got into a text is cut from it', () => {
  expect(scrub(`GET /bot${BOT}/getMe`)).toBe('GET /bot[secret]/getMe');
  expect(scrub('vps.tail.example:19000, 100.64.0.1:19000, 12:30:59')).toBe(
    'vps.tail.example:19000, 100.64.0.1:19000, 12:30:59',
  );
});
