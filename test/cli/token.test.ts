import { execFile } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { joiningCommand } from '#src/cli/manage/joining-command.ts';
import { createToken } from '#src/cli/manage/token.ts';
import type { ScriptedHub } from '../support/scripted-hub.ts';
import { scriptedHub } from '../support/scripted-hub.ts';
import { onTerminal, screen } from '../support/screen.ts';

const TOKEN = `ocf1.${'a'.repeat(64)}.${'s'.repeat(43)}`;
const TAILNET = { state: 'Running', addresses: ['100.64.0.1'], dnsName: 'vps.tail1234.ts.net', problem: null };
const BEYOND = { listening: ['/run/x.sock', '127.0.0.1:19000', '100.64.0.1:19000'], tailnet: TAILNET };
const HERE = { listening: ['/run/x.sock', '127.0.0.1:19000'], tailnet: { ...TAILNET, state: 'off', dnsName: null } };

let hub: ScriptedHub;
let seen: ReturnType<typeof screen>;

beforeEach(async () => {
  hub = await scriptedHub();
  const expiresAt = new Date(Date.now() + 900_000).toISOString();
  hub.answers.set('POST /tokens', { id: 'c'.repeat(64), token: TOKEN, expiresAt, uses: 1 });
  hub.answers.set('GET /status', BEYOND);
  seen = screen();
});
afterEach(async () => {
  vi.restoreAllMocks();
  await hub.close();
});

const create = (flags: Partial<Parameters<typeof createToken>[0]> = {}) =>
  createToken({ home: hub.home, ttl: '15m', uses: 1, models: true, ...flags });

test('a token is on standard output alone, and what to paste is on standard error', async () => {
  expect(await create({ name: 'pi' })).toBe(0);
  expect(seen.stdout).toBe(`${TOKEN}\n`);
  expect(seen.stderr).toMatchInlineSnapshot(`
    "good once, expires in 15 min; it is not shown again
    to paste on the other machine, where it deploys without asking, with the token from standard output in the place of TOKEN:

    sudo deploy-federation worker vps.tail1234.ts.net --name pi --yes --token-file - <<'END'
    TOKEN
    END
    "
  `);
});

test('on a terminal the command to paste is whole', async () => {
  expect(await onTerminal({ columns: 80 }, () => create({ name: 'pi' }))).toBe(0);
  expect(seen.stderr).toContain(`--token-file - <<'END'\n${TOKEN}\nEND\n`);
  expect(seen.stderr).not.toContain('in the place of');
});

test.each([
  [{}, 'sudo deploy-federation worker vps.tail1234.ts.net --yes'],
  [{ role: 'hybrid' as const }, 'sudo deploy-federation hybrid vps.tail1234.ts.net --yes'],
])('%j deploys what the token is for', (flags, command) => {
  expect(joiningCommand(TOKEN, flags, BEYOND).command).toContain(command);
});

test('a hub on another port, or without a name in the tailnet, is named so that it is found', () => {
  const listening = ['/run/x.sock', '127.0.0.1:1', '100.64.0.1:19001'];
  expect(joiningCommand(TOKEN, {}, { ...BEYOND, listening }).command).toContain(' vps.tail1234.ts.net:19001 ');
  const nameless = { ...TAILNET, dnsName: null };
  expect(joiningCommand(TOKEN, {}, { listening, tailnet: nameless }).command).toContain(' 100.64.0.1:19001 ');
});

test('where only this machine reaches the hub, a daemon is started by hand', () => {
  const { where, command } = joiningCommand(TOKEN, { name: 'pi', role: 'hybrid' }, HERE);
  expect(where).toBe('on this machine');
  expect(command).toContain(
    'OPENCLAW_FEDERATION_ROLE=hybrid federation-worker --home ~/pi --name pi --hub 127.0.0.1:19000',
  );
});

/** A folder with programs of these names that note their arguments and pass on, or keep, their input. */
async function programs(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ocf-paste-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const sudo = `#!/bin/sh\nprintf '%s\\n' "$@" > ${folder}/sudo.argv\nexec "$@"\n`;
  const deploy = `#!/bin/sh\nprintf '%s\\n' "$@" > ${folder}/argv\ncat > ${folder}/input\n`;
  await writeFile(join(folder, 'sudo'), sudo);
  await writeFile(join(folder, 'deploy-federation'), deploy);
  for (const name of ['sudo', 'deploy-federation']) await chmod(join(folder, name), 0o755);
  return folder;
}

test.each(['sh', 'bash'])(
  'pasted into %s the token is the input of the command and in none of its arguments',
  async (shell) => {
    const folder = await programs();
    const { command } = joiningCommand(TOKEN, { name: 'pi' }, BEYOND);
    const env = { PATH: `${folder}:${process.env['PATH']}` };
    await promisify(execFile)(shell, ['-c', `${command}\necho after > ${folder}/after`], { env });
    const read = (name: string) => readFile(join(folder, name), 'utf8');
    expect(await read('input')).toBe(`${TOKEN}\n`);
    expect(await read('sudo.argv')).not.toContain(TOKEN);
    expect((await read('argv')).split('\n')).toContain('--token-file');
    expect(await read('after')).toBe('after\n');
  },
);

test('a QR code holds the command where the terminal has room for it, and else says what it needs', async () => {
  await onTerminal({ columns: 120, rows: 60 }, () => create({ name: 'pi', qr: true }));
  expect(seen.stderr.split('\n').filter((line) => /[█▀▄]{5}/.test(line)).length).toBeGreaterThan(20);
  seen.stderr = '';
  await onTerminal({ columns: 120, rows: 24 }, () => create({ name: 'pi', qr: true }));
  expect(seen.stderr).toMatch(/^the QR code does not fit: it takes \d+ columns and \d+ rows, here are 120 and 24$/m);
  expect(seen.stderr).not.toMatch(/[█▀▄]/);
});

test('what would show nothing makes no token', async () => {
  await expect(create({ qr: true })).rejects.toMatchObject({ code: 'USAGE' });
  await expect(onTerminal({ columns: 80 }, () => create({ qr: true, json: true }))).rejects.toMatchObject({
    code: 'USAGE',
  });
  expect(hub.asked).toEqual([]);
});

test('a token that the rules decide on is said to let nobody in', async () => {
  await create({ byRules: 'ci' });
  expect(seen.stderr).toContain('it lets nobody in by itself: the rules of auto-register decide');
});
