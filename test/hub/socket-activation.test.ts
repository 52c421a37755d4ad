import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { HubRecord } from '#src/core/hub-record.ts';
import { freePort } from '#src/deploy/children/free-port.ts';
import { ASKER_HEADER, encodeAsker } from '#src/protocol/asker.ts';
import type { AuditView } from '#src/protocol/hub-api/audit.ts';
import { eventually } from '../support/eventually.ts';
import type { Answer } from '../support/http.ts';
import { ask } from '../support/http.ts';

const HUB = fileURLToPath(new URL('../../bin/federation-hub', import.meta.url));
/** What systemd does for a socket unit: it listens, and becomes the hub when somebody connects. */
const ACTIVATE = 'systemd-socket-activate';
const hasActivate = spawnSync(ACTIVATE, ['--version']).status === 0;

interface Activated {
  readonly pid: number;
  readonly ended: Promise<{ readonly code: number | null; readonly stderr: string }>;
  kill(signal: NodeJS.Signals): void;
}

let folder: string;
let socket: string;
let activated: Activated | null;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'federation-socket-'));
  socket = join(folder, 'a socket');
  activated = null;
});

afterEach(async () => {
  activated?.kill('SIGKILL');
  await activated?.ended;
  await rm(folder, { recursive: true });
});

function activate(address: string, name: string, more: readonly string[] = []): Activated {
  const words = [...[address, ...more].flatMap((one) => ['--listen', one]), '--fdname', name, '--setenv', 'PATH', HUB];
  const child = spawn(ACTIVATE, [...words, '--home', join(folder, 'home'), '--port', '0'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const exited = once(child, 'exit') as Promise<[number | null]>;
  const said = text(child.stderr);
  activated = {
    pid: child.pid ?? 0,
    ended: exited.then(async ([code]) => ({ code, stderr: await said })),
    kill: (signal) => void child.kill(signal),
  };
  return activated;
}

async function activateOnSocket(name: string): Promise<Activated> {
  const hub = activate(socket, name);
  await eventually('the socket is there', () => stat(socket).catch(() => null));
  return hub;
}

function askHub(method: 'GET' | 'POST', path: string): Promise<Answer> {
  const headers = { 'content-type': 'application/json' };
  return ask({ socketPath: socket, method, path: `/api/v1${path}`, headers }, method === 'GET' ? undefined : '{}');
}

describe.skipIf(!hasActivate)(`a hub that is given its operator’s socket (not run without ${ACTIVATE})`, () => {
  it('answers on it, says so, and leaves it as it found it', async () => {
    const hub = await activateOnSocket('operator');
    await chmod(socket, 0o620);
    const before = await stat(socket);
    // Asked before there is a hub.
    expect((await askHub('GET', '/status')).json).toMatchObject({ pid: hub.pid });
    const record = await eventually('the hub has told where it is', () =>
      readFile(join(folder, 'home/hub.json'), 'utf8').catch(() => null),
    );
    const { operator, port } = JSON.parse(record) as HubRecord;
    expect(operator).toBe(socket);
    expect((await askHub('GET', '/status')).json).toMatchObject({ listening: [socket, `127.0.0.1:${port}`] });

    hub.kill('SIGTERM');
    expect(await hub.ended).toMatchObject({ code: 0 });
    const after = await stat(socket);
    expect([after.ino, after.mode, after.uid]).toEqual([before.ino, before.mode, before.uid]);
  });

  it('names the owner of the socket in the audit, and not its own user', async () => {
    await activateOnSocket('operator');
    const canGive = process.getuid?.() === 0;
    if (canGive) await chown(socket, 65_534, 65_534);
    await askHub('POST', '/tokens');
    const [record] = (await askHub('GET', '/audit')).json as AuditView[];
    expect(record).toMatchObject({ by: canGive ? 'nobody' : userInfo().username });
  });

  it('passes it on to no child', async () => {
    const { pid } = await activateOnSocket('operator');
    await askHub('GET', '/status');
    const flags = /^flags:\s+(\d+)$/m.exec(await readFile(`/proc/${pid}/fdinfo/3`, 'utf8'))?.[1] ?? '';
    // O_CLOEXEC, in octal digits as proc_pid_fdinfo(5) has them.
    expect(Number.parseInt(flags, 8) & 0o2000000).toBe(0o2000000);
  });

  it('takes the plugin’s by its name, and tells the two apart', async () => {
    const plugin = join(folder, 'plugin');
    activate(socket, 'operator:plugin', [plugin]);
    await eventually('both are there', () => stat(plugin).catch(() => null));
    expect((await askHub('GET', '/status')).status).toBe(200);
    const record = await eventually('the hub has told where it is', () =>
      readFile(join(folder, 'home/hub.json'), 'utf8').catch(() => null),
    );
    expect(JSON.parse(record)).toMatchObject({ operator: socket, plugin });
    const onPlugin = (headers: Record<string, string>) => ask({ socketPath: plugin, path: '/api/v1/status', headers });
    expect((await onPlugin({})).status).toBe(401);
    const owner = encodeAsker({ kind: 'chat', channel: 'telegram', sender: '1', owner: true });
    expect((await onPlugin({ [ASKER_HEADER]: owner })).status).toBe(200);
  });

  it('makes none for the plugin beside the operator’s, where the gateway’s user could not come', async () => {
    await activateOnSocket('operator');
    await askHub('GET', '/status');
    const record = await eventually('the hub has told where it is', () =>
      readFile(join(folder, 'home/hub.json'), 'utf8').catch(() => null),
    );
    expect(JSON.parse(record)).toMatchObject({ operator: socket, plugin: null });
  });

  it('does not start with a socket of another name', async () => {
    const hub = await activateOnSocket('stranger');
    await expect(askHub('GET', '/status')).rejects.toThrow(/hang up|ECONNRESET/);
    expect(await hub.ended).toEqual({
      code: 1,
      stderr: expect.stringContaining('"stranger" is not one of operator, plugin'),
    });
  });

  it('does not take a port, which everybody on this machine reaches, for its operator', async () => {
    const port = await freePort();
    const hub = activate(`127.0.0.1:${port}`, 'operator');
    await eventually('it has tried', () => ask({ host: '127.0.0.1', port }).then(() => 'answered', refusedOrReset));
    expect(await hub.ended).toEqual({ code: 1, stderr: expect.stringContaining('no listening unix socket') });
  });
});

/** Null while nobody listens yet. */
function refusedOrReset({ code }: NodeJS.ErrnoException): string | null {
  return code === 'ECONNREFUSED' ? null : (code ?? 'reset');
}
