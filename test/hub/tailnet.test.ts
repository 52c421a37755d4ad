import { once } from 'node:events';
import type { Server } from 'node:net';
import { createServer } from 'node:net';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import type { Tailnet } from '#src/adapters/tailscale/answers.ts';
import { followTailnet } from '#src/hub/listening/tailnet.ts';
import type { Status } from '#src/protocol/hub-api/status.ts';
import { bareNode } from '../support/bare-node.ts';
import { eventually } from '../support/eventually.ts';
import type { FakeTailscaled } from '../support/fake-tailscaled.ts';
import { fakeTailscaled, running, stopped } from '../support/fake-tailscaled.ts';
import type { Federation } from '../support/federation.ts';
import { startFederation } from '../support/federation.ts';
import { ask } from '../support/http.ts';
import { SILENT_LOG } from '../support/member.ts';

/** Addresses of this machine that nothing else uses, in the place of the tailnet's. */
const FIRST = '127.0.77.1';
const SECOND = '127.0.77.2';

let tailscaled: FakeTailscaled;

beforeEach(async () => {
  tailscaled = await fakeTailscaled(running([FIRST]));
});

afterEach(() => tailscaled[Symbol.asyncDispose]());

function federationOn(hub: object = {}): Promise<Federation> {
  return startFederation({ hub: { hub: { tailnet: true, ...hub }, tailscale: { socket: tailscaled.socket } } });
}

async function untilListening(federation: Federation, ...addresses: readonly string[]): Promise<Status> {
  const { port } = federation.hub;
  const wanted = addresses.map((address) => `${address}:${port}`);
  return eventually(`it listens on ${addresses.join(', ')}`, async () => {
    const status = await federation.get<Status>('/status');
    const [, , ...found] = status.listening;
    return JSON.stringify(found) === JSON.stringify(wanted) ? status : null;
  });
}

async function health(federation: Federation, host: string, header?: string): Promise<number> {
  const headers = header === undefined ? {} : { host: header };
  return (await ask({ host, port: federation.hub.port, path: '/health', headers })).status;
}

async function takePort(address: string, port: number): Promise<Server> {
  const server = createServer();
  server.listen(port, address);
  await once(server, 'listening');
  return server;
}

test('the hub listens on the tailnet, at the port of its first listener, and says so', async () => {
  tailscaled.status = running([FIRST, '::1']);
  await using federation = await federationOn();
  const { port } = federation.hub;
  const status = await untilListening(federation, FIRST, '[::1]');
  expect(status.listening.slice(1)).toEqual([`127.0.0.1:${port}`, `${FIRST}:${port}`, `[::1]:${port}`]);
  expect(status.tailnet).toEqual({
    state: 'Running',
    addresses: [FIRST, '::1'],
    dnsName: 'vps.tail.lab',
    problem: null,
  });
  expect(await Promise.all([FIRST, '::1', '127.0.0.1'].map((host) => health(federation, host)))).toEqual([
    200, 200, 200,
  ]);
});

test('a node joins by it', async () => {
  await using federation = await federationOn();
  await untilListening(federation, FIRST);
  await using node = bareNode(federation.hub, {
    token: await federation.token({}),
    hub: { host: FIRST, port: federation.hub.port },
  });
  await node.welcome();
});

test.each(['vps.tail.lab', 'VPS.Tail.Lab', 'vps', 'vps-host', FIRST])(
  'it answers to what the tailnet calls this machine: %s',
  async (name) => {
    await using federation = await federationOn();
    await untilListening(federation, FIRST);
    // By loopback too: in userspace mode tailscaled hands on there what comes for the tailnet address.
    expect(await health(federation, FIRST, `${name}:${federation.hub.port}`)).toBe(200);
    expect(await health(federation, '127.0.0.1', name)).toBe(200);
  },
);

test.each(['tail.lab', 'other.tail.lab', 'vps.evil.example', SECOND])('and to no other: %s', async (name) => {
  await using federation = await federationOn();
  await untilListening(federation, FIRST);
  expect(await health(federation, FIRST, name)).toBe(403);
});

test('it moves with its address, and leaves with it', async () => {
  await using federation = await federationOn();
  await untilListening(federation, FIRST);
  tailscaled.change(running([SECOND]));
  await untilListening(federation, SECOND);
  await expect(health(federation, FIRST)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  expect(await health(federation, SECOND)).toBe(200);
  expect(await health(federation, '127.0.0.1', FIRST)).toBe(403);

  tailscaled.change(stopped());
  expect((await untilListening(federation)).tailnet).toMatchObject({ state: 'Stopped', addresses: [] });
  await expect(health(federation, SECOND)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  expect(await health(federation, '127.0.0.1')).toBe(200);
});

test('a link outlives the listener that it came by', async () => {
  await using federation = await federationOn();
  await untilListening(federation, FIRST);
  await using node = bareNode(federation.hub, {
    name: 'w1',
    token: await federation.token({}),
    hub: { host: FIRST, port: federation.hub.port },
  });
  await node.welcome();
  await federation.untilOnline('w1');
  tailscaled.change(stopped());
  await untilListening(federation);
  expect(await federation.isOnline('w1')).toBe(true);
  tailscaled.change(running([FIRST]));
  await untilListening(federation, FIRST);
  expect(node.events.filter(({ type }) => type === 'welcome')).toHaveLength(1);
});

test('a tailscaled that is away is no reason not to start, is said, and is found when it comes', async () => {
  await tailscaled.stop();
  await using federation = await federationOn();
  await eventually('it is said', async () => {
    const { tailnet } = await federation.get<Status>('/status');
    return tailnet.problem === 'tailscaled does not run' && tailnet.state === 'absent';
  });
  await tailscaled.start();
  await untilListening(federation, FIRST);
});

test('a port that another program has is said once, and taken as soon as it is free', async () => {
  await using federation = await federationOn();
  await untilListening(federation, FIRST);
  const other = await takePort(SECOND, federation.hub.port);
  onTestFinished(() => void other.close());
  tailscaled.change(running([FIRST, SECOND]));
  const where = `${SECOND}:${federation.hub.port}`;
  await eventually('it is said', async () => {
    const { tailnet } = await federation.get<Status>('/status');
    return tailnet.problem === `${where} is in use`;
  });
  other.close();
  expect((await untilListening(federation, FIRST, SECOND)).tailnet.problem).toBeNull();
  const said = federation.logs.filter((line) => line.includes(`${where} is in use`));
  expect(said).toHaveLength(1);
});

test.each(['0.0.0.0', FIRST])('where it listens on %s anyhow, the tailnet address is its own already', async (own) => {
  await using federation = await federationOn({ address: own });
  await eventually('the tailnet is there', async () => {
    const { tailnet } = await federation.get<Status>('/status');
    return tailnet.state === 'Running';
  });
  const { tailnet, listening } = await federation.get<Status>('/status');
  expect(listening.slice(1)).toEqual([`${own}:${federation.hub.port}`]);
  expect(tailnet.problem).toBeNull();
  expect(await health(federation, FIRST, 'vps.tail.lab')).toBe(200);
});

test('without the setting nobody asks tailscaled', async () => {
  await using federation = await startFederation({ hub: { tailscale: { socket: tailscaled.socket } } });
  expect((await federation.get<Status>('/status')).tailnet.state).toBe('off');
  expect(tailscaled.requests).toEqual([]);
});

describe('an address that the interface has a moment late', () => {
  const up: Tailnet = { state: 'Running', addresses: [FIRST], dnsName: null, hostName: null, problem: null };
  const late = (): Promise<never> => Promise.reject(new Error('can’t listen on it (EADDRNOTAVAIL)'));

  async function* once(tailnet: Tailnet, signal: AbortSignal): AsyncGenerator<Tailnet> {
    yield tailnet;
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
  }

  function follow(listen: () => Promise<{ close(): Promise<void> }>) {
    const stopping = new AbortController();
    const { signal } = stopping;
    const tailscale = { watch: () => once(up, signal), status: late, peers: late, whois: late };
    const options = { tailscale, port: 19_000, address: '127.0.0.1', listen, log: SILENT_LOG, signal };
    return { followed: followTailnet(options), stopping };
  }

  test('is tried again', async () => {
    let tries = 0;
    let closed = 0;
    const { followed, stopping } = follow(() => {
      tries += 1;
      return tries < 3 ? late() : Promise.resolve({ close: async () => void (closed += 1) });
    });
    await eventually('it was tried', () => tries === 1);
    expect(followed.listening()).toEqual([]);
    expect(followed.status().problem).toContain('EADDRNOTAVAIL');
    await eventually('it listens', () => followed.listening().length === 1);
    expect(followed.listening()).toEqual([`${FIRST}:19000`]);
    stopping.abort();
    await followed.done;
    expect([tries, closed]).toEqual([3, 1]);
  });

  test('holds up nobody who stops', async () => {
    let tries = 0;
    const { followed, stopping } = follow(() => {
      tries += 1;
      return late();
    });
    await eventually('it was tried', () => tries === 1);
    stopping.abort();
    await followed.done;
    expect(followed.listening()).toEqual([]);
  });
});
