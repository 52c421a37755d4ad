import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { delimiter, join } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { become } from '#src/adapters/machine/become.ts';
import { filesOf } from '#src/adapters/machine/files.ts';
import { thisMachine } from '#src/adapters/machine/local.ts';
import { runner } from '#src/adapters/machine/runner.ts';
import { sshMachine } from '#src/adapters/machine/ssh.ts';
import { eventually } from '../support/eventually.ts';

const { signal } = new AbortController();
const pathBefore = process.env['PATH'];
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'machine-'));
});

afterEach(async () => {
  process.env['PATH'] = pathBefore;
  await rm(folder, { recursive: true, force: true });
});

async function program(name: string, script: string): Promise<void> {
  const programs = join(folder, 'programs');
  await mkdir(programs, { recursive: true });
  await writeFile(join(programs, name), `#!/bin/sh\n${script}`, { mode: 0o755 });
  process.env['PATH'] = `${programs}${delimiter}${pathBefore}`;
}

test('a command becomes root by sudo, and a person by runuser, where we are not already', () => {
  const root = { name: 'root', uid: 0 };
  const claw = { name: 'claw', uid: 1000, group: 'claw', home: '/home/claw' };
  const asClaw = ['env', 'HOME=/home/claw', 'USER=claw', 'LOGNAME=claw', 'XDG_RUNTIME_DIR=/run/user/1000'];
  expect(become('login', claw)).toEqual({ sudo: false, words: [] });
  expect(become('root', root)).toEqual({ sudo: false, words: [] });
  expect(become('root', claw)).toEqual({ sudo: true, words: [] });
  expect(become(claw, claw)).toEqual({ sudo: false, words: asClaw });
  const bare = ['env', '-i', 'LC_ALL=C.UTF-8', expect.stringMatching(/^PATH=/)];
  expect(become(claw, root)).toEqual({ sudo: false, words: [...bare, 'runuser', '-u', 'claw', '--', ...asClaw] });
  expect(become(claw, { name: 'other', uid: 1001 })).toEqual({
    sudo: true,
    words: [...bare, 'runuser', '-u', 'claw', '--', ...asClaw],
  });
});

test('a program that says without end is stopped', async () => {
  const ran = await thisMachine().run({ argv: ['yes'], as: 'login', signal: AbortSignal.timeout(20_000) });
  expect(ran.code).not.toBe(0);
});

test('a program runs to its end, with its input, its lines and its exit code', async () => {
  const lines: string[] = [];
  const argv = ['sh', '-c', 'cat; echo "$GREETING" >&2; exit 3'] as const;
  const environment = { GREETING: 'it’s "so"' };
  const input = Readable.from([Buffer.from('one\n'), Buffer.from('two\n')]);
  const ran = await thisMachine().run({
    ...{ argv, as: 'login', input, environment, signal },
    onLine: (line) => void lines.push(line),
  });
  expect(ran).toEqual({ code: 3, stdout: 'one\ntwo\n', stderr: 'it’s "so"\n' });
  expect(lines.toSorted()).toEqual(['it’s "so"', 'one', 'two']);
});

test('an input that breaks is no input that ended', async () => {
  const broken = Readable.from(
    (async function* () {
      yield Buffer.from('half');
      throw new Error('the download broke');
    })(),
  );
  await expect(thisMachine().run({ argv: ['cat'], as: 'login', input: broken, signal })).rejects.toThrow(
    'the download broke',
  );
});

test('a program that is not there is named', async () => {
  await expect(thisMachine().run({ argv: ['no-such-program'], as: 'login', signal })).rejects.toMatchObject({
    code: 'PROGRAM_MISSING',
    message: 'there is no program no-such-program on this machine',
  });
});

test('a command that is stopped has ended with all that came of it', async () => {
  const stopping = new AbortController();
  const file = join(folder, 'pids');
  const script = `echo $$ >>"$1"; (trap "" HUP; echo "$(sh -c 'echo $PPID')" >>"$1"; sleep 300) & sleep 300`;
  const running = thisMachine().run({ argv: ['sh', '-c', script, 'sh', file], as: 'login', signal: stopping.signal });
  running.catch(() => undefined);
  const pids = await eventually('both have started', async () => {
    const found = (await readFile(file, 'utf8').catch(() => '')).split('\n').slice(0, -1);
    return found.length === 2 && found;
  });
  stopping.abort(new Error('enough'));
  await expect(running).rejects.toThrow('enough');
  const alive = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')));
  expect(alive).toEqual(['', '']);
});

test('files are written whole and read back byte for byte, with their permissions', async () => {
  const files = filesOf(thisMachine(), 'login', signal);
  const path = join(folder, 'a b', "it's", 'file');
  const content = Buffer.from([0, 255, 10, 13, 0x27]);
  expect(await files.missingFolders(join(folder, 'a b', "it's"))).toEqual([
    join(folder, 'a b'),
    join(folder, 'a b', "it's"),
  ]);
  await files.makeFolder(join(folder, 'a b', "it's"), 0o700);
  await files.write({ path, content, mode: 0o640, owner: null });
  expect(await files.read(path)).toEqual(content);
  expect(await files.stat(path)).toMatchObject({ kind: 'file', mode: 0o640, uid: userInfo().uid, size: 5 });
  expect(await files.stat(join(folder, 'a b'))).toMatchObject({ kind: 'folder', mode: 0o755 });
  expect(await files.stat(join(folder, 'a b', "it's"))).toMatchObject({ kind: 'folder', mode: 0o700 });
  await files.link(`${path}.link`, '/no where');
  expect(await files.readLink(`${path}.link`)).toBe('/no where');
  expect(await files.read(`${path}.link`)).toBeNull();
  expect((await files.list(join(folder, 'a b', "it's"))).toSorted()).toEqual(['file', 'file.link']);
  await expect(files.removeFolder(`${path}.link`)).rejects.toMatchObject({ code: 'STEP_FAILED' });
});

test('a full disk is said to be one, and leaves the file as it was', async () => {
  await program('cat', 'echo "cat: write error: No space left on device" >&2; exit 1\n');
  const files = filesOf(thisMachine(), 'login', signal);
  const path = join(folder, 'file');
  await writeFile(path, 'before');
  await expect(files.write({ path, content: 'after', mode: 0o600, owner: null })).rejects.toMatchObject({
    code: 'DISK_FULL',
  });
  expect(await readFile(path, 'utf8')).toBe('before');
  expect((await readdir(folder)).toSorted()).toEqual(['file', 'programs']);
});

/** Takes `open sesame`, and asks for it unless it is told not to. */
const SUDO = `check() { IFS= read -r given; [ "$given" = 'open sesame' ] || { echo 'sudo: 1 incorrect password attempt' >&2; exit 1; }; }
echo "$*" >>"\${0%/*}/../sudo-calls"
case $1 in -n) echo 'sudo: a password is required' >&2; exit 1 ;; esac
if [ -z "$ASKS_NOT" ]; then check; fi
while [ $# -gt 0 ] && [ "$1" != -- ] && [ "$1" != -v ]; do shift; done
if [ "$1" = -v ]; then exit 0; fi
shift
exec "$@"
`;

function sudoRunner(askPassword?: () => Promise<string>) {
  return runner({
    name: 'vps',
    login: { name: 'claw', uid: userInfo().uid + 1 },
    argv: (words) => words,
    check: () => undefined,
    askPassword,
  });
}

test('sudo gets its password before the input of the command, and in no argument', async () => {
  await program('sudo', SUDO);
  let asked = 0;
  const answers = ['wrong', 'open sesame'];
  const run = sudoRunner(() => Promise.resolve(answers[asked++]!));
  const first = await run({ argv: ['cat'], as: 'root', input: 'the content\n', signal });
  const second = await run({ argv: ['cat'], as: 'root', input: Readable.from([Buffer.from('more')]), signal });
  expect([first.stdout, second.stdout]).toEqual(['the content\n', 'more']);
  expect(asked).toBe(2);
  expect(await readFile(join(folder, 'sudo-calls'), 'utf8')).not.toContain('sesame');
});

test('a password that sudo does not read does not become input of the command', async () => {
  await program('sudo', SUDO.replace('if [ -z "$ASKS_NOT" ]', 'if [ "$5" = -v ] || [ "$4" = -v ]'));
  const run = sudoRunner(() => Promise.resolve('open sesame'));
  const { stdout } = await run({ argv: ['cat'], as: 'root', input: 'the content\n', signal });
  expect(stdout).toBe('the content\n');
});

test('a sudo that says no is SUDO_REFUSED, with what it says', async () => {
  await program('sudo', SUDO);
  await expect(sudoRunner()({ argv: ['true'], as: 'root', signal })).rejects.toMatchObject({
    code: 'SUDO_REFUSED',
    message: 'sudo on vps refuses claw: a password is required',
  });
  await expect(
    sudoRunner(() => Promise.resolve('wrong'))({ argv: ['true'], as: 'root', signal }),
  ).rejects.toMatchObject({ code: 'SUDO_REFUSED' });
});

test('where nothing listens a connection is refused as HUB_UNREACHABLE', async () => {
  const server = createServer((socket) => socket.end('hello')).listen(0, '127.0.0.1');
  await eventually('it listens', () => server.listening);
  const { port } = server.address() as AddressInfo;
  const machine = thisMachine();
  expect(await text(await machine.connect({ host: '127.0.0.1', port }, signal))).toBe('hello');
  await new Promise((resolve) => server.close(resolve));
  await expect(machine.connect({ host: '127.0.0.1', port }, signal)).rejects.toMatchObject({ code: 'HUB_UNREACHABLE' });
});

/** Runs the command as sshd would: the login shell gets the words as one line. */
const SSH = `for word; do printf '%s\\n' "$word"; done >>"\${0%/*}/../ssh-words"
for last; do :; done
case $* in *"-O exit"*) exit 0 ;; esac
exec sh -c "$last"
`;

test('what ssh runs arrives word for word, and its options keep to what is known and can’t ask', async () => {
  await program('ssh', SSH);
  const machine = await sshMachine('claw@vps', { signal, terminal: false });
  const words = ['a b', "it's", '$HOME', '`id`', '', '*', '-n', 'ü', 'two\nlines', 'x"y', String.raw`\n`];
  const { stdout } = await machine.run({ argv: ['printf', String.raw`%s\0`, ...words], as: 'login', signal });
  expect(stdout.split('\0').slice(0, -1)).toEqual(words);
  await machine.close();
  const said = await readFile(join(folder, 'ssh-words'), 'utf8');
  expect(said).toContain('BatchMode=yes');
  expect(said).toContain('ControlPersist=60');
  expect(said).not.toContain('StrictHostKeyChecking');
  expect(said).not.toContain('UserKnownHostsFile');
  expect(said.split('\n').filter((word) => word === 'claw@vps').length).toBeGreaterThan(2);
});

test.each(['-oProxyCommand=id', '', 'claw@vps extra', 'a\nb'])('%j is no machine for ssh', async (target) => {
  await program('ssh', 'touch "${0%/*}/../ran"\n');
  await expect(sshMachine(target, { signal, terminal: false })).rejects.toMatchObject({ code: 'USAGE' });
  expect(await readdir(folder)).toEqual(['programs']);
});

test.each([
  ['Host key verification failed.', 'has a host key that is not known here'],
  ['claw@vps: Permission denied (publickey,password).', 'does not let us in'],
  ['ssh: Could not resolve hostname vps: Name or service not known', 'is a name that nobody knows'],
  ['ssh: connect to host vps port 22: Connection timed out', 'does not answer in time'],
  ['ssh: connect to host vps port 22: Connection refused', 'has no ssh server at that port'],
  ['@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.', 'shows another host key'],
  ['client_loop: send disconnect: Broken pipe', 'was lost on the way'],
])('an ssh that fails with “%s” says that the machine %s', async (said, problem) => {
  await program('ssh', `cat >&2 <<'END'\n${said}\nEND\nexit 255\n`);
  const failing = sshMachine('claw@vps', { signal, terminal: false });
  await expect(failing).rejects.toMatchObject({
    code: 'MACHINE_UNREACHABLE',
    message: expect.stringContaining(`claw@vps ${problem}`) as string,
    hint: expect.any(String) as string,
  });
});

test('a command that ends with 255 by itself is no lost machine', async () => {
  await program('ssh', SSH);
  const machine = await sshMachine('vps', { signal, terminal: false });
  const { code } = await machine.run({ argv: ['sh', '-c', 'echo broken >&2; exit 255'], as: 'login', signal });
  expect(code).toBe(255);
  await machine.close();
});
