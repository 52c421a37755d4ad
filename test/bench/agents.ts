import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { WebSocketServer } from 'ws';
import { SETTINGS_FILE } from '#src/adapters/settings-file.ts';
import type { AgentView, HandoffView } from '#src/protocol/handoffs.ts';
import type { AgentGateway, AgentScript } from '../support/agent-gateway.ts';
import { agentGateway } from '../support/agent-gateway.ts';
import { eventually } from '../support/eventually.ts';
import type { Bench } from './bench.ts';
import type { StartedHub } from './federation.ts';
import { startHub, WORKER, workerHome } from './federation.ts';
import { startHelper } from './helper.ts';
import type { StartedProcess } from './process.ts';

/** A hub, and a worker whose gateway is scripted in this process. */
export interface Agents {
  readonly hub: StartedHub;
  readonly worker: StartedProcess;
  readonly gateway: AgentGateway;
  /** Resolves when the hub has it durably. */
  handOver(agent: string, task: string): Promise<string>;
  follow(id: string, after: number): Promise<Followed>;
  untilOver(id: string): Promise<void>;
}

/** What comes on a stream of server-sent events. */
export interface Followed {
  /** The `data` of the next event that is one of the handoff's. */
  next(): Promise<string>;
  /** Reads nothing more, and stays. */
  pause(): void;
  close(): void;
}

/** Both agents of the gateway work on so many at once. */
const CONCURRENCY = 64;
const END_MS = 60_000;

export async function startAgents(bench: Bench, script: AgentScript): Promise<Agents> {
  const { signal } = new AbortController();
  const gateway = await agentGateway(script);
  bench.onEnd(async () => gateway[Symbol.asyncDispose]());
  const hub = await startHub(bench);
  const home = await workerHome(bench, hub);
  const agents = ['main', 'coder'].map((id) => `    - { id: ${id}, concurrency: ${CONCURRENCY} }\n`).join('');
  const settings = `worker:\n  tools:\n    gatewaySettings: ${gateway.settingsFile}\nhandoffs:\n  agents:\n${agents}`;
  await writeFile(join(home, SETTINGS_FILE), settings, { mode: 0o600 });
  const { client } = hub;
  const { address, port } = client.record;
  const worker = await bench.start({
    name: 'worker',
    program: join(bench.installed, 'bin/federation-worker'),
    args: ['--home', home, '--name', WORKER, '--hub', `${address}:${port}`, '--until-input-ends'],
  });
  await eventually(
    'its agents are offered',
    async () => (await client.ask<AgentView[]>('GET', '/agents')).length === 2,
  );
  return {
    ...{ hub, worker, gateway },
    async handOver(agent, task) {
      const order = { key: randomUUID(), target: `${WORKER}/${agent}`, task };
      return (await client.ask<HandoffView>('POST', '/handoffs', order)).id;
    },
    async follow(id, after) {
      const path = `/handoffs/${id}/events?after=${after}`;
      const response = await client.open('GET', path, undefined, signal);
      response.on('error', () => undefined);
      return followed(response, () => response.destroy());
    },
    untilOver: async (id) =>
      void (await eventually(
        'it is over',
        async () => {
          const { endedAt } = await client.ask<HandoffView>('GET', `/handoffs/${id}`);
          return endedAt !== null;
        },
        END_MS,
      )),
  };
}

/** The same way without anything on it that keeps, judges or counts. */
export interface BareWay {
  /** The hub's. */
  readonly url: string;
  /** As a gateway says it. */
  say(frame: object): void;
  follow(): Promise<Followed>;
}

export async function startBareWay(bench: Bench): Promise<BareWay> {
  const hub = await startHelper(bench, 'handoff-floor', ['hub', await bench.folder()]);
  const [url, linkPort] = [`http://127.0.0.1:${await hub.next()}`, await hub.next()];
  const gateway = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  await once(gateway, 'listening');
  bench.onEnd(async () => {
    for (const client of gateway.clients) client.terminate();
    gateway.close();
  });
  const { port } = gateway.address() as AddressInfo;
  const node = await startHelper(bench, 'handoff-floor', ['node', `ws://127.0.0.1:${port}`, Number(linkPort)]);
  await node.next();
  return {
    url,
    say(frame) {
      for (const client of gateway.clients) client.send(JSON.stringify(frame));
    },
    async follow() {
      const connection = new AbortController();
      const { body } = await fetch(url, { signal: connection.signal });
      if (body === null) throw new Error('an answer without a body');
      return followed(body, () => connection.abort());
    },
  };
}

function followed(stream: AsyncIterable<Uint8Array> & { pause?: () => unknown }, close: () => void): Followed {
  const decoder = new TextDecoder();
  const chunks = stream[Symbol.asyncIterator]();
  let held = '';
  return {
    async next() {
      for (;;) {
        const end = held.indexOf('\n\n');
        if (end === -1) {
          const { done, value } = await chunks.next();
          if (done === true) throw new Error('the events ended');
          held += decoder.decode(value, { stream: true });
          continue;
        }
        const block = held.slice(0, end);
        held = held.slice(end + 2);
        // How it stands is no event of its own.
        if (!block.includes('event: standing') && block.includes('data: ')) return block;
      }
    },
    pause: () => void stream.pause?.(),
    close,
  };
}
