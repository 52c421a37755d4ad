import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, onTestFailed, beforeEach, it } from 'vitest';
import { WebSocket } from 'ws';
import { CARRIER_PATH } from '#src/protocol/hub-api/node-host.ts';
import type { Running } from '../e2e/place.ts';
import type { ProcessSeen } from '../e2e/processes.ts';
import { isAlive, processesOf } from '../e2e/processes.ts';
import { until } from '../e2e/until.ts';
import { closeCode, nextFrame, refusal } from '../support/socket.ts';
import { operatorConnect } from './connections.ts';
import { LOOPBACK, socketsOf } from './sockets.ts';
import type { System } from './system.ts';
import { startSystem } from './system.ts';

const COMMANDS = ['system.run', 'system.run.prepare', 'system.which'];
/** A setup code, as any token of OpenClaw's, is base64url of JSON. */
const SETUP_CODE = /eyJ[\w-]{20}/;

let system: System;
/** The worker daemon that was started by hand, as on another machine: w3. */
let worker: Running;

beforeAll(async () => {
  system = await startSystem(2);
  worker = system.startWorker('w3');
  await until('w3 waits for approval', async () => (await system.manage('pending')).stdout.includes('w3'));
});

afterAll(async () => {
  worker?.kill('SIGTERM');
  await worker?.ended;
  await system?.stop();
  await system?.place.remove();
});

beforeEach(() => {
  onTestFailed(async () => {
    const logs = ['master/gateway.log', 'master/hub.log', 'w1/worker.log', 'local.log'];
    const texts = await Promise.all(logs.map((name) => readFile(join(system.directory, name), 'utf8')));
    console.error([...texts, worker.said()].map((text) => text.slice(-5000)).join('\n----\n'));
  });
});

describe('one approval', () => {
  it('connects the node host of a worker with its commands, and no code shows in a command line meanwhile', async () => {
    expect((await system.nodeList()).filter(({ connected }) => connected)).toHaveLength(1);
    const watch = watchCommandLines();
    expect(await system.manage('approve', 'w3')).toMatchObject({
      exitCode: 0,
      stderr: expect.stringMatching(/^approved w3 [^]*^w3 is usable$/m),
    });
    // It says so after it saw it: nothing is left to wait for.
    const { openclaw } = await system.node('w3');
    expect(openclaw.nodeHost).toBe('connected');
    expect(await watch.seen()).not.toMatch(SETUP_CODE);
    expect(openclaw.commands.toSorted()).toEqual(COMMANDS);
    const row = (await system.nodeList()).find(({ nodeId }) => nodeId === openclaw.deviceId);
    expect(row).toMatchObject({ connected: true, approvalState: 'approved' });
    expect(row?.commands.toSorted()).toEqual(COMMANDS);
  });

  it('lets the gateway use the node host', async () => {
    const { openclaw } = await system.node('w3');
    expect(await system.which(openclaw.deviceId)).toHaveProperty('bins.sh');
  });

  it('brings no gateway token to the worker', async () => {
    const seen = [...system.nodeHostProcesses('w3').map(({ pid }) => pid), worker.pid];
    expect(seen.length).toBeGreaterThanOrEqual(3);
    for (const pid of seen) {
      for (const file of ['environ', 'cmdline']) {
        const text = await readFile(`/proc/${pid}/${file}`, 'utf8');
        expect(text).not.toBe('');
        expect(text).not.toContain(system.token);
      }
    }
    const files = await filesBelow(system.homeOf('w3'));
    expect(files.length).toBeGreaterThan(3);
    const bytes = await Promise.all(files.map((file) => readFile(file)));
    expect(files.filter((_, index) => bytes[index]?.includes(system.token))).toEqual([]);
  });

  it('leaves neither the code nor the gateway token in a log', async () => {
    const logs = (await filesBelow(system.directory)).filter((file) => file.endsWith('.log'));
    expect(logs.length).toBeGreaterThanOrEqual(6);
    for (const text of [worker.said(), ...(await Promise.all(logs.map((log) => readFile(log, 'utf8'))))]) {
      expect(text).not.toMatch(SETUP_CODE);
      expect(text).not.toContain(system.token);
    }
  });
});

it('lets the gateway listen on loopback only', () => {
  const pids = system.gatewayProcesses().map(({ pid }) => pid);
  const listening = socketsOf(pids).filter((socket) => socket.listening);
  expect(listening.map(({ localPort }) => localPort)).toContain(system.gatewayPort);
  expect(listening.filter(({ localAddress }) => !LOOPBACK.includes(localAddress))).toEqual([]);
});

describe('through the carrier', () => {
  it('an operator gets nothing, even with the token of the gateway', async () => {
    // The worker listens for models, too: the carrier's port is the one that its node host is connected to.
    const listening = socketsOf([worker.pid]).flatMap((socket) => (socket.listening ? [socket.localPort] : []));
    const port = socketsOf([nodeHost('w3').pid]).find(({ remotePort }) => listening.includes(remotePort))?.remotePort;
    const socket = new WebSocket(`ws://127.0.0.1:${port}/`);
    expect(await nextFrame(socket)).toContain('connect.challenge');
    socket.send(JSON.stringify(operatorConnect(system.token)));
    expect(await closeCode(socket)).toBe(1008);
  });

  it('one who is no member gets nothing, and neither does plain HTTP', async () => {
    const authority = `${system.hub.address}:${system.hub.port}`;
    const bearer = { headers: { authorization: `Bearer ${system.token}` } };
    expect(await refusal(new WebSocket(`ws://${authority}${CARRIER_PATH}`))).toBe(401);
    expect(await refusal(new WebSocket(`ws://${authority}${CARRIER_PATH}`, bearer))).toBe(401);
    for (const init of [{}, bearer]) {
      expect((await fetch(`http://${authority}${CARRIER_PATH}`, init)).status).toBeGreaterThanOrEqual(400);
    }
  });
});

describe('a node host', () => {
  let stopped: ProcessSeen;

  // The gateway needs 75 s to miss it: the time in which the others are tried.
  beforeAll(async () => {
    await system.untilNodeHost('w1', 'connected');
    stopped = nodeHost('w1');
    process.kill(stopped.pid, 'SIGSTOP');
  });

  it('that was killed comes back', async () => {
    const killed = nodeHost('w3');
    const before = new Set(system.nodeHostProcesses('w3').map(({ pid }) => pid));
    process.kill(killed.pid, 'SIGKILL');
    // Not by a higher number: the kernel begins anew at its last.
    await until('another one runs', () => system.nodeHostProcesses('w3').some(({ pid }) => !before.has(pid)));
    const { openclaw } = await system.untilNodeHost('w3', 'connected');
    expect(await system.which(openclaw.deviceId)).toHaveProperty('bins.sh');
  });

  it('whose device was removed at the gateway is woken with a new code', async () => {
    const { openclaw: before } = await system.node('w3');
    const paused = nodeHost('w3');
    await system.removeDevice(before.deviceId ?? '');
    expect(await system.devices()).not.toContain(before.deviceId);
    await until('the paused one has ended', () => !isAlive(paused.pid), 60_000);
    const { openclaw } = await system.untilNodeHost('w3', 'connected');
    expect(worker.said()).toMatch(/"why":"paused".*"newCode":true/);
    expect(await system.devices()).toContain(openclaw.deviceId);
    expect(await system.which(openclaw.deviceId)).toHaveProperty('bins.sh');
  });

  it('that hangs is shown as not connected, because the gateway says so', async () => {
    const { openclaw } = await system.untilNodeHost('w1', 'disconnected', 150_000);
    const row = (await system.nodeList()).find(({ nodeId }) => nodeId === openclaw.deviceId);
    expect(row).toMatchObject({ connected: false });
    expect(isAlive(stopped.pid)).toBe(true);
  });

  it('that hangs is replaced', async () => {
    const { openclaw } = await system.untilNodeHost('w1', 'connected', 150_000);
    expect(isAlive(stopped.pid)).toBe(false);
    expect(await system.which(openclaw.deviceId)).toHaveProperty('bins.sh');
  });
});

it('starts a killed gateway again, at the same port, and its node hosts come back', async () => {
  const before = system.gatewayProcesses();
  process.kill(gatewayOf(before).pid, 'SIGKILL');
  await system.untilNodeHost('w3', 'unknown');
  for (const name of ['w1', 'w3']) {
    const { openclaw } = await system.untilNodeHost(name, 'connected');
    expect(await system.which(openclaw.deviceId)).toHaveProperty('bins.sh');
  }
  expect(before.filter(({ pid }) => isAlive(pid))).toEqual([]);
});

it('takes a revoked node out of the gateway, and closes its way to it', async () => {
  const { openclaw } = await system.node('w3');
  const carried = () =>
    socketsOf([system.hub.pid]).filter(({ remotePort }) => remotePort === system.gatewayPort).length;
  // Its own connection as operator, w1's and w3's.
  expect(carried()).toBe(3);
  expect(await system.manage('revoke', 'w3', '--yes')).toMatchObject({ exitCode: 0 });
  await until('its connection is closed', () => carried() === 2);
  await until('its device is gone', async () => !(await system.devices()).includes(openclaw.deviceId ?? ''));
  expect((await system.nodeList()).map(({ nodeId }) => nodeId)).not.toContain(openclaw.deviceId);
  expect(await system.node('w3')).toMatchObject({ state: 'revoked', openclaw: { nodeHost: 'unpaired' } });
});

it('stops with everything of OpenClaw that it started', async () => {
  const before = system.place.processes();
  expect(gatewayOf(before)).toBeDefined();
  worker.kill('SIGTERM');
  expect(await worker.ended).toMatchObject({ exitCode: 0 });
  expect(await system.stop()).toMatchObject({ exitCode: 0 });
  expect(before.filter(({ pid }) => isAlive(pid))).toEqual([]);
  expect(system.place.processes()).toEqual([]);
});

/** Its own process; what started it is only OpenClaw's launcher. */
function nodeHost(node: string): ProcessSeen {
  const found = system.nodeHostProcesses(node).find(({ argv }) => argv[0]?.startsWith('openclaw-'));
  if (found === undefined)
    throw new Error(`${node} runs no node host: ${JSON.stringify(system.nodeHostProcesses(node))}`);
  return found;
}

function gatewayOf(processes: readonly ProcessSeen[]): ProcessSeen {
  const found = processes.find(({ argv }) => argv[0] === 'openclaw-gateway');
  if (found === undefined) throw new Error('there is no gateway');
  return found;
}

/** Looks at the command lines of everything that runs for the federation until it is asked for what it saw. */
function watchCommandLines(): { seen(): Promise<string> } {
  const lines = new Set<string>();
  const over = new AbortController();
  const watching = (async () => {
    while (!over.signal.aborted) {
      for (const { argv } of processesOf(system.place.path)) lines.add(argv.join(' '));
      await pause(20);
    }
  })();
  return {
    async seen() {
      over.abort();
      await watching;
      expect([...lines].filter((line) => line.includes('--target-file'))).not.toEqual([]);
      return [...lines].join('\n');
    },
  };
}

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}
