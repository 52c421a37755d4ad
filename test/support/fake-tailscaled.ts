import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** As much of tailscaled's LocalAPI as the federation uses, in the shapes of Tailscale 1.102. */
export interface FakeTailscaled extends AsyncDisposable {
  readonly socket: string;
  /** What `/status` answers; an object is written as JSON, a text as it is. */
  status: unknown;
  /** What `/whois` answers to each address; 404 to any other. */
  readonly identities: Map<string, unknown>;
  /** Path and Host of every request so far. */
  readonly requests: readonly { readonly path: string; readonly host: string | undefined }[];
  /** Answers in place of all that is said above. */
  answer: ((request: IncomingMessage, response: ServerResponse) => void) | null;
  /** Changes the status and says on the bus that something changed. */
  change(status: unknown): void;
  /** Ends as tailscaled does: its socket vanishes with it. */
  stop(): Promise<void>;
  start(): Promise<void>;
}

export async function fakeTailscaled(status: unknown = running()): Promise<FakeTailscaled> {
  const directory = await mkdtemp(join(tmpdir(), 'ocf-tailscaled-'));
  const socket = join(directory, 'tailscaled.sock');
  const requests: { path: string; host: string | undefined }[] = [];
  const buses = new Set<ServerResponse>();
  const server = createServer((request, response) => {
    requests.push({ path: request.url ?? '', host: request.headers.host });
    if (fake.answer !== null) return fake.answer(request, response);
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://x');
    if (request.headers.host !== 'local-tailscaled.sock' || request.headers.origin !== undefined) {
      return void response.writeHead(403).end('invalid localapi request');
    }
    switch (pathname) {
      case '/localapi/v0/status':
        return void response.end(textOf(fake.status));
      case '/localapi/v0/whois': {
        const identity = fake.identities.get(searchParams.get('addr') ?? '');
        if (identity === undefined) return void response.writeHead(404).end('no match for IP:port');
        return void response.end(textOf(identity));
      }
      case '/localapi/v0/watch-ipn-bus':
        buses.add(response);
        response.on('close', () => buses.delete(response));
        return void response.write('{"Version":"1.102.3","SessionID":"1","State":6}\n');
      default:
        return void response.writeHead(404).end();
    }
  });

  async function start(): Promise<void> {
    server.listen(socket);
    await once(server, 'listening');
  }
  async function stop(): Promise<void> {
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  }

  const fake: FakeTailscaled = {
    socket,
    status,
    identities: new Map(),
    requests,
    answer: null,
    change(next) {
      fake.status = next;
      for (const bus of buses) bus.write('{"Version":"1.102.3","SelfChange":{"ID":1}}\n');
    },
    start,
    stop,
    async [Symbol.asyncDispose]() {
      if (server.listening) await stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
  await start();
  return fake;
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value, null, '\t');
}

/** A status of a machine that is up, `vps` unless told otherwise. */
export function running(addresses: readonly string[] = ['100.64.0.1', 'fd7a:115c:a1e0::1'], peers: object = {}) {
  return {
    Version: '1.102.3-t1',
    TUN: true,
    BackendState: 'Running',
    HaveNodeKey: true,
    AuthURL: '',
    TailscaleIPs: addresses,
    Self: {
      ID: 'n1CNTRL',
      PublicKey: 'nodekey:01',
      HostName: 'vps-host',
      DNSName: 'vps.tail.lab.',
      OS: 'linux',
      TailscaleIPs: addresses,
      Online: true,
    },
    Health: [],
    MagicDNSSuffix: 'tail.lab',
    CurrentTailnet: { Name: 'lab', MagicDNSSuffix: 'tail.lab', MagicDNSEnabled: true },
    Peer: peers,
    User: { 1: { ID: 1, LoginName: 'ann@example.com', DisplayName: 'Ann' } },
    ClientVersion: null,
  };
}

export function stopped() {
  return { ...running(), BackendState: 'Stopped' };
}

export function peer(dnsName: string, addresses: readonly string[], changed: object = {}) {
  return {
    ID: `id-${dnsName}`,
    PublicKey: `nodekey:${dnsName}`,
    HostName: dnsName.split('.')[0],
    DNSName: dnsName,
    OS: 'linux',
    TailscaleIPs: addresses,
    Online: true,
    ...changed,
  };
}
