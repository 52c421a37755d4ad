import { spawnSync } from 'node:child_process';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { RequestListener, Server } from 'node:http';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { MachineHub } from '#src/adapters/hub.ts';
import { findHub, isMachineHubMeant, machineHub } from '#src/adapters/hub.ts';

let folder: string;
let machine: MachineHub;
let servers: Server[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'federation-hub-'));
  machine = { socket: join(folder, 'operator.sock'), unit: join(folder, 'federation-hub.socket') };
  servers = [];
});

afterEach(async () => {
  for (const server of servers) {
    server.close();
    server.closeAllConnections();
  }
  await rm(folder, { recursive: true });
});

async function serve(path: string, listener: RequestListener): Promise<void> {
  const server = createServer(listener);
  servers.push(server);
  server.listen(path);
  await once(server, 'listening');
}

function writeRecord(pid: number): Promise<void> {
  const record = { pid, operator: join(folder, 'own.sock'), address: '127.0.0.1', port: 1, hubId: 'a'.repeat(64) };
  return writeFile(join(folder, 'hub.json'), JSON.stringify(record));
}

describe('a user who names no home', () => {
  test('means their own where the machine has no hub', () => {
    expect(isMachineHubMeant(folder, machine)).toBe(false);
  });

  test('means the machine’s, also while it is down', async () => {
    await writeFile(machine.unit, '');
    expect(isMachineHubMeant(folder, machine)).toBe(true);
    await rm(machine.unit);
    await serve(machine.socket, (_, response) => response.end());
    expect(isMachineHubMeant(folder, machine)).toBe(true);
  });

  test('means their own while it runs, and not what is left of one', async () => {
    await writeFile(machine.unit, '');
    await writeRecord(process.pid);
    expect(isMachineHubMeant(folder, machine)).toBe(false);
    await writeRecord(spawnSync('true').pid);
    expect(isMachineHubMeant(folder, machine)).toBe(true);
    await writeFile(join(folder, 'hub.json'), 'nonsense');
    expect(isMachineHubMeant(folder, machine)).toBe(true);
  });
});

describe('the machine’s hub', () => {
  test('is asked on its socket', async () => {
    await serve(machine.socket, ({ method, url }, response) => response.end(JSON.stringify({ method, url })));
    expect(await machineHub(machine).ask('GET', '/status')).toEqual({ method: 'GET', url: '/api/v1/status' });
  });

  test('that is down is looked for where systemd tells why', async () => {
    await expect(machineHub(machine).ask('GET', '/status')).rejects.toMatchObject({
      code: 'HUB_UNREACHABLE',
      message: 'the hub of this machine does not answer',
      hint: 'systemctl status federation-hub',
    });
  });

  test('that is somebody else’s says who may', async () => {
    await serve(machine.socket, (_, response) => response.end('{}'));
    await chmod(machine.socket, 0);
    await chmod(folder, 0o755);
    const { uid, username } = userInfo();
    // Root may open every socket.
    if (uid === 0) process.seteuid?.(65_534);
    try {
      await expect(machineHub(machine).ask('GET', '/status')).rejects.toMatchObject({
        code: 'FORBIDDEN',
        message: `the hub of this machine is operated by ${username}`,
        hint: `run this as ${username}, or as root`,
      });
    } finally {
      process.seteuid?.(uid);
    }
  });
});

test('the hub of a home answers as what its record says', async () => {
  await writeRecord(process.pid);
  await serve(join(folder, 'own.sock'), (_, response) => response.end('[]'));
  const hub = await findHub(folder);
  expect(hub.record.port).toBe(1);
  expect(await hub.ask('GET', '/nodes')).toEqual([]);
});
