import { createHash, generateKeyPairSync } from 'node:crypto';
import { open, mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join, relative } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ErrorCode } from '#src/core/errors.ts';
import type { HubRecord } from '#src/core/hub-record.ts';
import type { AuditView } from '#src/protocol/hub-api/audit.ts';
import type { JobView } from '#src/protocol/hub-api/job.ts';
import type { TokenCreated } from '#src/protocol/hub-api/token.ts';
import type { Federation } from './federation.ts';
import { startFederation } from './federation.ts';
import type { Finished, Place, Running } from './place.ts';
import { BIN, makePlace } from './place.ts';
import { until } from './until.ts';

/** The two lines that every error has, and nothing else: no stack, no output. Returns them without their heads. */
function expectTwoLines({ stdout, stderr }: Finished): { error: string; hint: string } {
  const lines = /^error: (.+)\n {2}try: (.+)\n$/.exec(stderr);
  if (lines === null) throw new Error(`not the two lines of an error: ${stderr}`);
  expect(stdout).toBe('');
  return { error: lines[1]!, hint: lines[2]! };
}

describe('wrong input to a federation that runs', () => {
  let federation: Federation;
  let before: AuditView[];
  beforeAll(async () => {
    federation = await startFederation({ workers: 1 });
    before = await federation.ask<AuditView[]>('audit', '--limit', '1000');
  });
  afterAll(() => federation.stop());

  const long = 'x'.repeat(100_000);

  it.each<[string, string[], ErrorCode, number, RegExp, RegExp]>([
    ['no command', [], 'USAGE', 2, /no command given/, /--help/],
    ['an unknown command', ['lsit'], 'USAGE', 2, /unknown command 'lsit'/, /did you mean list\?/],
    ['an unknown flag', ['list', '--colour'], 'USAGE', 2, /unknown option '--colour'/, /--help/],
    [
      'an unknown flag of exec',
      ['exec', '--tiemout', '1s', 'w1', '--', 'true'],
      'USAGE',
      2,
      /--tiemout/,
      /did you mean --timeout/,
    ],
    ['a flag without its value', ['exec', 'w1', '--cwd'], 'USAGE', 2, /--cwd/, /--help/],
    ['a missing word', ['show'], 'USAGE', 2, /missing required argument 'node'/, /--help/],
    ['too many words', ['show', 'w1', 'w2'], 'USAGE', 2, /too many arguments/, /--help/],
    ['a number that is none', ['jobs', '--limit', 'many'], 'USAGE', 2, /--limit/, /--help/],
    ['a number out of range', ['jobs', '--limit', '1001'], 'USAGE', 2, /limit.* 1 to 1000/, /jobs --help/],
    [
      'an unknown node',
      ['exec', 'nosuchnode', '--', 'true'],
      'NODE_NOT_FOUND',
      3,
      /"nosuchnode"/,
      /manage-federation list.*w1/,
    ],
    ['a node’s name mistyped', ['exec', 'w11', '--', 'true'], 'NODE_NOT_FOUND', 3, /"w11"/, /did you mean w1\?/],
    ['a mistyped name to show', ['show', 'mastre'], 'NODE_NOT_FOUND', 3, /"mastre"/, /did you mean master\?/],
    ['an unknown node to revoke', ['revoke', 'nosuchnode'], 'NODE_NOT_FOUND', 3, /"nosuchnode"/, /./],
    [
      'a request that nobody made',
      ['approve', 'nosuchnode'],
      'REQUEST_NOT_FOUND',
      3,
      /nosuchnode/,
      /manage-federation pending/,
    ],
    [
      'a rejection of nobody',
      ['reject', 'nosuchnode'],
      'REQUEST_NOT_FOUND',
      3,
      /nosuchnode/,
      /manage-federation pending/,
    ],
    ['no node', ['exec', '--', 'true'], 'USAGE', 2, /no node named/, /exec NODE/],
    ['no program', ['exec', 'w1'], 'USAGE', 2, /no command given/, /manage-federation exec w1 -- /],
    ['no program for many', ['broadcast'], 'USAGE', 2, /no command given/, /manage-federation broadcast -- /],
    ['nothing behind --', ['exec', 'w1', '--'], 'USAGE', 2, /no command given behind --/, /--/],
    ['several words without --', ['exec', 'w1', 'ls', 'folder'], 'USAGE', 2, /needs -- before it/, /-- ls folder/],
    ['an empty program', ['exec', 'w1', '--', ''], 'USAGE', 2, /program has no name/, /./],
    ['an empty line for the shell', ['exec', 'w1', ''], 'USAGE', 2, /./, /./],
    [
      'a duration that is none',
      ['exec', 'w1', '--timeout', 'soon', '--', 'true'],
      'USAGE',
      2,
      /--timeout: "soon" is not a time/,
      /--timeout 15m/,
    ],
    [
      'a duration of nothing',
      ['exec', 'w1', '--timeout', '0', '--', 'true'],
      'USAGE',
      2,
      /--timeout: "0"/,
      /--timeout/,
    ],
    ['a negative duration', ['exec', 'w1', '--timeout=-5s', '--', 'true'], 'USAGE', 2, /--timeout: "-5s"/, /--timeout/],
    ['a duration without end', ['exec', 'w1', '--timeout', '1e400', '--', 'true'], 'USAGE', 2, /timeout/, /./],
    [
      'a duration of years',
      ['exec', 'w1', '--timeout', '9999d', '--', 'true'],
      'USAGE',
      2,
      /--timeout: 9999d is over 24 days/,
      /--timeout 24d/,
    ],
    [
      'a variable without a name',
      ['exec', 'w1', '--env', '=x', '--', 'true'],
      'USAGE',
      2,
      /--env: "=x"/,
      /--env LANG=C/,
    ],
    [
      'a variable that is not set here',
      ['exec', 'w1', '--env', 'NOT_SET_ANYWHERE', '--', 'true'],
      'USAGE',
      2,
      /--env: "NOT_SET_ANYWHERE"/,
      /--env/,
    ],
    ['a variable of no shell', ['exec', 'w1', '--env', '1A=b', '--', 'true'], 'USAGE', 2, /env/, /./],
    [
      'a command that is too long',
      ['exec', 'w1', '--', 'echo', long, long, long],
      'USAGE',
      2,
      /longer than 256 KiB/,
      /./,
    ],
    ['input for many', ['exec', '--all', '--stdin', 'w1', '--', 'true'], 'USAGE', 2, /stands before --/, /./],
    [
      'a label that is none',
      ['token', 'create', '--labels', 'gpu'],
      'USAGE',
      2,
      /--labels: "gpu" is not KEY=VALUE/,
      /--labels/,
    ],
    ['a file without a path', ['read', 'w1'], 'USAGE', 2, /missing required argument 'path'/, /--help/],
    ['a file of nobody', ['read', 'nosuchnode', '/tmp/x'], 'NODE_NOT_FOUND', 3, /"nosuchnode"/, /./],
    [
      'an offset that is none',
      ['read', 'w1', '/tmp/x', '--offset', 'many'],
      'USAGE',
      2,
      /--offset: "many"/,
      /--offset/,
    ],
    ['a length below zero', ['read', 'w1', '/tmp/x', '--length=-5'], 'USAGE', 2, /--length: "-5"/, /--length/],
    ['a path of several lines', ['read', 'w1', '/tmp/a\nb'], 'USAGE', 2, /path: must not hold control/, /./],
    ['a path that is too long', ['read', 'w1', `/${'x/'.repeat(2048)}`], 'USAGE', 2, /path: is longer than/, /./],
    ['a folder as a file', ['read', 'w1', '/tmp/'], 'USAGE', 2, /a folder is no file/, /name a file/],
    ['the home of another', ['read', 'w1', '~bob/x'], 'USAGE', 2, /only ~\/ is known/, /whole path/],
    [
      'a file that is not open',
      ['read', 'w1', '/etc/passwd'],
      'PATH_DENIED',
      255,
      /\/etc\/passwd: open are/,
      /worker\.files/,
    ],
    ['a file by way of ..', ['read', 'w1', '/tmp/../etc/passwd'], 'PATH_DENIED', 255, /\/etc\/passwd/, /worker\.files/],
    ['a file that is not there', ['read', 'w1', '/tmp/no/such'], 'PATH_NOT_FOUND', 3, /does not exist/, /./],
    ['a write where it is not open', ['write', 'w1', '/etc/x'], 'PATH_DENIED', 255, /open are/, /worker\.files/],
    ['a mode that is none', ['write', 'w1', '/tmp/x', '--mode', 'rwx'], 'USAGE', 2, /--mode: "rwx"/, /--mode 644/],
    ['a mode for root', ['write', 'w1', '/tmp/x', '--mode', '4755'], 'USAGE', 2, /--mode: "4755"/, /--mode 644/],
    [
      'a source that is not there',
      ['write', 'w1', '/tmp/x', '--from', '/no/such'],
      'USAGE',
      2,
      /--from: .*ENOENT/,
      /./,
    ],
    ['a source that is a folder', ['write', 'w1', '/tmp/x', '--from', '/tmp'], 'USAGE', 2, /no regular file/, /./],
    ['arguments that are no JSON', ['tool', 'w1', 'image', '{'], 'USAGE', 2, /a JSON object/, /./],
    ['arguments that are a list', ['tool', 'w1', 'image', '[]'], 'USAGE', 2, /a JSON object/, /./],
    ['a name of no tool', ['tool', 'w1', 'no tool'], 'USAGE', 2, /tool: is not a tool/, /./],
    [
      'a tool that is not listed',
      ['tool', 'w1', 'image'],
      'TOOL_DENIED',
      255,
      /not on this node’s list/,
      /worker\.tools/,
    ],
    ['a command that is not listed', ['tool', 'w1', 'node:system.run'], 'TOOL_DENIED', 255, /list of tools/, /./],
    ['a role that is none', ['token', 'create', '--role', 'boss'], 'USAGE', 2, /--role/, /--help/],
    [
      'a name that is none',
      ['token', 'create', '--name', 'Not A Name'],
      'NODE_NAME_INVALID',
      2,
      /name/,
      /use not-a-name/,
    ],
    ['a life that is none', ['token', 'create', '--ttl', 'ever'], 'USAGE', 2, /--ttl: "ever"/, /--ttl/],
    [
      'a life that is too long',
      ['token', 'create', '--ttl', '365d'],
      'USAGE',
      2,
      /--ttl: 365d is over 30 days/,
      /--ttl 30d/,
    ],
  ])('%s: two lines, the right code, and the same as JSON', async (_, words, code, exitCode, error, hint) => {
    const [ended, json] = await Promise.all([federation.manage(words), federation.manage(['--json', ...words])]);
    expect(ended).toMatchObject({ exitCode, signal: null });
    const said = expectTwoLines(ended);
    expect(said.error).toMatch(error);
    expect(said.hint).toMatch(hint);
    expect(json).toMatchObject({ exitCode, stderr: '' });
    expect(JSON.parse(json.stdout)).toEqual({ code, message: said.error, hint: said.hint });
  });

  it('nothing of that changed anything', async () => {
    const audit = await federation.ask<AuditView[]>('audit', '--limit', '1000');
    // What a node refused is known to have been asked for.
    const attempts = audit.filter(({ action }) => /^(?:file|tool)\./.test(action));
    expect(audit.filter((record) => !attempts.includes(record))).toEqual(before);
    const ends = attempts.filter(({ action }) => action.endsWith('.end'));
    expect(new Set(ends.map(({ detail }) => detail['outcome']))).toEqual(new Set(['failed', 'denied']));
    expect(await federation.ask('jobs')).toEqual([]);
  });

  it('a folder that is not there ends the command before it starts, with 127', async () => {
    for (const folder of ['/no/such/folder', '/etc/passwd']) {
      const ended = await federation.manage(['exec', 'w1', '--cwd', folder, '--', 'true']);
      expect(ended).toMatchObject({ exitCode: 127, stderr: `w1: no such directory: ${folder}\n` });
    }
  });

  it('the beginning of an id that two nodes have: both are named, and nothing runs', async () => {
    const { address, port } = JSON.parse(await readFile(join(federation.home, 'hub.json'), 'utf8')) as HubRecord;
    const { prefix, keys } = twinKeys();
    const workers: Running[] = [];
    try {
      for (const [at, pem] of keys.entries()) {
        const home = federation.place.file(`twin-${at}`);
        const { token } = await federation.ask<TokenCreated>('token', 'create');
        await mkdir(home, { mode: 0o700 });
        await writeFile(join(home, 'node.key'), pem, { mode: 0o600 });
        await writeFile(join(home, 'join-token'), token, { mode: 0o600 });
        const flags = ['--home', home, '--name', `twin-${at}`, '--hub', `${address}:${port}`];
        workers.push(federation.place.start('federation-worker', flags));
        await federation.untilState(`twin-${at}`, 'online');
      }
      const before = await federation.ask<JobView[]>('jobs');
      const ended = await federation.manage(['exec', prefix, '--', 'true']);
      expect(ended.exitCode).toBe(3);
      const { error, hint } = expectTwoLines(ended);
      expect(error).toMatch(/names 2 nodes: twin-0 \([0-9a-f]{12}\), twin-1 \([0-9a-f]{12}\)$/);
      expect(hint).toMatch(/^use the id: [0-9a-f]{12} or [0-9a-f]{12}$/);
      expect(await federation.ask('jobs')).toEqual(before);
    } finally {
      for (const worker of workers) worker.kill('SIGTERM');
      await Promise.all(workers.map(({ ended }) => ended));
    }
  });

  it('a second federation in the same folder is refused, and the first one runs on', async () => {
    const ended = await federation.local('--workers', '1', '--no-openclaw');
    expect(ended.exitCode).toBe(1);
    const { error, hint } = expectTwoLines({ ...ended, stderr: ended.stderr.replace(/^starting .*\n/, '') });
    expect(error).toContain(`process ${await federation.pidOf('supervisor')} runs a federation`);
    expect(hint).toContain('--stop');
    expect(await federation.stateOf('w1')).toBe('online');
  });

  it('a second hub in the same home is refused, and the first one runs on', async () => {
    const ended = await federation.place.run('federation-hub', ['--home', federation.home, '--port', '0']);
    expect(ended.exitCode).toBe(1);
    expect(expectTwoLines(ended).error).toMatch(/another hub/);
    expect(await federation.stateOf('w1')).toBe('online');
  });

  it('a broken pipe, no colour and no terminal: plain words, and no complaint', async () => {
    const manage = `manage-federation --home '${federation.home}'`;
    const line = `for n in 1 2 3; do ${manage} list | head -n 0; done; ${manage} list | head -n 1`;
    const ended = await federation.place.startShell(line, { env: { NO_COLOR: '1' } }).ended;
    expect(ended).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/^NAME .*\n$/), stderr: '' });
    for (const words of [['list'], ['status'], ['doctor'], ['--help'], ['exec', '--help'], ['broadcast', 'true']]) {
      const { exitCode, stdout, stderr } = await federation.manage(words);
      expect(exitCode).toBe(0);
      expect(stdout + stderr).not.toContain('\u001b');
    }
  });
});

describe('a home that can’t be used', () => {
  let place: Place;
  beforeEach(async () => {
    place = await makePlace();
  });
  afterEach(() => place.remove());

  async function homeWith(settings: string): Promise<string> {
    const home = place.file('home');
    await mkdir(home, { recursive: true, mode: 0o700 });
    await writeFile(join(home, 'settings.yaml'), settings);
    return home;
  }

  /** Starts a hub by hand and waits until it answers. */
  async function startHub(home: string, ...flags: string[]): Promise<Running> {
    const running = place.start('federation-hub', ['--home', home, '--port', '0', ...flags]);
    await until('the hub answers', async () => {
      const { exitCode } = await place.run('manage-federation', ['--home', home, 'status']);
      return exitCode === 0;
    });
    return running;
  }

  async function stopHub(running: Running): Promise<void> {
    running.kill('SIGTERM');
    expect(await running.ended).toMatchObject({ exitCode: 0 });
  }

  it('no hub runs there', async () => {
    for (const words of [['list'], ['exec', 'w1', '--', 'true'], ['broadcast', 'true'], ['audit', 'verify']]) {
      const ended = await place.run('manage-federation', ['--home', place.file('none'), ...words]);
      expect(ended.exitCode).toBe(1);
      expect(expectTwoLines(ended).error).toContain('no hub answers');
    }
    expect(await readdir(place.path)).toEqual([]);
  });

  it('no federation runs there', async () => {
    for (const flag of ['--stop', '--status']) {
      const words = ['local', '--dir', place.file('none'), flag];
      const ended = await place.run('deploy-federation', words);
      expect(ended.exitCode).toBe(1);
      expect(expectTwoLines(ended).error).toContain('no federation runs');
      const json = await place.run('deploy-federation', [...words, '--json']);
      expect(json).toMatchObject({ exitCode: 1, stderr: '' });
      expect(JSON.parse(json.stdout)).toMatchObject({ code: 'NOT_RUNNING' });
    }
    expect(await readdir(place.path)).toEqual([]);
  });

  it.each([
    ['no YAML', 'hub: [1, 2', /settings: .+/],
    ['an unknown key', 'hub:\n  prot: 19000\n', /settings: hub\.prot: unknown setting/],
    ['a wrong type', 'hub:\n  port: many\n', /settings: hub\.port: /],
    ['a wrong word', 'worker:\n  exec:\n    mode: sometimes\n', /settings: worker\.exec\.mode: /],
    ['no map', '- a\n- b\n', /settings: .+/],
    ['an alias', 'name: &a pi\nrole: *a\n', /settings: .+/],
  ])('settings with %s', async (_, text, problem) => {
    const home = await homeWith(text);
    for (const daemon of ['federation-hub', 'federation-worker'] as const) {
      const ended = await place.run(daemon, ['--home', home]);
      expect(ended.exitCode).toBe(2);
      const { error, hint } = expectTwoLines(ended);
      expect(error).toMatch(problem);
      expect(hint).toContain(join(home, 'settings.yaml'));
    }
    expect(await readdir(home)).toEqual(['settings.yaml']);
  });

  it('settings of the environment that are wrong', async () => {
    const env = { OPENCLAW_FEDERATION_HUB_PORT: '123456' };
    const ended = await place.run('federation-hub', ['--home', place.file('home')], { env });
    expect(ended.exitCode).toBe(2);
    expect(expectTwoLines(ended)).toMatchObject({
      error: expect.stringMatching(/hub\.port/),
      hint: expect.stringMatching(/^mend the flag, the environment or .*settings\.yaml$/),
    });
  });

  it.each<['federation-hub' | 'federation-worker' | 'deploy-federation', string[], RegExp]>([
    ['federation-hub', ['--nope'], /--nope/],
    ['federation-hub', ['--port', 'many'], /port/],
    ['federation-worker', ['--nope'], /--nope/],
    ['federation-worker', [], /worker\.hub: not set/],
    ['federation-worker', ['--hub', 'not an address'], /./],
    ['federation-worker', ['--hub', '127.0.0.1:1', '--name', 'Not A Name'], /node name/],
    ['deploy-federation', ['local', '--workers', '0'], /--workers/],
    ['deploy-federation', ['local', '--wrokers', '1'], /--wrokers/],
    ['deploy-federation', ['lokal'], /lokal/],
    ['deploy-federation', [], /no command given/],
    ['deploy-federation', ['worker', ''], /no name is given/],
    ['deploy-federation', ['worker', '127.0.0.1:1', '--token-file', '-'], /nothing came by standard input/],
  ])('%s %j', async (command, words, problem) => {
    const ended = await place.run(command, words);
    expect(ended.exitCode).toBe(2);
    expect(expectTwoLines(ended).error).toMatch(problem);
  });

  it('a port that another program has', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await until('the port is taken', () => other.listening);
    const { port } = other.address() as AddressInfo;
    try {
      const ended = await place.run('federation-hub', ['--home', place.file('home'), '--port', String(port)]);
      expect(ended.exitCode).toBe(1);
      const { error, hint } = expectTwoLines(ended);
      expect(error).toBe(`127.0.0.1:${port} is in use`);
      expect(hint).toContain('--port');
    } finally {
      other.close();
    }
  });

  it('a home below a file', async () => {
    await writeFile(place.file('file'), 'mine');
    for (const [command, flags] of [
      ['federation-hub', ['--home', place.file('file/home')]],
      ['federation-worker', ['--home', place.file('file/home'), '--hub', '127.0.0.1:1']],
      ['deploy-federation', ['local', '--no-openclaw', '--dir', place.file('file/home')]],
      ['deploy-federation', ['local', '--no-openclaw', '--detach', '--dir', place.file('file/home')]],
    ] as const) {
      const ended = await place.run(command, flags);
      expect(ended.exitCode).toBe(1);
      const { error } = expectTwoLines({ ...ended, stderr: ended.stderr.replace(/^starting .*\n/, '') });
      expect(error).toContain('can’t be used');
    }
    expect(await readFile(place.file('file'), 'utf8')).toBe('mine');
  });

  it('a home that is read-only', async ({ skip }) => {
    const home = place.file('home');
    await stopHub(await startHub(home));
    const before = await contentOf(home);
    const mounted = (line: string) => place.startShell(`exec unshare --mount --map-root-user sh -c "${line}"`).ended;
    const readOnly = `mount --bind '${home}' '${home}' && mount -o remount,bind,ro '${home}'`;
    skip((await mounted(readOnly)).exitCode !== 0, 'NOT TESTED: no mount namespace can be made here');
    const ended = await mounted(`${readOnly} && exec '${BIN}/federation-hub' --home '${home}' --port 0`);
    expect(ended.exitCode).toBe(1);
    expectTwoLines(ended);
    expect(await contentOf(home)).toEqual(before);
  });

  it('a socket that a killed hub left: the next one takes its place', async () => {
    const home = place.file('home');
    const first = await startHub(home);
    const { operator } = JSON.parse(await readFile(join(home, 'hub.json'), 'utf8')) as HubRecord;
    first.kill('SIGKILL');
    await first.ended;
    expect((await readdir(join(operator, '..'))).toSorted()).toEqual(['operator.sock', 'plugin.sock']);
    const dead = await place.run('manage-federation', ['--home', home, 'list']);
    expect(dead.exitCode).toBe(1);
    expect(expectTwoLines(dead).error).toContain('no hub answers');
    const second = await startHub(home);
    expect(await place.run('manage-federation', ['--home', home, 'doctor'])).toMatchObject({ exitCode: 0 });
    await stopHub(second);
  });

  it.each([
    [
      'is no database',
      async (path: string) =>
        writeFile(path, 'this is not a database, and long enough to be read as one. '.repeat(200)),
    ],
    ['has a page overwritten', (path: string) => overwrite(path, 4096)],
    ['has its header overwritten', (path: string) => overwrite(path, 0)],
  ])('a store that %s is refused, and not touched', async (_, damage) => {
    const home = place.file('home');
    await stopHub(await startHub(home));
    await damage(join(home, 'hub.sqlite'));
    const before = await contentOf(home);
    const ended = await place.run('federation-hub', ['--home', home, '--port', '0']);
    expect(ended.exitCode).toBe(1);
    const { error, hint } = expectTwoLines(ended);
    expect(error).toContain('is damaged; nothing was changed');
    expect(hint).toContain('backup');
    expect(await contentOf(home)).toEqual(before);
  });
});

/** Every file of a folder with the hash of what it holds. */
async function contentOf(folder: string): Promise<Record<string, string>> {
  const all = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = all.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
  const names = files.map((path) => relative(folder, path)).toSorted();
  const hashes = await Promise.all(
    names.map(async (name) =>
      createHash('sha256')
        .update(await readFile(join(folder, name)))
        .digest('hex'),
    ),
  );
  return Object.fromEntries(names.map((name, at) => [name, hashes[at]!]));
}

async function overwrite(path: string, at: number): Promise<void> {
  const file = await open(path, 'r+');
  await file.write(Buffer.alloc(2048, 0xa5), 0, 2048, at);
  await file.close();
}

/** Two node keys whose ids begin alike: of a few thousand keys two do (the birthday of 24 bits). */
function twinKeys(): { prefix: string; keys: [string, string] } {
  const seen = new Map<string, string>();
  for (;;) {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    const raw = publicKey.export({ type: 'spki', format: 'der' }).subarray(-32);
    const prefix = createHash('sha256').update(raw).digest('hex').slice(0, 6);
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    const other = seen.get(prefix);
    if (other !== undefined) return { prefix, keys: [other, pem] };
    seen.set(prefix, pem);
  }
}
