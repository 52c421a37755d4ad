import { FederationError } from '#src/core/errors.ts';
import { resumeText } from '#src/cli/deploy/resume-text.ts';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { main } from '#src/cli/deploy.ts';
import { parseMaster } from '#src/cli/deploy/master-address.ts';
import type { OwnHub } from '#src/cli/deploy/own-hub.ts';
import type { Facts } from '#src/deploy/facts.ts';
import type { RecordEntry } from '#src/deploy/record/record.ts';
import { bareMachine, changed, healthyWorker, wantedOf } from '../support/facts.ts';
import { fakeTools, screen, watchScreen } from './deploy-tools.ts';
import type { FakeTools } from './deploy-tools.ts';

const TOKEN = `ocf1.${'a'.repeat(64)}.${'s'.repeat(43)}`;
const ID = 'c3'.repeat(32);

let folder: string;
let tokenFile: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ocf-deploy-'));
  tokenFile = join(folder, 'token');
  await writeFile(tokenFile, `${TOKEN}\n`);
});
afterAll(() => rm(folder, { recursive: true }));
beforeEach(() => watchScreen());
afterEach(() => void vi.restoreAllMocks());

const run = (argv: readonly string[], tools: FakeTools): Promise<number> => main(argv, async () => tools);
const untouched = (): FakeTools => fakeTools({ facts: bareMachine() });

describe('what is typed wrongly', () => {
  test.each<[readonly string[], RegExp, RegExp]>([
    [[], /no command given/, /--help/],
    [['worker'], /which master\?/, /deploy-federation worker vps/],
    [['hybrid'], /which master\?/, /deploy-federation hybrid vps/],
    [['master', 'vps'], /too many arguments/, /master --help/],
    [['worker', 'vps', 'pi'], /too many arguments/, /worker --help/],
    [['worker', 'vps', '--lihgt'], /unknown option '--lihgt'/, /--light/],
    [['worker', 'vps', '--name'], /argument missing/, /--help/],
    [['worker', 'vps', '--name', 'Home Server'], /a node name is/, /use home-server/],
    [['worker', 'vps', '--system', '--user'], /--system and --user don’t go together/, /one of them/],
    [['worker', 'vps', '--token', TOKEN, '--token-file', 'x'], /--token and --token-file/, /one of them/],
    [['worker', 'vps', '--ssh', 'pi@x', '--foreground'], /--ssh and --foreground/, /on that machine/],
    [['worker', 'vps', '--light', '--commands', 'system.run'], /--light and --commands/, /node host/],
    [['worker', 'vps', '--no-tailscale', '--auth-key-file', 'k'], /--no-tailscale and --auth-key-file/, /one of them/],
    [['worker', 'vps', '--home', 'x'], /--home is for --foreground/, /leave it out/],
    [['hybrid', 'vps', '--keep-gateway'], /--keep-gateway is for a worker/, /always keeps/],
    [['master', '--token-file', 'x'], /unknown option '--token-file'/, /--help/],
    [['master', '--exec', 'full'], /unknown option '--exec'/, /--help/],
    [['master', '--port', '0'], /from 1 to 65535/, /--help/],
    [['worker', 'vps', '--exec', 'all'], /Allowed choices/, /--help/],
    [['worker', 'vps', '--commands', 'system.run;rm'], /not commands/, /--help/],
    [['worker', 'vps', '--run-as', 'a b'], /not the name of a user/, /--help/],
    [['worker', 'vps', '--login-server', 'ftp://x'], /not an http/, /--help/],
    [['worker', 'vps', '--openclaw-version', 'newest'], /not a version/, /--help/],
    [['worker', ''], /^error: no name is given$/, /deploy-federation worker \[master\]/],
    [['hybrid', '', '--yes'], /^error: no name is given$/, /deploy-federation hybrid \[master\]/],
    [['worker', 'vps', '--ssh', ''], /^error: --ssh: nothing is given$/, /--ssh <user@host>/],
    [['worker', 'vps', '--token', ''], /^error: --token: nothing is given$/, /--token <token>/],
    [['worker', 'vps', '--token-file', ''], /^error: --token-file: nothing is given$/, /--token-file <file>/],
    [['worker', 'vps', '--auth-key-file', ''], /^error: --auth-key-file: nothing is given$/, /--auth-key-file <file>/],
    [['master', '--name', ''], /a node name is/, /use node/],
    [['doctor', '--ssh', ''], /^error: --ssh: nothing is given$/, /--ssh <user@host>/],
    [['uninstall', '--run-as', ''], /^error: .*not the name of a user/, /--help/],
    [['rotate-key', '--home', ''], /^error: --home: nothing is given$/, /--home <folder>/],
    [['local', '--dir', ''], /^error: --dir: nothing is given$/, /--dir <folder>/],
    [['demo', '--openclaw', ''], /^error: --openclaw: nothing is given$/, /--openclaw <program>/],
    [[''], /unknown command ''/, /--help/],
    [['worker', 'vps', '--token', ' '], /^error: --token: nothing is given$/, /manage-federation token create/],
    [
      ['worker', 'vps', '--token-file', '/dev/null'],
      /^error: --token-file \/dev\/null: the file is empty/,
      /token create/,
    ],
    [['worker', 'vps', '--token-file', '/nowhere/token'], /can’t be read \(ENOENT\)/, /- for standard input/],
    [['uninstall', '--dry-run'], /unknown option '--dry-run'/, /--help/],
    [['docter'], /unknown command 'docter'/, /doctor/],
  ])('%j ends with 2, one line for what is wrong and one for what to do', async (argv, message, hint) => {
    const tools = untouched();
    expect(await run(argv, tools)).toBe(2);
    const [error, attempt, ...rest] = screen.stderr.split('\n').filter((line) => !line.startsWith('warning'));
    expect(error).toMatch(/^error: /);
    expect(error).toMatch(message);
    expect(attempt).toMatch(/^ {2}try: /);
    expect(attempt).toMatch(hint);
    expect(rest).toEqual(['']);
    expect(screen.stdout).toBe('');
    expect(tools.log).toEqual([]);
  });

  test('a token that is none is refused before anything is looked at', async () => {
    const tools = untouched();
    await writeFile(join(folder, 'no-token'), 'hello\n');
    expect(await run(['worker', 'vps', '--token-file', join(folder, 'no-token')], tools)).toBe(2);
    expect(screen.stderr).toMatch(/^error: this is not a join token\n {2}try: .*\n$/);
    expect(tools.log).toEqual([]);
  });
});

describe('the address of a master', () => {
  test.each([
    ['vps', 'vps', 19_000],
    ['VPS.Tail.Example.', 'vps.tail.example', 19_000],
    ['vps:1', 'vps', 1],
    ['100.64.0.1', '100.64.0.1', 19_000],
    ['100.64.0.1:19001', '100.64.0.1', 19_001],
    ['[fd7a:115c::1]', 'fd7a:115c::1', 19_000],
    ['[fd7a:115c::1]:65535', 'fd7a:115c::1', 65_535],
  ])('%s is understood', (text, host, port) => {
    expect(parseMaster(text)).toEqual({ host, port });
  });

  test.each([
    ['', 'write it as'],
    ['fd7a:115c::1', 'put it into brackets: [fd7a:115c::1]'],
    ['vps:', 'write it as vps:19000'],
    ['vps:0', 'write it as vps:19000'],
    ['vps:65536', 'write it as vps:19000'],
    ['vps:+1', 'write it as vps:19000'],
    ['vps:1e3', 'write it as vps:19000'],
    ['vps:1:2', 'write it as'],
    ['[vps]', 'write it as'],
    ['[::1', 'write it as'],
    ['a b', 'write it as'],
    ['-vps', 'write it as'],
    ['vps..example', 'write it as'],
    ['1.2.3', 'write it as'],
    ['256.1.1.1', 'write it as'],
    ['http://vps', 'write it as'],
    ['root@vps', 'write it as'],
    [`${'a'.repeat(64)}.example`, 'write it as'],
  ])('%j is refused with what to write', (text, hint) => {
    expect(() => parseMaster(text)).toThrow(
      expect.objectContaining({ code: 'USAGE', hint: expect.stringContaining(hint) as string }),
    );
  });
});

describe('a dry run', () => {
  const argv = ['worker', 'vps', '--light', '--token-file'];

  async function planIn(columns: number): Promise<string> {
    watchScreen(columns);
    const tools = untouched();
    expect(await run([...argv, tokenFile, '--dry-run'], tools)).toBe(0);
    expect(tools.log).toEqual(['reach this machine', 'gather any -', 'close']);
    expect(screen.stderr).toBe('');
    // A path stays whole, so that it can be copied.
    const isOneWord = (line: string): boolean => !line.slice(14).includes(' ');
    for (const line of screen.stdout.split('\n')) expect(line.length <= columns || isOneWord(line)).toBe(true);
    return screen.stdout;
  }

  test('shows the plan in 60 columns and does nothing', async () => {
    expect(await planIn(60)).toMatchInlineSnapshot(`
      "already so  Tailscale is installed
      already so  tailscaled runs
      already so  the machine is in the tailnet
      to check    the hub at vps.tail.example answers
                  - look whether the hub at vps.tail.example:19000
                    answers
      to do       the programs of the federation are in
                  /opt/openclaw-federation
                  - make the folder /opt/openclaw-federation (755)
                  - put our programs into
                    /opt/openclaw-federation/releases/0.1.0-abcdef
                  - link /opt/openclaw-federation/current to
                    /opt/openclaw-federation/releases/0.1.0-abcdef
                  - link /usr/local/bin/manage-federation to
                    /opt/openclaw-federation/current/node_modules/openclaw-federation/bin/manage-federation
                  - link /usr/local/bin/deploy-federation to
                    /opt/openclaw-federation/current/node_modules/openclaw-federation/bin/deploy-federation
                  - link /usr/local/bin/auto-register to
                    /opt/openclaw-federation/current/node_modules/openclaw-federation/bin/auto-register
      to do       the worker’s home is /home/sam/.openclaw-worker
                  - make the folder /home/sam/.openclaw-worker
                    (700)
                  - write /home/sam/.openclaw-worker/settings.yaml
      to do       the worker may join
                  - put the join token into
                    /home/sam/.openclaw-worker/join-token
      to do       the worker runs
                  - write
                    /etc/systemd/system/openclaw-worker.service
                  - let systemd read its units
                  - enable openclaw-worker.service and start it
                  - wait until the worker is a member
      note: the master may run any command here as sam; --exec
            allowlist or --exec off narrows that
      "
    `);
  });

  test('shows the plan in 100 columns and does nothing', async () => {
    expect(await planIn(100)).toMatchInlineSnapshot(`
      "already so  Tailscale is installed
      already so  tailscaled runs
      already so  the machine is in the tailnet
      to check    the hub at vps.tail.example answers
                  - look whether the hub at vps.tail.example:19000 answers
      to do       the programs of the federation are in /opt/openclaw-federation
                  - make the folder /opt/openclaw-federation (755)
                  - put our programs into /opt/openclaw-federation/releases/0.1.0-abcdef
                  - link /opt/openclaw-federation/current to
                    /opt/openclaw-federation/releases/0.1.0-abcdef
                  - link /usr/local/bin/manage-federation to
                    /opt/openclaw-federation/current/node_modules/openclaw-federation/bin/manage-federation
                  - link /usr/local/bin/deploy-federation to
                    /opt/openclaw-federation/current/node_modules/openclaw-federation/bin/deploy-federation
                  - link /usr/local/bin/auto-register to
                    /opt/openclaw-federation/current/node_modules/openclaw-federation/bin/auto-register
      to do       the worker’s home is /home/sam/.openclaw-worker
                  - make the folder /home/sam/.openclaw-worker (700)
                  - write /home/sam/.openclaw-worker/settings.yaml
      to do       the worker may join
                  - put the join token into /home/sam/.openclaw-worker/join-token
      to do       the worker runs
                  - write /etc/systemd/system/openclaw-worker.service
                  - let systemd read its units
                  - enable openclaw-worker.service and start it
                  - wait until the worker is a member
      note: the master may run any command here as sam; --exec allowlist or --exec off narrows that
      "
    `);
  });

  test('is JSON with what every step would do, and without a token', async () => {
    expect(await run([...argv, tokenFile, '--dry-run', '--json'], untouched())).toBe(0);
    const report = JSON.parse(screen.stdout) as { steps: { id: string; state: string; actions: string[] }[] };
    expect(report).toMatchObject({ role: 'worker', machine: 'this machine', result: null });
    expect(Object.fromEntries(report.steps.map(({ id, state }) => [id, state]))).toMatchObject({
      tailscale: 'already',
      reach: 'already',
      program: 'todo',
      'worker-home': 'todo',
    });
    expect(screen.stdout).not.toContain(TOKEN);
    expect(screen.stderr).toBe('');
  });

  test('is JSON with what becomes of the files of others', async () => {
    const path = '/home/sam/.openclaw-worker/settings.yaml';
    const text = 'log:\n  level: debug # for a week\n';
    const facts = bareMachine({ files: [[path, { text, mode: 0o600, owner: 'sam' }]] });
    expect(await run([...argv, tokenFile, '--dry-run', '--json'], fakeTools({ facts }))).toBe(0);
    const { changes } = JSON.parse(screen.stdout) as { changes: { path: string; diff: string }[] };
    expect(changes).toMatchObject([
      { path, diff: expect.stringContaining('+  hub: vps.tail.example:19000\n') as string },
    ]);
    expect(changes[0]?.diff).toContain('   level: debug # for a week\n');
  });

  test('names no step for a token that is not there', async () => {
    expect(await run(['worker', 'vps', '--light', '--dry-run'], untouched())).toBe(0);
    expect(screen.stdout).not.toContain('may join');
    expect(screen.stdout).toContain('- wait until the worker asks the hub to be let in\n');
  });
});

test.each([60, 100])('the help of a worker breaks no word in %i columns', async (columns) => {
  watchScreen(columns);
  expect(await run(['worker', '--help'], fakeTools({ facts: bareMachine() }))).toBe(0);
  const prose = screen.stdout.slice(screen.stdout.indexOf('MASTER is a name')).split('\nExamples:')[0] ?? '';
  expect(prose.split('\n').every((line) => line.length <= columns)).toBe(true);
  expect(prose.replaceAll('\n', ' ')).toContain(
    'Without one the node waits until it is approved there: manage-federation',
  );
  expect(screen.stdout).toContain('\n  deploy-federation worker vps --token-file token --light\n');
});

describe('deploying', () => {
  const argv = ['worker', 'vps', '--light', '--token-file'];

  test('without a terminal and without --yes shows the plan, does nothing and says what to add', async () => {
    const tools = untouched();
    expect(await run([...argv, tokenFile], tools)).toBe(2);
    expect(screen.stderr).toContain('to do       the worker runs\n');
    expect(screen.stderr).toMatch(/error: there is no terminal to ask on; nothing was done\n {2}try: add --yes, .*\n$/);
    expect(tools.log).toEqual(['reach this machine', 'gather any -', 'close']);
  });

  test('says what the master may do from then on, and what narrows it', async () => {
    await run([...argv, tokenFile, '--yes'], untouched());
    expect(screen.stderr).toContain('note: the master may run any command here as sam; --exec allowlist or --exec off');
  });

  test('shows what becomes of a person’s file first, and no secret of it', async () => {
    const path = '/home/sam/.openclaw/openclaw.json';
    const text = '{\n  // mine\n  "gateway": { "auth": { "token": "0123456789abcdef0123" } }\n}\n';
    const file = { text, mode: 0o600, owner: 'sam' };
    const facts = bareMachine({ gateway: { settings: file }, files: [[path, file]] });
    expect(await run(['master', '--yes'], fakeTools({ facts }))).toBe(0);
    expect(screen.stderr).toContain(`+++ ${path}`);
    expect(screen.stderr).toMatch(/^\+.*"autoApproveLocal": false/m);
    expect(screen.stderr).toContain('// mine');
    expect(screen.stderr).not.toContain('0123456789abcdef0123');
  });

  test('changes nothing the second time, says so, and looks all the same', async () => {
    const tools = untouched();
    expect(await run([...argv, tokenFile, '--yes'], tools)).toBe(0);
    tools.log.length = 0;
    screen.stderr = '';
    expect(await run(['worker', 'vps', '--light'], tools)).toBe(0);
    expect(screen.stderr).toMatch(/\nto check {4}the worker runs\n.*\n.*\nnothing to change\n/);
    expect(tools.log).toContain('apply as worker, token null');
  });

  test('ends with the node as a member, a line for each step', async () => {
    const tools = fakeTools({ facts: bareMachine(), after: healthyWorker() });
    expect(await run([...argv, tokenFile, '--yes'], tools)).toBe(0);
    expect(tools.log).toEqual([
      'reach this machine',
      'gather any -',
      'apply as worker, token given',
      'token ocf1.',
      'gather any sam',
      'close',
    ]);
    expect(screen.stderr).toContain('\ndone    the worker runs\nhome-server is a member of vps\n');
    expect(screen.stdout).toBe('');
    expect(screen.stderr).not.toContain(TOKEN);
  });

  test('on a terminal keeps a list up to date', async () => {
    watchScreen(80);
    const tools = fakeTools({ facts: bareMachine(), after: healthyWorker() });
    expect(await run([...argv, tokenFile, '--yes'], tools)).toBe(0);
    expect(screen.stderr).toMatch(/✔.*the worker runs/);
    expect(screen.stderr).toMatch(/home-server is a member of vps\n$/);
    // The cursor is there again.
    expect(screen.stderr.lastIndexOf('\u001b[?25h')).toBeGreaterThan(screen.stderr.lastIndexOf('\u001b[?25l'));
  });

  test('without a token ends with what a person compares, and what they type on the master', async () => {
    const after = healthyWorker({ worker: { link: 'waiting', name: 'home-server', id: ID, hub: 'vps:19000' } });
    expect(await run(['worker', 'vps', '--light', '--yes'], fakeTools({ facts: bareMachine(), after }))).toBe(0);
    expect(screen.stderr.split('\n').slice(-4)).toEqual([
      'home-server waits for approval; its fingerprint is c3c3-c3c3-c3c3-c3c3',
      'on vps:',
      '  manage-federation approve home-server',
      '',
    ]);
  });

  test('a token among the arguments works, with a warning', async () => {
    const tools = untouched();
    expect(await run(['worker', 'vps', '--light', '--yes', '--token', TOKEN], tools)).toBe(0);
    expect(screen.stderr).toMatch(/^warning: .*--token-file/);
    expect(tools.log).toContain('token ocf1.');
  });

  test('with --json answers one object and says nothing else', async () => {
    const tools = fakeTools({ facts: bareMachine(), after: healthyWorker() });
    expect(await run([...argv, tokenFile, '--yes', '--json'], tools)).toBe(0);
    expect(screen.stderr).toBe('');
    const report = JSON.parse(screen.stdout) as { steps: { id: string; state: string }[]; result: unknown };
    expect(report.result).toMatchObject({ name: 'home-server', link: 'member' });
    expect(new Set(report.steps.map(({ state }) => state))).toEqual(new Set(['already', 'done']));
  });

  test('a step that fails ends it with what was done, what was not, and how to go on', async () => {
    const tools = fakeTools({ facts: bareMachine(), failing: 'worker-home' });
    expect(await run([...argv, tokenFile, '--yes', '--system'], tools)).toBe(1);
    const said = screen.stderr.slice(screen.stderr.indexOf('FAILED')).replace(tokenFile, 'FILE');
    expect(said).toMatchInlineSnapshot(`
      "FAILED  the worker’s home is /home/sam/.openclaw-worker
      done: the hub at vps.tail.example answers
      done: the programs of the federation are in /opt/openclaw-federation
      not done: the worker’s home is /home/sam/.openclaw-worker
      not done: the worker may join
      not done: the worker runs
      error: the disk is full
        try: make room; then: deploy-federation worker --resume --token-file FILE --system --yes
      "
    `);
  });

  test('a step that fails on a terminal is in the list already, and how to go on is said once', async () => {
    watchScreen(80);
    const tools = fakeTools({ facts: bareMachine(), failing: 'worker-home' });
    expect(await run([...argv, tokenFile, '--yes'], tools)).toBe(1);
    expect(screen.stderr).not.toContain('done: ');
    expect(screen.stderr.match(/--resume/g)).toEqual(['--resume']);
  });

  test('a step that fails before anything was changed leaves nothing to go on with', async () => {
    const tools = fakeTools({ facts: bareMachine(), failing: 'reach' });
    expect(await run([...argv, tokenFile, '--yes'], tools)).toBe(1);
    expect(screen.stderr).toContain('FAILED  the hub at vps.tail.example answers\n');
    expect(screen.stderr).toMatch(/\n {2}try: make room\n$/);
  });

  test('a step that fails is in the JSON too', async () => {
    const tools = fakeTools({ facts: bareMachine(), failing: 'worker-home' });
    expect(await run([...argv, tokenFile, '--yes', '--json'], tools)).toBe(1);
    const report = JSON.parse(screen.stdout) as { steps: { id: string; state: string }[] };
    expect(Object.fromEntries(report.steps.map(({ id, state }) => [id, state]))).toMatchObject({
      program: 'done',
      'worker-home': 'failed',
      worker: 'not reached',
    });
    expect(report).toMatchObject({ result: null, error: { code: 'DISK_FULL' } });
  });

  test('a Ctrl-C ends it with 130 and how to go on', async () => {
    const tools = fakeTools({ facts: bareMachine(), interrupted: 'program' });
    expect(await run([...argv, tokenFile, '--yes'], tools)).toBe(130);
    expect(screen.stderr).toContain('\n        stopping; once more ends it at once\nFAILED  ');
    expect(screen.stderr).toContain('not done: the worker runs\n');
    expect(screen.stderr).toContain(`deploy-federation worker --resume --token-file ${tokenFile} --yes`);
  });

  test('keeps listening for Ctrl-C after the first, and no longer than it runs', async () => {
    const before = process.listenerCount('SIGINT');
    let during = 0;
    const apply: FakeTools['apply'] = async () => {
      process.emit('SIGINT');
      during = process.listenerCount('SIGINT');
    };
    await run([...argv, tokenFile, '--yes'], fakeTools({ facts: bareMachine(), change: { apply } }));
    expect(during).toBe(before + 1);
    expect(process.listenerCount('SIGINT')).toBe(before);
  });

  test('the master’s own words are its names and what to type next', async () => {
    const facts = bareMachine({ tailscale: { dnsName: 'vps.tail.example', addresses: ['100.64.0.1'] } });
    expect(await run(['master', '--yes', '--port', '19100'], fakeTools({ facts }))).toBe(0);
    expect(screen.stderr.slice(screen.stderr.indexOf('the master runs'))).toMatchInlineSnapshot(`
      "the master runs: vps.tail.example, 100.64.0.1, port 19100
      next, on another machine:
        deploy-federation worker vps.tail.example:19100
      or from here, where ssh reaches it:
        deploy-federation worker --ssh USER@HOST
      on this machine:
        manage-federation token create    a token that lets it in without waiting
        manage-federation pending         the nodes that wait for approval
      "
    `);
  });
});

describe('another machine', () => {
  const hub: OwnHub = {
    address: { host: 'vps.tail.example', port: 19_000 },
    isAt: ({ host }) => host === 'vps.tail.example' || host === 'vps',
    mint: async ({ role, name }) => `for ${name}, ${role}`,
  };

  test('gets its token from the master that deploys it, which it joins', async () => {
    const tools = fakeTools({ facts: bareMachine(), hub });
    expect(await run(['worker', '--ssh', 'pi@10.0.0.5', '--light', '--yes'], tools)).toBe(0);
    expect(tools.log).toEqual([
      'reach pi@10.0.0.5',
      'gather any -',
      'apply as worker, token minted',
      'minted for home-server, worker',
      'gather any sam',
      'close',
    ]);
  });

  test('gets none where it joins another master', async () => {
    const tools = fakeTools({ facts: bareMachine(), hub });
    expect(await run(['worker', 'other', '--ssh', 'pi@10.0.0.5', '--light', '--yes'], tools)).toBe(0);
    expect(tools.log).toContain('apply as worker, token null');
  });

  test.each([
    [null, /no hub answers/],
    [{ ...hub, address: null }, /loopback only/],
  ])('needs to be told its master where this machine is none', async (own, message) => {
    const tools = fakeTools({ facts: bareMachine(), ...(own === null ? {} : { hub: own }) });
    expect(await run(['worker', '--ssh', 'pi@10.0.0.5'], tools)).toBe(2);
    expect(screen.stderr).toMatch(message);
    expect(screen.stderr).toContain('  try: deploy-federation worker vps --ssh pi@10.0.0.5\n');
  });
});

describe('what another machine remembers', () => {
  test('names no file and no place of this one, and lets nothing in', async () => {
    const facts = changed(bareMachine(), {
      record: {
        version: 1,
        state: 'applying',
        entries: [],
        wanted: wantedOf({
          token: 'minted',
          name: 'vps',
          master: { host: 'evil.example', port: 1 },
          tailscale: { authKeyFile: '/root/.ssh/id_ed25519', loginServer: 'https://evil.example' },
        }),
      },
    });
    let asked: unknown;
    const tools = fakeTools({
      facts,
      change: {
        apply: async (plan, _, { wanted }) => {
          asked = { wanted, actions: plan.steps.flatMap(({ actions }) => actions) };
          throw new FederationError('STEP_FAILED', 'enough');
        },
      },
    });
    expect(await run(['worker', 'vps', '--ssh', 'pi@10.0.0.5', '--resume', '--yes'], tools)).toBe(1);
    expect(asked).toMatchObject({ wanted: { token: null, name: null, master: { host: 'vps' } } });
    expect(JSON.stringify(asked)).not.toMatch(/evil|id_ed25519/);
  });

  test('is asked for once more: the words to go on are whole', () => {
    const flags = { ssh: 'pi@10.0.0.5', name: 'pi', light: true, authKeyFile: '/root/a key', token: 'ocf1.secret' };
    expect(resumeText('worker', flags, { host: 'vps', port: 19_100 })).toBe(
      "deploy-federation worker vps:19100 --resume --name pi --auth-key-file '/root/a key' --light --ssh pi@10.0.0.5",
    );
  });
});

describe('what was begun before', () => {
  const begun = (change: Parameters<typeof wantedOf>[0]): Facts =>
    changed(bareMachine(), {
      record: { version: 1, state: 'applying', entries: [], wanted: wantedOf(change) },
    });

  test('is taken up as it was wanted', async () => {
    const tools = fakeTools({ facts: begun({ light: true, token: null, runAs: 'sam', name: 'pi' }) });
    expect(await run(['worker', '--resume', '--yes'], tools)).toBe(0);
    expect(tools.log).toContain('apply as worker, token null');
  });

  test('counts where no flag says otherwise', async () => {
    const tools = fakeTools({ facts: begun({ light: true, token: null, exec: 'off' }) });
    expect(await run(['worker', 'vps:19100', '--resume', '--dry-run'], tools)).toBe(0);
    expect(screen.stdout).not.toContain('note: the master may run');
    screen.stdout = '';
    expect(await run(['worker', 'vps:19100', '--resume', '--exec', 'full', '--dry-run'], tools)).toBe(0);
    expect(screen.stdout).toContain('note: the master may run');
  });

  test('is not gone on with for another person', async () => {
    const tools = fakeTools({ facts: begun({ light: true, token: null, runAs: 'kim' }) });
    expect(await run(['worker', '--resume', '--yes'], tools)).toBe(2);
    expect(screen.stderr).toContain('error: this machine is deployed for kim, not for sam\n');
  });

  test('needs its join token once more where it was not used', async () => {
    const tools = fakeTools({ facts: begun({ light: true, token: 'given' }) });
    expect(await run(['worker', '--resume', '--yes'], tools)).toBe(2);
    expect(screen.stderr).toContain('error: the join token is needed once more');
    expect(await run(['worker', '--resume', '--yes', '--token-file', tokenFile], tools)).toBe(0);
  });

  test('may be nothing, where the same is said once more', async () => {
    const tools = untouched();
    expect(await run(['worker', 'vps', '--light', '--resume', '--yes'], tools)).toBe(0);
    expect(tools.log).toContain('apply as worker, token null');
  });

  test('has to be there', async () => {
    expect(await run(['worker', '--resume'], untouched())).toBe(2);
    expect(screen.stderr).toContain('error: nothing was begun on this machine');
  });

  test('has to be of that role', async () => {
    expect(await run(['hybrid', '--resume'], fakeTools({ facts: begun({}) }))).toBe(2);
    expect(screen.stderr).toMatch(/begun there is a worker\n {2}try: deploy-federation worker --resume\n$/);
  });
});

describe('uninstall', () => {
  test('says that there is nothing, where there is nothing', async () => {
    expect(await run(['uninstall'], untouched())).toBe(0);
    expect(screen.stderr).toBe('nothing is deployed here\n');
  });

  test('needs a yes', async () => {
    const tools = fakeTools({ facts: healthyWorker() });
    expect(await run(['uninstall'], tools)).toBe(2);
    expect(screen.stderr).toContain(
      'deployed as worker; this is taken back, the last first:\n  - restore /etc/systemd',
    );
    expect(screen.stderr).toMatch(/error: there is no terminal to ask on; nothing was done\n {2}try: add --yes\n$/);
    expect(tools.log.some((line) => line.startsWith('undo'))).toBe(false);
  });

  test('says which folders go with all in them, and what stays', async () => {
    const { place } = healthyWorker();
    const entryOf = (path: string, before: object): RecordEntry => ({
      ...{ key: path, step: 'folders', before, wrote: [], state: 'done' },
      action: { do: 'folder', path, mode: 0o700, owner: 'person' },
    });
    const entries = [
      entryOf(place.openclawState, { was: 'absent', missing: [] }),
      entryOf(place.workerHome, { was: 'absent', missing: [] }),
      entryOf(place.prefix, { was: 'folder', mode: 0o755, uid: 0, gid: 0 }),
    ];
    await run(['uninstall'], fakeTools({ facts: healthyWorker({ record: { entries } }) }));
    expect(screen.stderr).toContain(`
  - leave the folder /opt/openclaw-federation, with its permissions from before
  - delete the folder /home/sam/.openclaw-worker and all in it: the node’s key, its settings and jobs (--keep-data keeps them)
  - remove the folder /home/sam/.openclaw if it is empty: what OpenClaw has made in it stays
`);
  });

  test('takes back what the record says, and says what is left to do on the master', async () => {
    const tools = fakeTools({ facts: healthyWorker() });
    expect(await run(['uninstall', '--yes', '--ssh', 'pi@10.0.0.5'], tools)).toBe(0);
    expect(tools.log).toContain('undo 1 changes');
    expect(screen.stderr).toMatch(
      /vps.tail.example still knows the node; there:\n {2}manage-federation revoke home-server\n$/,
    );
  });

  test('says nothing of a master that never let the node in', async () => {
    const tools = fakeTools({ facts: healthyWorker({ files: [['/home/sam/.openclaw-worker/hub', null]] }) });
    expect(await run(['uninstall', '--yes'], tools)).toBe(0);
    expect(screen.stderr).toMatch(/nothing of the federation is left here\n$/);
  });

  test('says how to go on where not all could be taken back', async () => {
    const undo = () => Promise.reject(new FederationError('STEP_FAILED', 'not all could be taken back: x'));
    const tools = fakeTools({ facts: healthyWorker(), change: { undo } });
    expect(await run(['uninstall', '--yes', '--ssh', 'pi@10.0.0.5'], tools)).toBe(1);
    expect(screen.stderr).toContain('try: mend that, then: deploy-federation uninstall --ssh pi@10.0.0.5 --yes\n');
  });

  test('leaves the tailnet that it came by', async () => {
    const facts = healthyWorker({ login: { address: '100.64.0.2' } });
    const tools = fakeTools({ facts });
    expect(await run(['uninstall', '--yes', '--ssh', 'sam@home-server'], tools)).toBe(0);
    expect(tools.log.join()).toContain('keeping Tailscale');
  });
});

describe('doctor', () => {
  const broken = {
    check: 'unit openclaw-worker',
    state: 'fail',
    found: 'it is not enabled',
    why: 'it will not run after the next boot',
    mend: 'systemctl enable openclaw-worker',
  } as const;

  test('prints what it found; what is broken is exit code 1', async () => {
    const tools = fakeTools({ facts: healthyWorker(), change: { examine: async () => [broken] } });
    expect(await run(['doctor'], tools)).toBe(1);
    expect(screen.stdout).toMatchInlineSnapshot(`
      "FAIL  unit openclaw-worker: it is not enabled
            why: it will not run after the next boot
            try: systemctl enable openclaw-worker
      "
    `);
  });

  test('mends what it can with --fix, and looks once more', async () => {
    let isMended = false;
    const unit = { name: 'openclaw-worker.service', scope: 'system' } as const;
    const fix = [{ do: 'unit', unit, want: { enabled: true, active: true }, restart: false }] as const;
    const tools = fakeTools({
      facts: healthyWorker(),
      change: {
        examine: async () => (isMended ? [] : [{ ...broken, fix }]),
        mend: async ([finding]) => {
          isMended = finding?.fix === fix;
          return [];
        },
      },
    });
    expect(await run(['doctor', '--fix', '--json'], tools)).toBe(0);
    expect(JSON.parse(screen.stdout)).toEqual([]);
  });

  test('says what could not be mended, and that it is still broken', async () => {
    const unit = { name: 'openclaw-worker.service', scope: 'system' } as const;
    const fix = [{ do: 'unit', unit, want: { enabled: true, active: true }, restart: false }] as const;
    const tools = fakeTools({
      facts: healthyWorker(),
      change: {
        examine: async () => [{ ...broken, fix }],
        mend: async () => [{ check: broken.check, state: 'fail', found: 'could not be mended: no systemd' }],
      },
    });
    expect(await run(['doctor', '--fix'], tools)).toBe(1);
    expect(screen.stdout).toContain('could not be mended: no systemd');
  });

  test('tells a person without root that root deployed the machine', async () => {
    const facts = bareMachine({ folders: [['/opt/openclaw-federation', { mode: 0o755, owner: 'root' }]] }, 'user');
    for (const command of ['doctor', 'uninstall']) {
      expect(await run([command], fakeTools({ facts }))).toBe(1);
      expect(screen.stderr).toContain(`try: sudo deploy-federation ${command}`);
    }
  });
});
