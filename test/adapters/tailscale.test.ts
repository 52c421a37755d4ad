import type { LookupAddress } from 'node:dns';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Tailnet } from '#src/adapters/tailscale/answers.ts';
import { tailnetLookup } from '#src/adapters/tailscale/lookup.ts';
import type { Tailscale } from '#src/adapters/tailscale/tailscale.ts';
import { createTailscale } from '#src/adapters/tailscale/tailscale.ts';
import { eventually } from '../support/eventually.ts';
import type { FakeTailscaled } from '../support/fake-tailscaled.ts';
import { fakeTailscaled, peer, running, stopped } from '../support/fake-tailscaled.ts';

let daemon: FakeTailscaled;
let tailscale: Tailscale;
let stopping: AbortController;
let watched: Promise<void>[];

beforeEach(async () => {
  daemon = await fakeTailscaled();
  tailscale = createTailscale({ socket: daemon.socket });
  stopping = new AbortController();
  watched = [];
});

afterEach(async () => {
  stopping.abort();
  await Promise.all(watched);
  await daemon[Symbol.asyncDispose]();
});

function watch(of: Tailscale = tailscale): Tailnet[] {
  const seen: Tailnet[] = [];
  watched.push(
    (async () => {
      for await (const tailnet of of.watch(stopping.signal)) seen.push(tailnet);
    })(),
  );
  return seen;
}

const states = (seen: readonly Tailnet[]) => seen.map(({ state }) => state);
const ABSENT = { state: 'absent', addresses: [], dnsName: null, hostName: null };
const VPS = {
  state: 'Running',
  addresses: ['100.64.0.1', 'fd7a:115c:a1e0::1'],
  dnsName: 'vps.tail.lab',
  hostName: 'vps-host',
  problem: null,
};

describe('its status', () => {
  test('is asked as tailscaled wants it, and without the peers', async () => {
    expect(await tailscale.status(stopping.signal)).toEqual(VPS);
    expect(daemon.requests).toEqual([{ path: '/localapi/v0/status?peers=false', host: 'local-tailscaled.sock' }]);
  });

  test('has its addresses as soon as it starts', async () => {
    daemon.status = { ...running(), BackendState: 'Starting' };
    expect(await tailscale.status(stopping.signal)).toEqual({ ...VPS, state: 'Starting' });
  });

  test('has no addresses while it is stopped: those that it had are on no interface', async () => {
    daemon.status = stopped();
    expect(await tailscale.status(stopping.signal)).toMatchObject({ state: 'Stopped', addresses: [] });
  });

  test('may say nothing of itself and of others', async () => {
    daemon.status = { BackendState: 'NoState', TailscaleIPs: null, Self: null, Peer: null };
    expect(await tailscale.status(stopping.signal)).toEqual({ ...ABSENT, state: 'NoState', problem: null });
    expect(await tailscale.peers(stopping.signal)).toEqual([]);
  });

  test('is `absent` where no tailscaled is', async () => {
    const nowhere = createTailscale({ socket: `${daemon.socket}.nothing` });
    expect(await nowhere.status(stopping.signal)).toEqual({ ...ABSENT, problem: 'tailscaled does not run' });
    await daemon.stop();
    expect(await tailscale.status(stopping.signal)).toEqual({ ...ABSENT, problem: 'tailscaled does not run' });
  });

  test.each<[string, unknown]>([
    ['cut JSON', '{"BackendState":"Running","TailscaleIPs":["100.64'],
    ['nothing', ''],
    ['no object', '[1,2]'],
    ['null', 'null'],
    ['a state that is none', { ...running(), BackendState: 6 }],
    ['addresses that are no list', { ...running(), TailscaleIPs: '100.64.0.1' }],
    ['a self that is a text', { ...running(), Self: 'me' }],
    ['a megabyte of brackets', '['.repeat(1 << 20)],
  ])('is `absent` where the answer is %s', async (_, status) => {
    daemon.status = status;
    const problem = 'tailscaled’s answer can’t be read';
    expect(await tailscale.status(stopping.signal)).toEqual({ ...ABSENT, problem });
  });

  test.each<[string, (request: IncomingMessage, response: ServerResponse) => void]>([
    ['refuses', (_, response) => void response.writeHead(403).end('denied')],
    ['hangs up', (request) => void request.socket.destroy()],
    [
      'hangs up in the middle',
      (request, response) => {
        response.writeHead(200, { 'content-length': '1000' }).write('{"BackendState":');
        setImmediate(() => request.socket.destroy());
      },
    ],
  ])('is `absent` where tailscaled %s', async (_, answer) => {
    daemon.answer = answer;
    expect(await tailscale.status(stopping.signal)).toMatchObject(ABSENT);
  });

  test('is `absent` where the answer has no end', async () => {
    daemon.answer = (_, response) => {
      const chunk = Buffer.alloc(1 << 20, ' ');
      const pour = (): void => {
        while (!response.destroyed && response.write(chunk));
        response.once('drain', pour);
      };
      pour();
    };
    expect(await tailscale.status(stopping.signal)).toMatchObject({ ...ABSENT, problem: /larger than 64 MiB/ });
  });

  test('leaves out what is no address and no name', async () => {
    const hostile = running(['100.64.0.1', 'evil.example', '100.64.0.300', '']);
    daemon.status = { ...hostile, Self: { ...hostile.Self, DNSName: 'a\u001b[2Jb.', HostName: "Ann's phone" } };
    expect(await tailscale.status(stopping.signal)).toMatchObject({
      addresses: ['100.64.0.1'],
      dnsName: null,
      hostName: null,
    });
  });

  test('has peers, and one that is odd hides no other', async () => {
    const tags = ['tag:worker'];
    daemon.status = running([], {
      'nodekey:1': peer('m2.tail.lab.', ['fd7a::2', '100.64.0.2'], { Tags: tags, CapMap: { any: null } }),
      'nodekey:2': { ID: 5 },
      'nodekey:3': null,
      'nodekey:4': peer('m3.tail.lab.', [], { TailscaleIPs: null, Tags: null, Online: false }),
    });
    expect(await tailscale.peers(stopping.signal)).toEqual([
      {
        id: 'id-m2.tail.lab.',
        dnsName: 'm2.tail.lab',
        hostName: 'm2',
        addresses: ['100.64.0.2', 'fd7a::2'],
        tags,
        online: true,
      },
      { id: 'id-m3.tail.lab.', dnsName: 'm3.tail.lab', hostName: 'm3', addresses: [], tags: [], online: false },
    ]);
  });
});

describe('watching it', () => {
  test('tells how it is at once, and then each change once', async () => {
    const seen = watch();
    await eventually('the first', () => seen.length === 1);
    expect(seen[0]).toEqual(VPS);
    daemon.change(running());
    daemon.change(running(['100.64.0.9']));
    await eventually('another address', () => seen.at(-1)?.addresses[0] === '100.64.0.9');
    daemon.change(stopped());
    await eventually('stopped', () => seen.at(-1)?.state === 'Stopped');
    expect(states(seen)).toEqual(['Running', 'Running', 'Stopped']);
  });

  test('outlives tailscaled, and finds it again', async () => {
    await daemon.stop();
    const seen = watch();
    await eventually('it is absent', () => seen.length === 1);
    await daemon.start();
    await eventually('it is there', () => seen.length === 2);
    await daemon.stop();
    await eventually('it is gone', () => seen.length === 3);
    daemon.status = running(['100.64.0.7']);
    await daemon.start();
    await eventually('it is back', () => seen.length === 4);
    expect(states(seen)).toEqual(['absent', 'Running', 'absent', 'Running']);
    expect(seen.at(-1)?.addresses).toEqual(['100.64.0.7']);
  });

  test('takes a bus of garbage for a bus', async () => {
    const { status } = daemon;
    daemon.answer = (request, response) => {
      if (request.url?.includes('watch-ipn-bus') !== true) return void response.end(JSON.stringify(status));
      response.write(`${'x'.repeat(1 << 20)}{"State":"none"`);
    };
    const seen = watch();
    await eventually('the first', () => seen.length === 1);
    expect(seen).toEqual([VPS]);
  });

  test('looks again where it could not look the first time', async () => {
    const { status } = daemon;
    let asked = 0;
    daemon.answer = (request, response) => {
      if (request.url?.includes('watch-ipn-bus') === true) return void response.write('{}\n');
      asked += 1;
      response.end(asked === 1 ? '' : JSON.stringify(status));
    };
    const seen = watch();
    await eventually('both', () => seen.length === 2);
    expect(states(seen)).toEqual(['absent', 'Running']);
  });

  test('does not hurry where the bus ends at once', async () => {
    daemon.answer = (_, response) => void response.writeHead(200).end();
    const seen = watch();
    await eventually('it was asked again', () => daemon.requests.length >= 3);
    expect(daemon.requests.length).toBeLessThan(5);
    expect(seen).toEqual([]);
  });

  test('ends when it is told to, with its connection', async () => {
    const closed = new Promise((resolve) => {
      daemon.answer = (request, response) => {
        request.socket.on('close', resolve);
        response.writeHead(200).flushHeaders();
      };
    });
    watch();
    await eventually('it asks', () => daemon.requests.length === 1);
    stopping.abort();
    await Promise.all([...watched, closed]);
    expect(daemon.requests).toHaveLength(1);
  });

  test('that is told to end before it starts asks nothing', async () => {
    stopping.abort();
    watch();
    await Promise.all(watched);
    expect(daemon.requests).toEqual([]);
  });
});

describe('who an address is', () => {
  const node = { ID: 2, StableID: 'n2CNTRL', Name: 'm2.tail.lab.', User: 1, Addresses: ['100.64.0.2/32'] };
  const ann = { ID: 1, LoginName: 'ann@example.com', DisplayName: 'Ann' };

  test('is a machine with its owner', async () => {
    daemon.identities.set('fd7a:115c:a1e0::2', { Node: node, UserProfile: ann, CapMap: null });
    expect(await tailscale.whois('fd7a:115c:a1e0::2', stopping.signal)).toEqual({
      stableId: 'n2CNTRL',
      name: 'm2.tail.lab',
      user: 'ann@example.com',
      tags: [],
    });
  });

  test('is a tagged machine without an owner', async () => {
    const tagged = { ...node, Tags: ['tag:worker'] };
    daemon.identities.set('100.64.0.2', { Node: tagged, UserProfile: { ...ann, LoginName: 'tagged-devices' } });
    expect(await tailscale.whois('100.64.0.2', stopping.signal)).toMatchObject({ user: null, tags: ['tag:worker'] });
  });

  test('is null where the tailnet does not know it', async () => {
    expect(await tailscale.whois('192.0.2.1', stopping.signal)).toBeNull();
  });

  test.each<[string, unknown]>([
    ['without an id', { Node: { ...node, StableID: '' }, UserProfile: ann }],
    ['that is null', 'null'],
    ['that is cut', '{"Node":{"StableID":"n2'],
  ])('is an error for an answer %s', async (_, identity) => {
    daemon.identities.set('100.64.0.2', identity);
    await expect(tailscale.whois('100.64.0.2', stopping.signal)).rejects.toMatchObject({ code: 'NOT_RUNNING' });
  });

  test('is an error, and no stranger, where tailscaled is absent or refuses', async () => {
    daemon.answer = (_, response) => void response.writeHead(403).end();
    await expect(tailscale.whois('100.64.0.2', stopping.signal)).rejects.toMatchObject({ code: 'NOT_RUNNING' });
    await daemon.stop();
    await expect(tailscale.whois('100.64.0.2', stopping.signal)).rejects.toMatchObject({ code: 'NOT_RUNNING' });
  });
});

describe('a name', () => {
  const notFound = (): Promise<LookupAddress[]> =>
    Promise.reject(Object.assign(new Error('ENOTFOUND'), { code: 'ENOTFOUND' }));

  beforeEach(() => {
    daemon.status = running([], {
      1: peer('vps.tail.lab.', ['100.64.0.1', 'fd7a:115c:a1e0::1']),
      2: peer('pi.tail.lab.', ['100.64.0.2']),
      3: peer('pi.friends.example.', ['100.64.0.3']),
    });
  });

  function lookUp(host: string, options: { all?: boolean; family?: number } = {}, system = notFound) {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    tailnetLookup({ tailscale, system })(host, options, (error, address, family) =>
      error === null ? resolve(options.all === true ? address : [address, family]) : reject(error),
    );
    return promise;
  }

  test.each(['vps', 'VPS', 'vps.tail.lab', 'Vps.Tail.Lab.'])('that the system does not know: %s', async (host) => {
    expect(await lookUp(host)).toEqual(['100.64.0.1', 4]);
  });

  test('has all its addresses, or those of the family that is wanted', async () => {
    const both = [
      { address: '100.64.0.1', family: 4 },
      { address: 'fd7a:115c:a1e0::1', family: 6 },
    ];
    expect(await lookUp('vps', { all: true })).toEqual(both);
    expect(await lookUp('vps', { family: 6 })).toEqual(['fd7a:115c:a1e0::1', 6]);
    await expect(lookUp('pi.tail.lab', { family: 6 })).rejects.toMatchObject({ code: 'ENOTFOUND' });
  });

  test('that two machines have is nobody’s, until it is said in full', async () => {
    await expect(lookUp('pi')).rejects.toMatchObject({ code: 'ENOTFOUND' });
    expect(await lookUp('pi.friends.example')).toEqual(['100.64.0.3', 4]);
  });

  test.each(['nobody', 'tail.lab', 'ps.tail.lab', ''])('that nobody has: %j', async (host) => {
    await expect(lookUp(host)).rejects.toMatchObject({ code: 'ENOTFOUND' });
  });

  test('that the system knows is the system’s, and tailscaled is not asked', async () => {
    const known = () => Promise.resolve([{ address: '192.0.2.1', family: 4 }]);
    expect(await lookUp('vps', {}, known)).toEqual(['192.0.2.1', 4]);
    expect(daemon.requests).toEqual([]);
  });

  test('is found while the system does not come to an end', async () => {
    expect(await lookUp('vps', {}, () => new Promise(() => undefined))).toEqual(['100.64.0.1', 4]);
  });

  test('is the system’s no where tailscaled is absent', async () => {
    await daemon.stop();
    await expect(lookUp('vps')).rejects.toMatchObject({ code: 'ENOTFOUND' });
  });
});
