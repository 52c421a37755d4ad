import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { parseDuration } from '#src/cli/manage/duration.ts';
import { main as deploy } from '#src/cli/deploy.ts';
import { main as manage } from '#src/cli/manage.ts';

let home: string;
let stdout = '';
let stderr = '';

beforeAll(async () => {
  // Each call listens for the end of a pipe; a process makes one.
  process.stdout.setMaxListeners(100);
  home = await mkdtemp(join(tmpdir(), 'ocf-cli-'));
});
afterAll(() => rm(home, { recursive: true }));
beforeEach(() => {
  [stdout, stderr] = ['', ''];
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => ((stdout += String(text)), true));
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => ((stderr += String(text)), true));
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

test.each<[readonly string[], RegExp]>([
  [[], /no command given/],
  [['lst'], /unknown command 'lst'/],
  [['--jsn', 'list'], /unknown option '--jsn'/],
  [['list', 'w1'], /too many arguments/],
  [['show'], /missing required argument 'node'/],
  [['exec', 'w1'], /no command given/],
  [['exec', 'w1', '--'], /no command given behind --/],
  [['exec', 'w1', 'uname', '-a'], /unknown option '-a'/],
  [['exec', 'w1', 'ls', 'x'], /needs -- before it/],
  [['exec', 'w1', 'ls', '--', 'x'], /stands before --/],
  [['exec', 'w1', '--timeout', 'soon', '--', 'x'], /"soon" is not a time/],
  [['exec', 'w1', '--env', '=x', '--', 'x'], /is not NAME=VALUE/],
  [['broadcast'], /no command given/],
  [['jobs', '--limit', '0'], /not a whole number from 1 to 1000/],
  [['jobs', '--limit', '1001'], /not a whole number from 1 to 1000/],
  [['audit', 'verfy'], /unknown command 'verfy'/],
  [['token', 'create', '--role', 'boss'], /Allowed choices/],
  [['models', 'shrae'], /unknown command 'shrae'/],
  [['models', 'share', 'a', '--api', 'gemini'], /Allowed choices/],
  [['models', 'key', 'create', 'a', '--rpm', 'many'], /not a whole number from 1 to 1000000/],
  [['token', 'create', '--ttl', '99y'], /--ttl: 99y is over 30 days/],
  [['exec', 'w1', '--timeout', '25d', '--', 'x'], /--timeout: 25d is over 24 days/],
])('manage-federation %j is a wrong use, said in two lines', async (argv, message) => {
  expect(await manage(['--home', home, ...argv])).toBe(2);
  const lines = stderr.split('\n');
  expect(lines[0]).toMatch(/^error: /);
  expect(lines[0]).toMatch(message);
  expect(lines[1]).toMatch(/^ {2}try: /);
  expect(lines.slice(2)).toEqual(['']);
  expect(stdout).toBe('');
});

test.each<[readonly string[], string]>([
  [['exec', 'w1', 'uname', '-a'], 'put -- before the program (manage-federation exec w1 -- uname -a)'],
  [['exec', 'w1', 'ls', '--al', 'a b'], "put -- before the program (manage-federation exec w1 -- ls --al 'a b')"],
  [['broadcast', 'uname', '-a'], 'put -- before the program (manage-federation broadcast -- uname -a)'],
  [['exec', 'w1', '--tiemout', '5s', 'x'], 'did you mean --timeout? (manage-federation exec --help)'],
  [['exec', 'w1', 'x', '-a', '--', 'x'], 'manage-federation exec --help'],
  [['exec', 'w1', 'ls', 'a b'], "manage-federation exec w1 -- ls 'a b'"],
  [['exec', 'w1'], 'manage-federation exec w1 -- uname -a'],
  [['broadcast'], 'manage-federation broadcast -- uname -a'],
  [['token'], 'manage-federation token --help'],
  [['token', 'create', '--nam', 'x'], 'did you mean --name? (manage-federation token create --help)'],
  [['audit', 'verfy'], 'did you mean verify? (manage-federation audit --help)'],
  [['token', 'create', '--name', 'A B'], 'use a-b'],
])('manage-federation %j is told what to type instead', async (argv, hint) => {
  expect(await manage(['--home', home, ...argv])).toBe(2);
  expect(stderr.split('\n')[1]).toBe(`  try: ${hint}`);
});

test('a hub that is not there is started by what made its home', async () => {
  await manage(['--home', join(home, 'alone'), 'list']);
  expect(stderr).toContain(`  try: start it (federation-hub --home ${join(home, 'alone')})`);
  await mkdir(join(home, 'local', 'w1'), { recursive: true });
  await manage(['--home', join(home, 'local', 'master'), 'list']);
  expect(stderr).toContain(`  try: start it (deploy-federation local --dir ${join(home, 'local')})`);
});

test('on a worker one is sent to its master, unless another home is named', async () => {
  await mkdir(join(home, '.openclaw-worker'));
  await writeFile(join(home, '.openclaw-worker', 'settings.yaml'), 'worker:\n  hub: vps.tail.example:19000\n');
  vi.stubEnv('HOME', home);
  vi.stubEnv('OPENCLAW_FEDERATION_HOME', '');
  expect(await manage(['list'])).toBe(1);
  expect(stderr).toMatchInlineSnapshot(`
    "error: no hub runs here: this machine is a worker of vps.tail.example
      try: run it on vps.tail.example, or here after: manage-federation login vps.tail.example
    "
  `);
  stderr = '';
  await manage(['--home', join(home, 'alone'), 'list']);
  expect(stderr).toContain('no hub answers for');
  // Its own node makes no master a worker of itself.
  await writeFile(join(home, '.openclaw-worker', 'settings.yaml'), 'role: master\nworker:\n  hub: 127.0.0.1:19000\n');
  stderr = '';
  await manage(['list']);
  expect(stderr).toContain('no hub answers for');
});

test('the list of commands shows what to type, and the help of a command what all of them take', async () => {
  await manage(['--help']);
  expect(stdout).toMatch(/^ {2}exec <node> -- <program> \[arguments\.\.\.\] /m);
  expect(stdout).toMatch(/^ {2}list {2,}every node/m);
  stdout = '';
  await manage(['token', 'create', '--help']);
  expect(stdout).toMatch(/--home <folder>/);
  expect(stdout).toMatch(/a bare number is\s+seconds/);
  expect(stdout).not.toContain('default: []');
});

test.each([
  [['list']],
  [['exec', 'w1', '--', 'true']],
  [['token', 'create']],
  [['approve', 'w1']],
  [['audit', 'verify']],
])('without a hub %j is a fault of this machine that says what to do', async (argv) => {
  expect(await manage(['--home', home, ...argv])).toBe(1);
  expect(stderr).toMatch(/^error: no hub answers for .*\n {2}try: .*\n$/);
});

test('a hub that is gone and left its record is not there either', async () => {
  const socket = join(home, 'gone.sock');
  const record = { pid: 1, operator: socket, address: '127.0.0.1', port: 1, hubId: 'a'.repeat(64) };
  await writeFile(join(home, 'hub.json'), JSON.stringify(record));
  expect(await manage(['--home', home, 'list'])).toBe(1);
  expect(stderr).toMatch(/^error: no hub answers for .*\n {2}try: .*\n$/);
  await writeFile(join(home, 'hub.json'), '{');
  expect(await manage(['--home', home, 'list'])).toBe(1);
  await rm(join(home, 'hub.json'));
});

test('with --json an error is JSON on standard output', async () => {
  expect(await manage(['--home', home, '--json', 'list'])).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject({ code: 'HUB_UNREACHABLE', hint: expect.any(String) as string });
  expect(stderr).toBe('');
});

test('what stands behind -- is not looked at, not even --json', async () => {
  expect(await manage(['--home', home, 'exec', 'w1', '--', 'x', '--json', '--help'])).toBe(1);
  expect(stdout).toBe('');
  expect(stderr).toContain('no hub answers');
});

test.each([[['--help']], [['exec', '--help']], [['broadcast', '--help']]])('%j helps with examples', async (argv) => {
  expect(await manage(argv)).toBe(0);
  expect(stdout).toContain('Examples:');
  expect(stderr).toBe('');
});

test.each<[readonly string[], RegExp]>([
  [[], /no command given/],
  [['local', '--workers', '0'], /from 1 to 50/],
  [['local', '--workers', '51'], /from 1 to 50/],
  [['local', '--worker', '3'], /unknown option/],
  [['lokal'], /unknown command/],
])('deploy-federation %j is a wrong use, said in two lines', async (argv, message) => {
  expect(await deploy(argv)).toBe(2);
  expect(stderr).toMatch(/^error: .*\n {2}try: .*\n$/);
  expect(stderr).toMatch(message);
});

test.each([
  ['90s', 90_000],
  ['15m', 900_000],
  ['2h', 7_200_000],
  ['5', 5000],
  ['1.5', 2000],
])('%s is a time', (text, milliseconds) => {
  expect(parseDuration(text, '--ttl')).toBe(milliseconds);
});

test.each(['', ' ', '0', '-5', '-5m', '10ms', 'soon', '1e3', 'Infinity', '5 parsecs', '5 5', '9'.repeat(200)])(
  '%j is no time',
  (text) => {
    expect(() => parseDuration(text, '--ttl')).toThrow(expect.objectContaining({ code: 'USAGE' }));
  },
);

test.each<[readonly string[], string]>([
  [['approve', ''], 'error: no name is given\n  try: manage-federation approve <node...>\n'],
  [['approve', 'pi', ''], 'error: no name is given\n  try: manage-federation approve <node...>\n'],
  [['revoke', ''], 'error: no name is given\n  try: manage-federation revoke <node>\n'],
  [['group', 'add', '', 'pi'], 'error: no name is given\n  try: manage-federation group add <group> <node...>\n'],
  [['token', 'revoke', ''], 'error: no name is given\n  try: manage-federation token revoke <token>\n'],
  [['token', 'create', '--name', ''], 'error: --name: nothing is given\n  try: --name <name>\n'],
])('%j, of a variable that is not set, is refused before anything is sent', async (argv, said) => {
  expect(await manage(['--home', home, ...argv])).toBe(2);
  expect(stderr).toBe(said);
});

test.each([
  [['exec', '', '--', 'true'], /^error: no name is given\n {2}try: manage-federation exec /],
  [['broadcast', '', '--', 'true'], /^error: no name is given\n/],
  [['--home', '', 'list'], /^error: --home: nothing is given\n/],
])('nor does %j mean anything', async (argv, said) => {
  expect(await manage([...argv])).toBe(2);
  expect(stderr).toMatch(said);
});
