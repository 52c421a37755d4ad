import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createLog } from '#src/adapters/log.ts';
import { startGateway } from '#src/adapters/openclaw/gateway-process.ts';
import { until } from '../support/link.ts';

const TOKEN = 'a-very-secret-token';

let directory: string;
let lines: string[];
let stopping: AbortController;
let port: number;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ocf-gateway-'));
  lines = [];
  stopping = new AbortController();
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  ({ port } = server.address() as AddressInfo);
  server.close();
  await once(server, 'close');
});

afterEach(() => rm(directory, { recursive: true, force: true }));

/** Starts a gateway with these lines of sh in the place of OpenClaw. */
async function start(script: string) {
  const openclaw = join(directory, 'openclaw');
  await writeFile(openclaw, `#!/bin/sh\n${script}\n`);
  await chmod(openclaw, 0o755);
  return startProgram(openclaw);
}

function startProgram(openclaw: string) {
  const log = createLog({ level: 'debug', module: 'test', write: (line) => void lines.push(line) });
  const options = { directory: join(directory, 'gateway'), port, token: TOKEN, openclaw };
  return startGateway({ ...options, log, signal: stopping.signal });
}

test('a program that is not there is missing', async () => {
  await expect(startProgram(join(directory, 'nothing'))).rejects.toMatchObject({ code: 'OPENCLAW_MISSING' });
});

test('a program whose Node is too old is as good as missing, and says which Node it needs', async () => {
  const script = 'echo "openclaw: Node 20.20.2: node:sqlite is unavailable; use 24.16+/26.1+" >&2; exit 1';
  await expect(start(script)).rejects.toMatchObject({
    code: 'OPENCLAW_MISSING',
    message: expect.stringContaining('use 24.16+') as string,
    hint: 'install Node 24.16 or newer',
  });
});

test('a gateway that ends at its start says its last words', async () => {
  await expect(start('echo starting; echo "no room" >&2; exit 3')).rejects.toMatchObject({
    code: 'START_FAILED',
    message: 'the OpenClaw gateway ended at its start (exit 3): no room',
  });
});

test('a taken port is said before anything is started', async () => {
  const server = createServer().listen(port, '127.0.0.1');
  await once(server, 'listening');
  await expect(start('echo started')).rejects.toMatchObject({ code: 'PORT_IN_USE' });
  expect(lines).toEqual([]);
  server.close();
});

test('the token is in the environment alone, and cut from what the gateway prints', async () => {
  const seen = join(directory, 'seen');
  const script = `echo "$# $* $OPENCLAW_GATEWAY_TOKEN" > ${seen}; echo "token is $OPENCLAW_GATEWAY_TOKEN"; exit 1`;
  await expect(start(script)).rejects.toMatchObject({ message: expect.not.stringContaining(TOKEN) as string });
  expect((await readFile(seen, 'utf8')).trim()).toBe(`2 gateway run ${TOKEN}`);
  expect(lines.join('')).toContain('token is [secret]');
  expect(lines.join('')).not.toContain(TOKEN);
});

test('its directory is for its owner alone, and its settings bind it to loopback', async () => {
  await expect(start('exit 1')).rejects.toMatchObject({ code: 'START_FAILED' });
  const state = join(directory, 'gateway', 'state');
  expect((await stat(state)).mode & 0o777).toBe(0o700);
  const settings: unknown = JSON.parse(await readFile(join(state, 'openclaw.json'), 'utf8'));
  expect(settings).toMatchObject({
    gateway: { bind: 'loopback', port, nodes: { pairing: { autoApproveLocal: false, sshVerify: false } } },
    discovery: { mdns: { mode: 'off' } },
    update: { checkOnStart: false },
    tools: { exec: { notifyOnExit: false } },
  });
  expect(JSON.stringify(settings)).not.toContain(TOKEN);
});

test('whoever gives up waiting leaves no process behind', async () => {
  const pidFile = join(directory, 'pid');
  const starting = start(`echo $$ > ${pidFile}; echo up; sleep 600`);
  starting.catch(() => undefined);
  await until('it runs', () => lines.join('').includes('up'));
  const pid = Number(await readFile(pidFile, 'utf8'));
  stopping.abort();
  await expect(starting).rejects.toMatchObject({ name: 'AbortError' });
  expect(() => process.kill(pid, 0)).toThrow('ESRCH');
});
