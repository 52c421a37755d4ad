import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { main as manage } from '#src/cli/manage.ts';
import { localTime } from '#src/cli/print.ts';
import type { AgentView, MessageView } from '#src/protocol/handoffs.ts';
import type { HandoffHub } from '../support/handoff-hub.ts';
import { HANDOFF, HANDOFF_NODE, handoffHub } from '../support/handoff-hub.ts';
import { onTerminal, screen } from '../support/screen.ts';

let hub: HandoffHub;
let folder: string;
let seen: ReturnType<typeof screen>;

beforeAll(async () => {
  process.stdout.setMaxListeners(200);
  vi.useFakeTimers({ now: Date.UTC(2026, 10, 21, 12, 3), toFake: ['Date'] });
  folder = await mkdtemp(join(tmpdir(), 'ocf-handoff-cli-'));
  await writeFile(join(folder, 'text'), 'x');
  await writeFile(join(folder, 'bytes'), Buffer.from([0xff, 0xfe]));
  await writeFile(join(folder, 'huge'), Buffer.alloc((4 << 20) + 1));
  await symlink('/dev/zero', join(folder, 'zero'));
  await writeFile(join(folder, '.hidden'), 'x');
});
afterAll(() => rm(folder, { recursive: true }));
beforeEach(async () => {
  hub = await handoffHub();
  seen = screen();
});
afterEach(async () => {
  vi.restoreAllMocks();
  await hub[Symbol.asyncDispose]();
});

const run = (...argv: readonly string[]) => manage(['--home', hub.home, ...argv]);

test('list shows what is kept, and for a program all of it', async () => {
  hub.stand({ position: 3, task: 'look \u001b[31m\nat it' });
  hub.answers.set('GET /handoffs?limit=5', [hub.view()]);
  await onTerminal({ columns: 100 }, () => run('handoff', 'list', '--limit', '5'));
  expect(seen.stdout).toMatchInlineSnapshot(`
    "HANDOFF                     STATE             TO    BEGUN      BY        TASK
    01KAFZ3V9Q0000000000000001  waiting, place 3  home  3 min ago  operator  look ␛[31m at it
    "
  `);
  seen.stdout = '';
  await run('--json', 'handoff', 'list', '--limit', '5');
  expect(JSON.parse(seen.stdout)).toEqual([hub.view()]);
  hub.answers.set('GET /handoffs?limit=20', []);
  await run('handoff', 'list');
  expect(seen.stderr).toBe('no handoffs yet; who takes them: manage-federation agents\n');
});

test('show tells all of one, and its answer below', async () => {
  hub.say({ type: 'started', attempt: 1, agent: 'main' });
  hub.give('report.pdf', 'x');
  hub.end('failed', { text: 'I found it.', problem: 'the model went away' });
  hub.stand({ usage: { input: 10, output: 2 }, parent: HANDOFF, attempt: 2 });
  expect(await run('handoff', 'show', HANDOFF)).toBe(0);
  // Wherever the clock that it is shown by stands.
  const times = ['00', '01', '02'].map((second) => localTime(`2026-11-21T12:00:${second}.000Z`));
  const shown = times.reduce((text, time, at) => text.replace(time, `time ${at}`), seen.stdout);
  expect(shown).toMatchInlineSnapshot(`
    "handoff      01KAFZ3V9Q0000000000000001
    state        failed: the model went away
    to           home/main
    named as     home
    by           operator
    task         look
    handed over  time 0
    begun        time 1
    ended        time 2
    attempt      2
    part of      01KAFZ3V9Q0000000000000001
    events       3
    tokens       10 in, 2 out
    file         report.pdf (1 bytes, sha256 2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881)
    key          k

    I found it.
    "
  `);
  seen.stdout = '';
  await run('handoff', 'show', HANDOFF, '--json');
  expect(JSON.parse(seen.stdout)).toEqual(hub.view());
});

test('cancel asks for the end, and says how it stands', async () => {
  expect(await run('handoff', 'cancel', HANDOFF)).toBe(0);
  expect(seen.stderr).toBe(`home: its end was asked for; how it went: manage-federation handoff show ${HANDOFF}\n`);
  hub.end('completed');
  seen.stderr = '';
  expect(await run('handoff', 'cancel', HANDOFF)).toBe(0);
  expect(seen.stderr).toBe('home: it was over before: completed\n');
});

const MESSAGE: MessageView = {
  ...{ id: HANDOFF, key: 'k', state: 'delivered', target: 'home', node: { id: HANDOFF_NODE, name: 'home' } },
  ...{ agent: 'main', problem: null, createdAt: '2026-11-21T12:00:00.000Z', deliveredAt: null },
};

test.each<[Partial<MessageView>, number, string]>([
  [{}, 0, 'home/main has it\n'],
  [{ state: 'waiting', agent: null }, 0, 'kept for home until it has it, seven days at most\n'],
  [{ state: 'refused', problem: 'no such\u001b agent' }, 1, 'home/main refused it: no such␛ agent\n'],
])('send says what became of a message: %j', async (changed, exitCode, words) => {
  hub.answers.set('POST /messages', { ...MESSAGE, ...changed });
  expect(await run('handoff', 'send', 'home', 'the backup moved', '--key', 'k')).toBe(exitCode);
  expect(seen.stderr).toBe(words);
  expect(hub.asked[0]?.body).toEqual({ key: 'k', target: 'home', message: 'the backup moved' });
});

test('send waits a moment for what becomes of it, and says how it stood last', async () => {
  hub.answers.set('POST /messages', { ...MESSAGE, state: 'waiting' });
  hub.answers.set(`GET /messages/${HANDOFF}`, MESSAGE);
  expect(await run('handoff', 'send', 'home', 'hello')).toBe(0);
  expect(seen.stderr).toBe('home/main has it\n');
  seen.stderr = '';
  hub.answers.set(`GET /messages/${HANDOFF}`, { ...MESSAGE, state: 'waiting', problem: 'home: no gateway there' });
  expect(await run('handoff', 'send', 'home', 'hello')).toBe(0);
  expect(seen.stderr).toMatch(/^kept for home\/main until it has it, .*: home: no gateway there\n$/);
});

test('agents shows who takes work, and how much each has', async () => {
  const agent: AgentView = {
    ...{ node: 'gpu-box', nodeId: HANDOFF_NODE, id: 'main', description: 'writes\u001b code', tags: ['coding', 'go'] },
    ...{ concurrency: 2, running: 1, waiting: 0 },
  };
  hub.answers.set('GET /agents', [{ ...agent, node: 'pi' }, agent, { ...agent, id: 'ops', tags: [], description: '' }]);
  expect(await run('agents')).toBe(0);
  expect(seen.stdout).toMatchInlineSnapshot(`
    "AGENT         WORKS ON  WAITING  TAGS       DESCRIPTION
    gpu-box/main  1 of 2    0        coding go  writes␛ code
    gpu-box/ops   1 of 2    0        -          -
    pi/main       1 of 2    0        coding go  writes␛ code
    "
  `);
  hub.answers.set('GET /agents', []);
  await run('agents');
  expect(seen.stderr).toMatch(/^no node that is online has an agent/);
});

test.each<[readonly string[], RegExp]>([
  [['start'], /missing required argument 'target'/],
  [['start', ''], /no name is given/],
  [['start', 'home', ''], /no task is given/],
  [['start', 'home', 'x', '--deadline', 'soon'], /--deadline: "soon" is not a time/],
  [['start', 'home', 'x', '--deadline', '-5m'], /--deadline/],
  [['start', 'home', 'x', '--idle-timeout', '0'], /--idle-timeout: "0" is not a time/],
  [['start', 'home', 'x', '--queue-timeout', '99d'], /--queue-timeout: 99d is over 24 days/],
  [['start', 'home', 'x', '--detach', '--ndjson'], /--detach does not wait/],
  [['start', 'home', 'x', '--detach', '--cancel-on-disconnect'], /--detach leaves it/],
  [['start', 'home', 'x', '--file', 'FOLDER'], /is no regular file/],
  [['start', 'home', 'x', '--file', 'FOLDER/zero'], /is no regular file/],
  [['start', 'home', 'x', '--file', 'FOLDER/none'], /can’t be read \(ENOENT\)/],
  [['start', 'home', 'x', '--file', 'FOLDER/huge'], /is over 4194304 bytes/],
  [['start', 'home', 'x', '--file', 'FOLDER/.hidden'], /".hidden" can’t be a file’s name there/],
  [['start', 'home', 'x', '--file', 'FOLDER/text', '--file', 'FOLDER/text'], /two files are named text/],
  [
    ['start', 'home', 'x', ...Array.from({ length: 33 }, () => ['--file', 'FOLDER/text']).flat()],
    /33 files are too many/,
  ],
  [['start', 'home', 'x', '--context-file', 'FOLDER/bytes'], /is no text/],
  [['start', 'home', 'x', '--context-file', 'FOLDER/huge'], /is over 1048576 bytes/],
  [['attach', 'nothing'], /"nothing" is not a handoff’s id/],
  [['attach', HANDOFF, '--after', '-1'], /--after/],
  [['attach', HANDOFF, '--after', 'x'], /--after: "x" is no number/],
  [['show', '../../status'], /is not a handoff’s id/],
  [['cancel', `${HANDOFF}/x`], /is not a handoff’s id/],
  [['fetch', HANDOFF], /required option '--out-dir <folder>' not specified/],
  [['send', 'home', ''], /no message is given/],
  [['list', '--limit', '0'], /not a whole number from 1 to 1000/],
  [['strat'], /unknown command 'strat'/],
])('handoff %j is a wrong use, said in two lines, and nothing is sent', async (argv, message) => {
  const words = argv.map((word) => word.replace('FOLDER', folder));
  expect(await run('handoff', ...words)).toBe(2);
  expect(seen.stderr).toMatch(/^error: .*\n {2}try: .*\n$/);
  expect(seen.stderr).toMatch(message);
  expect(hub.asked).toEqual([]);
});

test('an answer is in one form', async () => {
  expect(await run('handoff', 'start', 'home', 'x', '--json', '--ndjson')).toBe(2);
  expect(JSON.parse(seen.stdout)).toMatchObject({ code: 'USAGE', hint: 'leave one of them out' });
});

test.each([
  ['AGENT_NOT_FOUND', 3],
  ['NODE_AMBIGUOUS', 3],
  ['HANDOFF_CONFLICT', 2],
  ['DEADLINE_OVER', 2],
  ['LOOP_DETECTED', 2],
  ['QUEUE_FULL', 1],
  ['LOCKED_DOWN', 2],
])('what the hub refuses with %s ends with %i', async (code, exitCode) => {
  hub.answers.set('POST /handoffs', { code, message: 'so it is', hint: 'do that' });
  expect(await run('handoff', 'start', 'home', 'look')).toBe(exitCode);
  expect(seen.stderr).toBe('error: so it is\n  try: do that\n');
});
