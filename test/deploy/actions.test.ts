import { createHash } from 'node:crypto';
import { appendFile, chmod, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { execa } from 'execa';
import { parse } from 'jsonc-parser';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { formatJoinToken } from '#src/core/join-token.ts';
import type { WorkerRecord } from '#src/core/worker-record.ts';
import type { Action } from '#src/deploy/action.ts';
import type { Context } from '#src/deploy/actions/context.ts';
import { mergedText, unmergedText } from '#src/deploy/actions/merge-text.ts';
import { kindOf } from '#src/deploy/actions/kinds.ts';
import { tailscaleBelow } from '#src/deploy/actions/tailscale.ts';
import { eventually } from '../support/eventually.ts';
import type { ScratchMachine } from '../support/scratch-machine.ts';
import { scratchMachine } from '../support/scratch-machine.ts';

let scratch: ScratchMachine;

beforeEach(async () => {
  scratch = await scratchMachine();
});

afterEach(() => scratch.dispose());

/** Does it as a deployment does, and gives what takes it back. */
async function done(action: Action, context: Context = scratch.context): Promise<() => Promise<void>> {
  const kind = kindOf(action);
  const before = await kind.before(action, context);
  const content = await kind.content?.(action, context);
  await kind.apply(action, context);
  // A second time is harmless.
  await kind.apply(action, context);
  const remembered = kind.remember?.(action, null) ?? action;
  return () => kind.undo(remembered, before, context, (text) => text.toString() === content?.next);
}

function write(path: string, text: string, more: object = {}): Action {
  return { do: 'write', path, mode: 0o640, owner: 'person', text, ...more };
}

function merge(path: string, values: Record<string, unknown>, secrets: string[] = []): Action {
  return { do: 'merge', path, mode: 0o600, owner: 'person', values, secrets };
}

test('a file that is written goes again, with the folders that were made for it', async () => {
  const before = await scratch.snapshot();
  const path = scratch.path('.config/systemd/user/a.service');
  const undo = await done(write(path, '[Unit]\n'));
  expect(await readFile(path, 'utf8')).toBe('[Unit]\n');
  expect((await stat(path)).mode & 0o777).toBe(0o640);
  await undo();
  expect(await scratch.snapshot()).toEqual(before);
});

test('a file that was there comes back with its bytes and permissions, however often it is taken back', async () => {
  const path = scratch.path('file');
  await writeFile(path, Buffer.from([0xff, 0, 10]));
  await chmod(path, 0o604);
  const before = await scratch.snapshot();
  const undo = await done(write(path, 'ours'));
  await undo();
  await undo();
  expect(await withoutBackups()).toEqual(before);
  expect(scratch.lines).toEqual([]);
});

test('a link that was in the place of a file comes back as a link', async () => {
  await symlink('/dev/null', scratch.path('masked.service'));
  const before = await scratch.snapshot();
  const undo = await done(write(scratch.path('masked.service'), 'ours'));
  await undo();
  expect(await scratch.snapshot()).toEqual(before);
});

test('what a person has made of our file is kept for them, and they are told', async () => {
  const path = scratch.path('folder/settings.yaml');
  const undo = await done(write(path, 'ours\n'));
  await writeFile(path, 'theirs\n');
  await writeFile(scratch.path('settings.yaml.kept-by-uninstall'), 'of another time');
  await undo();
  expect(Object.keys(await scratch.snapshot())).toEqual([
    'settings.yaml.kept-by-uninstall',
    'settings.yaml.kept-by-uninstall.2',
  ]);
  expect(await readFile(scratch.path('settings.yaml.kept-by-uninstall.2'), 'utf8')).toBe('theirs\n');
  expect(scratch.lines).toEqual([
    `${path} was changed after it was deployed: that version is now ${scratch.path('settings.yaml.kept-by-uninstall.2')}`,
  ]);
});

test('a folder goes with all that came into it, and with the folders made for it that are empty', async () => {
  const before = await scratch.snapshot();
  const path = scratch.path('a/b/c');
  const undo = await done({ do: 'folder', path, mode: 0o700, owner: 'person' });
  expect((await stat(path)).mode & 0o777).toBe(0o700);
  await mkdir(join(path, 'deep'));
  await writeFile(join(path, 'deep/file'), '');
  await undo();
  expect(await scratch.snapshot()).toEqual(before);
});

test('the folder of the person’s OpenClaw goes only where nothing is left in it', async () => {
  const before = await scratch.snapshot();
  const path = scratch.context.place.openclawState;
  const action: Action = { do: 'folder', path, mode: 0o700, owner: 'person' };
  const undo = await done(action);
  await mkdir(join(path, 'agents'));
  await writeFile(join(path, 'agents/memory'), 'months');
  await undo();
  expect(await readFile(join(path, 'agents/memory'), 'utf8')).toBe('months');
  expect(scratch.lines).toEqual([`${path} stays, with what OpenClaw has made in it`]);
  await rm(join(path, 'agents'), { recursive: true });
  await undo();
  expect(await scratch.snapshot()).toEqual(before);
});

test('a folder that was there stays, with what is in it and as it was', async () => {
  await mkdir(scratch.path('there'));
  await chmod(scratch.path('there'), 0o751);
  await writeFile(scratch.path('there/file'), '');
  const before = await scratch.snapshot();
  const undo = await done({ do: 'folder', path: scratch.path('there'), mode: 0o700, owner: 'person' });
  await undo();
  expect(await scratch.snapshot()).toEqual(before);
});

test('a link in the place of our folder is not followed when it is taken back', async () => {
  await mkdir(scratch.path('precious'));
  const path = scratch.path('ours');
  const undo = await done({ do: 'folder', path, mode: 0o700, owner: 'person' });
  await scratch.context.machine.run({ argv: ['rmdir', path], as: 'login', signal: scratch.context.signal });
  await symlink(scratch.path('precious'), path);
  await expect(undo()).rejects.toMatchObject({ code: 'STEP_FAILED' });
  expect(Object.keys(await scratch.snapshot())).toEqual(['ours', 'precious']);
});

test('a file in the place of a folder, and a folder in that of a file, are refused', async () => {
  await writeFile(scratch.path('file'), '');
  await mkdir(scratch.path('folder'));
  const folder: Action = { do: 'folder', path: scratch.path('file'), mode: 0o700, owner: 'person' };
  await expect(done(folder)).rejects.toMatchObject({ code: 'STEP_FAILED' });
  await expect(done(write(scratch.path('folder'), ''))).rejects.toMatchObject({ code: 'STEP_FAILED' });
});

test('a link is made and taken back, and one that a person made of it stays', async () => {
  const before = await scratch.snapshot();
  const action: Action = { do: 'link', path: scratch.path('bin/tool'), target: '/opt/tool', owner: 'person' };
  const undo = await done(action);
  await undo();
  expect(await scratch.snapshot()).toEqual(before);
  const again = await done(action);
  await scratch.context.machine.run({
    ...{ argv: ['ln', '-sfn', '/usr/bin/theirs', scratch.path('bin/tool')], as: 'login' },
    signal: scratch.context.signal,
  });
  await again();
  expect((await scratch.snapshot())['bin/tool']).toContain('/usr/bin/theirs');
});

const SETTINGS = `// mine
{
    "gateway": { "port": 18789, /* usual */ },
    "agents": ["a", "b"], // trailing
}
`;

test('keys are set in a person’s file among their comments, and the file comes back as it was', async () => {
  const path = scratch.path('openclaw.json');
  await writeFile(path, SETTINGS, { mode: 0o644 });
  const before = await scratch.snapshot();
  const undo = await done(merge(path, { 'gateway.bind': 'loopback', 'a.b.c': false }));
  expect(await readFile(path, 'utf8')).toMatchInlineSnapshot(`
    "// mine
    {
        "gateway": { "port": 18789, /* usual */ "bind": "loopback", },
        "agents": ["a", "b"], // trailing
        "a": {
            "b": {
                "c": false
            }
        },
    }
    "
  `);
  await undo();
  expect(await withoutBackups()).toEqual(before);
});

test('in a file that was changed after us only our keys are taken back, but for those that were changed', async () => {
  const path = scratch.path('openclaw.json');
  await writeFile(path, SETTINGS);
  const undo = await done(
    merge(path, { 'gateway.bind': 'loopback', 'gateway.token': 's3cret', 'a.b.c': false, x: 1 }, ['gateway.token']),
  );
  const now = await readFile(path, 'utf8');
  await writeFile(path, now.replace('"x": 1', '"x": 2').replace('"agents": ["a", "b"]', '"agents": ["c"]'));
  await undo();
  expect(await readFile(path, 'utf8')).toMatchInlineSnapshot(`
    "// mine
    {
        "gateway": { "port": 18789, /* usual */ },
        "agents": ["c"], // trailing
        "x": 2,
    }
    "
  `);
  expect(scratch.lines).toHaveLength(1);
});

test('a file that was closed for a secret is as open as before, also where it was changed meanwhile', async () => {
  const path = scratch.path('openclaw.json');
  await writeFile(path, '{ "a": 1 }\n', { mode: 0o644 });
  for (const change of ['', '\n']) {
    const undo = await done(merge(path, { token: 's3cret' }, ['token']));
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    await appendFile(path, change);
    await undo();
    expect((await stat(path)).mode & 0o777).toBe(0o644);
  }
  const { backups } = scratch.context.place;
  const [copy] = await readdir(backups);
  expect([(await stat(backups)).mode & 0o777, (await stat(join(backups, copy!))).mode & 0o777]).toEqual([0o700, 0o600]);
});

test.each([
  '{}',
  '{ }\n',
  '{\n}\n',
  '{"a":{"b":1},"z":[1,2]}',
  '{ "a": { "b": 1, }, }',
  '{\r\n\t"a": {\r\n\t\t"b": 1 // one\r\n\t}\r\n}\r\n',
  '{\n  // nothing yet\n}\n',
  '{\n  "a": {}, /* empty */ "k": "a // b", // end\n}\n',
  '// first\n{\n   "a":\n   {\n      "b": ","\n   }\n   // last\n}',
])('what is merged into %j is a value like any, and taken out of it leaves no trace', (text) => {
  const values = { 'a.c.d': ['x', { y: 1 }], 'a.e': 'l\n', f: false };
  const merged = mergedText('file', text, values);
  expect(mergedText('file', merged, values)).toBe(merged);
  expect(parse(merged)).toMatchObject({ a: { c: { d: ['x', { y: 1 }] }, e: 'l\n' }, f: false });
  expect(unmergedText({ now: merged, original: text, values })?.replace(/\s*}/, '}')).toBe(text.replace(/\s*}/, '}'));
});

test.each([
  ['["/theirs"]', '["/theirs", "/ours"]'],
  ['[ "/theirs", ]', '[ "/theirs", "/ours", ]'],
  ['[\n    "/theirs", // by hand\n  ]', '[\n    "/theirs", // by hand\n    "/ours",\n  ]'],
  ['[\n    "/theirs" // by hand\n  ]', '[\n    "/theirs", // by hand\n    "/ours"\n  ]'],
])('into the list %j of a person ours is put, and taken out of it', (list, longer) => {
  const text = `{\n  "paths": ${list}, "a": 1\n}\n`;
  const values = { paths: ['/theirs', '/ours'] };
  const merged = mergedText('file', text, values);
  expect(merged).toBe(text.replace(list, longer));
  expect(mergedText('file', merged, values)).toBe(merged);
  expect(unmergedText({ now: merged, original: text, values })).toBe(text);
});

test('what a person has put into a list beside ours stays, and ours goes', () => {
  const values = { 'load.paths': ['/ours'], allow: ['theirs', 'ours'] };
  const original = '{ "allow": ["theirs"] }';
  const now = mergedText('file', original, values)
    .replace('"/ours"', '"/ours", /* mine */ "/new"')
    .replace('"theirs", "ours"', '"ours", "newer"');
  const back = unmergedText({ now, original, values });
  expect(parse(back ?? '')).toEqual({ load: { paths: ['/new'] }, allow: ['newer'] });
  expect(back).toContain('/* mine */ "/new"');
});

test('a list that becomes another one keeps the comments at what stays in it', () => {
  const text = '{ "ids": ["1", /* me */ "2", "3"] }';
  expect(mergedText('file', text, { ids: ['2', '4'] })).toBe('{ "ids": [ /* me */ "2", "4"] }');
  expect(parse(mergedText('file', text, { ids: ['3', '2'] }))).toEqual({ ids: ['3', '2'] });
});

test('a file that was made for our keys goes with them, also when a program has written it anew', async () => {
  const before = await scratch.snapshot();
  const path = scratch.path('.openclaw/openclaw.json');
  const undo = await done(merge(path, { 'gateway.mode': 'local' }));
  expect(await readFile(path, 'utf8')).toBe('{\n  "gateway": {\n    "mode": "local"\n  }\n}\n');
  await writeFile(path, '{"gateway":{"mode":"local"}}');
  await undo();
  expect(await scratch.snapshot()).toEqual(before);
});

test('a file that the person keeps elsewhere is changed there, and the link to it stays', async () => {
  await writeFile(scratch.path('real.json'), '{}');
  await symlink('real.json', scratch.path('openclaw.json'));
  const before = await scratch.snapshot();
  const undo = await done(merge(scratch.path('openclaw.json'), { a: 1 }));
  expect(await readFile(scratch.path('real.json'), 'utf8')).toContain('"a": 1');
  await undo();
  expect(await withoutBackups()).toEqual(before);
});

test.each([
  ['{ broken', 'InvalidSymbol'],
  ["{ unquoted: 'JSON5' }", 'InvalidSymbol'],
  ['[]', 'it is no map'],
  ['{ "gateway": 5 }', 'gateway is no map'],
  ['{ "gateway": {"bind": "lan"}, "gateway": {} }', 'stands in it twice'],
])('%s is refused with the keys to set by hand, and stays as it is', async (text, problem) => {
  const path = scratch.path('openclaw.json');
  await writeFile(path, text);
  await expect(done(merge(path, { 'gateway.bind': 'loopback' }))).rejects.toMatchObject({
    code: 'SETTINGS_INVALID',
    message: expect.stringContaining(problem) as string,
    hint: expect.stringContaining('gateway.bind') as string,
  });
  expect(await readFile(path, 'utf8')).toBe(text);
});

test('a unit is enabled and started, and stands afterwards as it stood before', async () => {
  const unit: Action = {
    ...{ do: 'unit', unit: { name: 'openclaw-worker.service', scope: 'user' } },
    ...{ want: { enabled: true, active: true }, restart: false },
  };
  const undo = await done(unit);
  const calls = await scratch.programs.calls();
  expect(calls).toContain('systemctl --user enable openclaw-worker.service');
  expect(calls).toContain('systemctl --user start openclaw-worker.service');
  await undo();
  expect((await scratch.programs.calls()).slice(calls.length)).toMatchInlineSnapshot(`
    [
      "systemctl --user show --property LoadState --value openclaw-worker.service",
      "systemctl --user stop openclaw-worker.service",
      "systemctl --user disable openclaw-worker.service",
    ]
  `);
});

test('a person’s gateway that was stopped runs again afterwards', async () => {
  await scratch.programs.set('user-openclaw-gateway.service.enabled');
  await scratch.programs.set('user-openclaw-gateway.service.active');
  const undo = await done({
    ...{ do: 'unit', unit: { name: 'openclaw-gateway.service', scope: 'user' } },
    ...{ want: { enabled: false, active: false }, restart: false },
  });
  await undo();
  const ask = (verb: string) =>
    execa('systemctl', ['--user', verb, 'openclaw-gateway.service'], { reject: false }).then(({ stdout }) => stdout);
  expect([await ask('is-enabled'), await ask('is-active')]).toEqual(['enabled', 'active']);
});

test('a socket that came up with the hub, before its own turn, is stopped with what we brought', async () => {
  await scratch.programs.set('system-federation-hub-plugin.socket.active');
  const undo = await done({
    ...{ do: 'unit', unit: { name: 'federation-hub-plugin.socket', scope: 'system' } },
    ...{ want: { enabled: true, active: true }, restart: false },
  });
  const { length } = await scratch.programs.calls();
  await undo();
  const calls = (await scratch.programs.calls()).slice(length).map((call) => call.replace(/^sudo (?:-\S+ )*/, ''));
  expect(calls).toEqual(
    expect.arrayContaining([
      'systemctl stop federation-hub-plugin.socket',
      'systemctl disable federation-hub-plugin.socket',
    ]),
  );
  expect(calls).not.toContain('systemctl start federation-hub-plugin.socket');
});

test('a unit that does not start says what its program said last', async () => {
  await scratch.programs.set('broken');
  const unit: Action = {
    ...{ do: 'unit', unit: { name: 'federation-hub.service', scope: 'system' } },
    ...{ want: { enabled: true, active: true }, restart: true },
  };
  await expect(done(unit)).rejects.toMatchObject({
    code: 'START_FAILED',
    message: 'federation-hub.service does not start: and left with 2',
    hint: expect.stringMatching(/^(?:sudo )?journalctl -u federation-hub\.service -n 20$/) as string,
  });
});

test('a user and lingering go again where they were not there before', async () => {
  const user: Action = { do: 'user', name: 'federation-hub', home: scratch.path('hub') };
  await (
    await done(user)
  )();
  await (
    await done({ do: 'linger', user: 'claw-of-a-test' })
  )();
  await scratch.programs.set('passwd-federation-hub');
  await (
    await done(user)
  )();
  const calls = (await scratch.programs.calls()).map((call) => call.replace(scratch.path(''), '~'));
  const changes = calls.filter((call) => /^(?:user|group|loginctl)/.test(call));
  expect(changes).toMatchInlineSnapshot(`
    [
      "useradd --system --user-group --no-create-home --home-dir ~/hub --shell /usr/sbin/nologin federation-hub",
      "userdel federation-hub",
      "groupdel federation-hub",
      "loginctl enable-linger claw-of-a-test",
      "loginctl enable-linger claw-of-a-test",
      "loginctl disable-linger claw-of-a-test",
    ]
  `);
});

test('what somebody else’s program says is shown, and its last lines where it fails', async () => {
  const run = (script: string): Action => ({
    ...{ do: 'run', title: 'Install a thing', argv: ['sh', '-c', script], owner: 'person' },
    ...{ undo: ['rm', scratch.path('thing')], hint: 'look at the network' },
  });
  const undo = await done(run(`echo half; touch ${scratch.path('thing')}`));
  expect(scratch.lines).toEqual(['half', 'half']);
  await undo();
  expect(await scratch.snapshot()).toEqual({});
  await expect(done(run('echo no; echo why >&2; exit 4'))).rejects.toMatchObject({
    code: 'STEP_FAILED',
    message: 'can’t install a thing: why',
    hint: 'look at the network',
  });
  await expect(done(run('echo "ENOSPC: no space left" >&2; exit 228'))).rejects.toMatchObject({ code: 'DISK_FULL' });
});

test('Tailscale’s own build is checked, installed, and leaves nothing', async () => {
  const tree = join(scratch.root, 'tree/tailscale_1_amd64');
  await mkdir(join(tree, 'systemd'), { recursive: true });
  const names = ['tailscale', 'tailscaled', 'systemd/tailscaled.service', 'systemd/tailscaled.defaults'];
  for (const name of names) await writeFile(join(tree, name), name);
  await execa('tar', ['-czf', join(scratch.root, 'a.tgz'), '-C', join(scratch.root, 'tree'), '.']);
  const tarball = await readFile(join(scratch.root, 'a.tgz'));
  const sum = createHash('sha256').update(tarball).digest('hex');
  const files: Record<string, Buffer | string> = {
    '/a.tgz': tarball,
    '/a.tgz.sha256': `${sum}\n`,
    '/b.tgz': tarball,
    '/b.tgz.sha256': '0'.repeat(64),
  };
  const server = createServer((request, response) => {
    const body = files[request.url ?? ''];
    response.writeHead(body === undefined ? 404 : 200).end(body);
  }).listen(0, '127.0.0.1');
  await eventually('it listens', () => server.listening);
  const url = (name: string) => `http://127.0.0.1:${(server.address() as AddressInfo).port}/${name}`;
  try {
    const { context } = scratch;
    const kind = tailscaleBelow(scratch.path('root'));
    for (const path of ['usr/sbin', 'usr/bin', 'etc/systemd/system', 'etc/default', 'var/lib', 'var/cache']) {
      await mkdir(scratch.path(`root/${path}`), { recursive: true });
    }
    const before = await scratch.snapshot();
    const action = { do: 'tailscale', url: url('a.tgz') } as const;
    const standing = await kind.before(action, context);
    await kind.apply(action, context);
    await kind.apply(action, context);
    expect(await readFile(scratch.path('root/usr/sbin/tailscaled'), 'utf8')).toBe('tailscaled');
    expect((await stat(scratch.path('root/usr/bin/tailscale'))).mode & 0o777).toBe(0o755);
    await mkdir(scratch.path('root/var/lib/tailscale'));
    await writeFile(scratch.path('root/var/lib/tailscale/tailscaled.state'), '{}');
    await kind.undo(action, standing, context, () => true);
    expect(await scratch.snapshot()).toEqual(before);
    expect(await scratch.programs.calls()).toEqual(
      expect.arrayContaining(['tailscale logout', 'systemctl disable --now tailscaled.service']),
    );

    for (const name of ['b.tgz', 'c.tgz']) {
      await expect(kind.apply({ do: 'tailscale', url: url(name) }, context)).rejects.toMatchObject({
        code: 'STEP_FAILED',
        message: expect.stringContaining(url(name)) as string,
      });
    }
    expect(await scratch.snapshot()).toEqual(before);
    // Nothing listens there, and the reason is said.
    await expect(kind.apply({ do: 'tailscale', url: 'http://127.0.0.1:1/d.tgz' }, context)).rejects.toMatchObject({
      message: expect.stringMatching(
        /^http:\/\/127\.0\.0\.1:1\/\S+ can’t be fetched from here: .*(?:bad port|ECONNREFUSED)/,
      ) as string,
    });
  } finally {
    server.close();
  }
});

function tailnet(authKeyFile: string | null): Action {
  return { do: 'tailnet', authKeyFile, loginServer: 'https://control.example', hostname: 'pi' };
}

test('an auth key reaches tailscale by a file that nobody else can read and that is gone afterwards', async () => {
  const keyFile = scratch.path('key');
  await writeFile(keyFile, 'tskey-good\n');
  const undo = await done(tailnet(keyFile));
  const [mode, path] = (await readFile(join(scratch.programs.folder, 'key-file'), 'utf8')).trim().split(' ');
  expect(mode).toBe('600');
  await expect(stat(path!)).rejects.toMatchObject({ code: 'ENOENT' });
  const calls = (await scratch.programs.calls()).join('\n');
  expect(calls).not.toContain('tskey');
  expect(calls).toContain('--login-server=https://control.example --hostname=pi');
  await undo();
  expect(await readFile(join(scratch.programs.folder, 'tailnet'), 'utf8')).toBe('NeedsLogin\n');
});

test('an auth key that the tailnet does not take is said so, without the key', async () => {
  const keyFile = scratch.path('key');
  await writeFile(keyFile, 'tskey-expired');
  const failing = done(tailnet(keyFile));
  await expect(failing).rejects.toMatchObject({ code: 'TAILNET_DOWN', hint: 'make a new one in its admin console' });
  await expect(failing).rejects.not.toThrow('tskey');
});

test('without a key the person gets the address of the login, and it is waited for', async () => {
  const bringing = done(tailnet(null));
  const said = await eventually('the address is shown', () => scratch.lines[0]);
  expect(said).toContain('open https://login.example/a/123');
  expect(said).toContain('█');
  await scratch.programs.set('logged-in');
  await bringing;
});

test('a login that nobody makes can be given up', async () => {
  const stopping = new AbortController();
  const bringing = done(tailnet(null), { ...scratch.context, signal: stopping.signal });
  bringing.catch(() => undefined);
  await eventually('the address is shown', () => scratch.lines[0]);
  stopping.abort(new Error('enough'));
  await expect(bringing).rejects.toThrow('enough');
});

test('a join token lies where only the person reads it, and goes again', async () => {
  const before = await scratch.snapshot();
  const given = formatJoinToken({ hubId: '0'.repeat(64), secret: 'A'.repeat(43) });
  const context = { ...scratch.context, joinToken: given, mint: () => Promise.resolve(given) };
  const path = scratch.path('join-token');
  for (const action of [
    { do: 'token', path },
    { do: 'mint-token', path, role: 'worker', name: 'pi', by: 'deployer' },
  ] as const) {
    const undo = await done(action, context);
    expect(await readFile(path, 'utf8')).toBe(`${given}\n`);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    await undo();
    expect(await scratch.snapshot()).toEqual(before);
  }
  await expect(done({ do: 'token', path })).rejects.toMatchObject({ code: 'TOKEN_INVALID' });
});

test('a master makes the token of its own worker by its own command', async () => {
  const given = formatJoinToken({ hubId: '0'.repeat(64), secret: 'A'.repeat(43) });
  const { bin } = scratch.context.place;
  await mkdir(bin, { recursive: true });
  const text = `#!/bin/sh\necho "$@" >${scratch.path('words')}\necho '{"token":"${given}"}'\n`;
  await writeFile(join(bin, 'manage-federation'), text, { mode: 0o755 });
  const path = scratch.path('join-token');
  await done({ do: 'mint-token', path, role: 'master', name: 'vps', by: 'machine' });
  expect(await readFile(path, 'utf8')).toBe(`${given}\n`);
  expect(await readFile(scratch.path('words'), 'utf8')).toBe(
    '--json token create --role master --name vps --ttl 15m\n',
  );
});

async function worker(standing: Partial<WorkerRecord>): Promise<void> {
  const record: WorkerRecord = {
    ...{ pid: process.pid, id: 'b'.repeat(64), name: 'pi', fingerprint: '896f-3850', hub: 'vps:19000' },
    ...{ link: 'connecting', held: null, problem: null, nodeHost: 'off', nodeHostProblem: null },
    ...standing,
  };
  const home = scratch.context.place.workerHome;
  await mkdir(home, { recursive: true });
  await writeFile(join(home, 'worker.json'), JSON.stringify(record));
}

test('a worker is waited for until it is a member, and its node host connected', async () => {
  await worker({ link: 'member', nodeHost: 'waiting' });
  await done({ do: 'worker-ready', nodeHost: false, approval: 'given' });
  let isReady = false;
  const waiting = done({ do: 'worker-ready', nodeHost: true, approval: 'given' }).then(() => (isReady = true));
  await worker({ link: 'member', nodeHost: 'running' });
  expect(isReady).toBe(false);
  await worker({ link: 'member', nodeHost: 'connected' });
  await waiting;
});

test('a worker that has to be approved ends with the command that approves it', async () => {
  await worker({ link: 'waiting' });
  await done({ do: 'worker-ready', nodeHost: true, approval: 'needed' });
  expect(scratch.lines[0]).toBe('it waits for approval; on the master: manage-federation approve 896f-3850');
});

test.each([
  [{ link: 'refused', problem: { code: 'REVOKED', message: 'this node was revoked', hint: 'ask' } }, 'REVOKED'],
  [{ link: 'waiting', held: 'another key has this name' }, 'HELD'],
] as const)('a worker that the hub does not let in ends with why: %j', async (standing, code) => {
  await worker(standing);
  await expect(done({ do: 'worker-ready', nodeHost: false, approval: 'given' })).rejects.toMatchObject({ code });
});

test('what a killed worker has left behind is not how it stands', async () => {
  await worker({ link: 'member', pid: 2 ** 22 + 1 });
  const stopping = new AbortController();
  const waiting = done(
    { do: 'worker-ready', nodeHost: false, approval: 'given' },
    { ...scratch.context, signal: stopping.signal },
  );
  waiting.catch(() => undefined);
  setTimeout(() => stopping.abort(new Error('enough')), 500);
  // A pause that is cut off says so itself; a program that is ends with the reason.
  await expect(waiting).rejects.toThrow(/^(?:enough|The operation was aborted)$/);
});

/** The home without the copies of what was before, which go when the record goes. */
async function withoutBackups(): Promise<Record<string, string>> {
  const found = Object.entries(await scratch.snapshot());
  return Object.fromEntries(found.filter(([path]) => !path.startsWith('.local')));
}
