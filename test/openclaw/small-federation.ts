import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { connect, createServer as createTcpServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createLog } from '#src/adapters/log.ts';
import { startGateway } from '#src/adapters/openclaw/gateway-process.ts';
import { connectGateway } from '#src/adapters/openclaw/gateway.ts';
import type { Gateway } from '#src/adapters/openclaw/gateway.ts';
import { nodeHostProgram } from '#src/adapters/openclaw/node-host.ts';
import { aMember } from '../support/member.ts';
import type { Member } from '#src/core/member.ts';
import { createCarrier } from '#src/hub/openclaw/carrier.ts';
import type { Carrier } from '#src/hub/openclaw/carrier.ts';
import { createGatewayDesk } from '#src/hub/openclaw/gateway.ts';
import type { GatewayDesk } from '#src/hub/openclaw/gateway.ts';
import type { NodeHostState } from '#src/protocol/hub-api/node.ts';
import { startCarrier } from '#src/worker/carrier.ts';
import { startNodeHost } from '#src/worker/node-host.ts';
import type { NodeHostSupervision } from '#src/worker/node-host.ts';

export const COMMANDS = ['system.run', 'system.run.prepare', 'system.which'];
export const OPENCLAW = fileURLToPath(new URL('../../node_modules/.bin/openclaw', import.meta.url));

/** The real gateway and one real node host, joined by our two carriers; of the hub only what those need. */
export interface SmallFederation {
  readonly hubPort: number;
  readonly carrierPort: number;
  readonly credential: string;
  readonly gateway: Gateway;
  readonly desk: GatewayDesk;
  readonly carrier: Carrier;
  readonly supervision: NodeHostSupervision;
  readonly log: readonly string[];
  /** Connections to the gateway so far, each with the bytes that were sent to it. */
  readonly toGateway: () => readonly Buffer[];
  member(): Member;
  change(changed: Partial<Member>): void;
  nodeHost(): NodeHostState;
  deviceId(): string;
  close(): Promise<void>;
}

export async function smallFederation(): Promise<SmallFederation> {
  const directory = await mkdtemp(join(tmpdir(), 'ocf-openclaw-'));
  const stopping = new AbortController();
  const { signal } = stopping;
  const lines: string[] = [];
  const log = createLog({ level: 'debug', module: 'test', write: (line) => void lines.push(line) });
  const token = randomBytes(32).toString('base64url');
  const credential = randomBytes(32).toString('base64url');
  const port = await freePort();
  let member = newMember();

  const gatewayProcess = await startGateway({
    directory: join(directory, 'gateway'),
    port,
    token,
    openclaw: OPENCLAW,
    log: log.child('openclaw'),
    signal,
  });
  const tap = await startTap(port);

  const gateway = connectGateway({
    url: gatewayProcess.url,
    token: () => token,
    trusts: () => true,
    log: log.child('gateway'),
    signal,
  });
  const setMember = (changed: Partial<Member>): void => {
    member = { ...member, ...changed };
  };
  const desk = createGatewayDesk({
    gateway,
    members: () => [member],
    change: async (_nodeId, change) => setMember(change(member)),
    log: log.child('desk'),
    signal,
  });
  const carrier = createCarrier({
    gatewayUrl: `ws://127.0.0.1:${tap.port}`,
    authenticate: ({ headers }) => (headers.authorization === `Bearer ${credential}` ? member : null),
    isShut: () => false,
    onDevice: (_nodeId, deviceId) => void desk.joined(member, deviceId),
    log: log.child('hub-carrier'),
  });
  const hub = createServer((_request, response) => response.writeHead(404).end());
  hub.on('upgrade', carrier.upgrade);
  await new Promise<void>((resolve) => hub.listen(0, '127.0.0.1', resolve));
  const hubPort = (hub.address() as AddressInfo).port;

  const local = await startCarrier({
    port: 0,
    hub: { host: '127.0.0.1', port: hubPort },
    session: () => ({ address: '127.0.0.1', credential, link: 1, lost: new AbortController().signal }),
    log: log.child('worker-carrier'),
    signal,
  });
  const supervision = startNodeHost({
    program: nodeHostProgram({
      openclaw: OPENCLAW,
      stateDirectory: join(directory, 'node-host'),
      displayName: member.name,
      commands: COMMANDS,
      log: log.child('node-host'),
    }),
    desk: {
      requestSetupCode: async (carrierPort) => (await desk.setupCode(member, carrierPort)).setupCode,
      ownNodeHost: async () => desk.nodeHostState(member),
    },
    carrierPort: local.port,
    pace: {
      askMs: 1000,
      promptMs: 250,
      zombieMs: 15_000,
      startMs: 120_000,
      retry: { minMs: 500, maxMs: 5000, patientMs: 1000 },
    },
    log: log.child('supervision'),
    signal,
  });

  return {
    hubPort,
    carrierPort: local.port,
    credential,
    gateway,
    desk,
    carrier,
    supervision,
    log: lines,
    toGateway: tap.sent,
    member: () => member,
    change: setMember,
    nodeHost: () => desk.nodeHostState(member),
    deviceId: () => member.openclaw?.deviceId ?? '',
    async close() {
      stopping.abort();
      await Promise.all([supervision.done, desk.done, gateway.close(), local.close()]);
      carrier.close();
      hub.closeAllConnections();
      await new Promise((resolve) => hub.close(resolve));
      await tap.close();
      await gatewayProcess.stop();
      await rm(directory, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

function newMember(): Member {
  return aMember({ id: randomBytes(32).toString('hex'), grantedCommands: COMMANDS });
}

/** Passes everything on and keeps what was sent towards the gateway. */
async function startTap(port: number): Promise<{ port: number; sent: () => Buffer[]; close: () => Promise<void> }> {
  const sent: Buffer[][] = [];
  const sockets = new Set<Socket>();
  const server = createTcpServer((incoming) => {
    const outgoing = connect(port, '127.0.0.1');
    const chunks: Buffer[] = [];
    sent.push(chunks);
    for (const socket of [incoming, outgoing]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        incoming.destroy();
        outgoing.destroy();
        sockets.delete(socket);
      });
    }
    incoming.on('data', (chunk) => chunks.push(chunk));
    incoming.pipe(outgoing);
    outgoing.pipe(incoming);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    sent: () => sent.map((chunks) => Buffer.concat(chunks)),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

export async function freePort(): Promise<number> {
  const server = createTcpServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Polls until `holds`; throws with the last value of `said` after `withinMs`. */
export async function until(holds: () => boolean, said: () => unknown, withinMs = 120_000): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`still ${JSON.stringify(said())} after ${withinMs} ms`);
    await pause(100);
  }
}

/** A process and all that came of it, by /proc: some leave its group and session. */
export async function familyOf(leader: number): Promise<number[]> {
  const parents = new Map<number, number>();
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => '');
    parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
  }
  const family = [leader];
  for (const member of family) {
    for (const [pid, parent] of parents) if (parent === member) family.push(pid);
  }
  return family;
}
