import { EventEmitter, once } from 'node:events';
import { performServerHandshake } from 'node:http2';
import { type AddressInfo, type Socket, createServer } from 'node:net';
import { openHome } from '#src/adapters/home.ts';
import { createLog } from '#src/adapters/log.ts';
import { gatewayRunner } from '#src/adapters/openclaw/agent-runner.ts';
import type { HandoffStore } from '#src/adapters/store/handoff-store.ts';
import { openHandoffStore } from '#src/adapters/store/handoff-store.ts';
import { journalFile } from '#src/adapters/store/journal-file.ts';
import type { Role } from '#src/core/node.ts';
import type { Settings } from '#src/core/settings.ts';
import type { AgentOffer } from '#src/protocol/handoffs.ts';
import { createConsent } from '#src/worker/consent.ts';
import type { NodeHandoffs } from '#src/worker/handoffs/open.ts';
import { openNodeHandoffs } from '#src/worker/handoffs/open.ts';
import { handoffApi } from './handoff-api.ts';

export const NODE_ID = 'f'.repeat(64);

export interface DaemonOptions {
  readonly folder: string;
  /** openclaw.json of its gateway. */
  readonly settingsFile: string;
  readonly bootId?: string;
  readonly settings?: Partial<Settings['handoffs']>;
  readonly role?: Role;
  readonly onOffer?: (offer: AgentOffer) => void;
  /** What stands between it and its disk. */
  readonly disk?: (store: HandoffStore) => HandoffStore;
}

/** The part of a worker daemon that works on handoffs, with its end of a link on a port of loopback. */
export interface HandoffDaemon {
  readonly port: number;
  readonly handoffs: NodeHandoffs;
  close(): Promise<void>;
}

const DEFAULTS: Settings['handoffs'] = {
  enabled: true,
  agents: [],
  queueMax: 32,
  keepMaxBytes: 67_108_864,
  keepDays: 7,
  foreign: [],
};

export async function startDaemon(options: DaemonOptions): Promise<HandoffDaemon> {
  const {
    folder,
    settingsFile,
    bootId = 'boot',
    settings = {},
    role = 'worker',
    onOffer,
    disk = (store) => store,
  } = options;
  const log = createLog({ level: 'error', module: 'test', write: () => undefined });
  const stopping = new AbortController();
  const home = await openHome(folder);
  const session = { address: '127.0.0.1', credential: 'c', link: 1, lost: stopping.signal };
  const handoffs = await openNodeHandoffs({
    store: disk(await openHandoffStore(home.file('handoffs'))),
    messages: journalFile(home.file('messages.ndjson')),
    runner: gatewayRunner({ settingsFile, log }),
    settings: { ...DEFAULTS, ...settings },
    consent: createConsent({ id: () => NODE_ID, role }),
    bootId,
    desk: { offerAgents: async (offer) => onOffer?.(offer) },
    session: () => session,
    links: new EventEmitter<{ linked: [] }>(),
    log,
    signal: stopping.signal,
  });
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    performServerHandshake(socket)
      .on('error', () => undefined)
      .on('stream', handoffApi(handoffs));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    handoffs,
    async close() {
      for (const one of sockets) one.destroy();
      server.close();
      stopping.abort();
      await handoffs.close();
    },
  };
}
