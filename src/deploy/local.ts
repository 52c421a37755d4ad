import { randomBytes } from 'node:crypto';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Home } from '#src/adapters/home.ts';
import { openHome } from '#src/adapters/home.ts';
import type { HubClient } from '#src/adapters/hub.ts';
import { findHub } from '#src/adapters/hub.ts';
import { createLog } from '#src/adapters/log.ts';
import { startGateway } from '#src/adapters/openclaw/gateway-process.ts';
import { FederationError } from '#src/core/errors.ts';
import { until } from '#src/deploy/condition.ts';
import type { DaemonSpec } from '#src/deploy/daemon.ts';
import { startDaemon } from '#src/deploy/daemon.ts';
import { logFile } from '#src/deploy/log-file.ts';
import { readLocalRecord, removeLocalRecord, writeLocalRecord } from '#src/deploy/local-record.ts';
import type { NodeDetail, NodeView, PairingRequestView, TokenCreated } from '#src/protocol/hub-api.ts';
import type { WorkerRecord } from '#src/core/worker-record.ts';
import { WORKER_RECORD_FILE } from '#src/core/worker-record.ts';

export interface LocalOptions {
  /** Everything of it lives below this folder: `master`, `w1`, `w2` … */
  readonly directory: string;
  readonly workers: number;
  /** The openclaw program; null for a federation without OpenClaw. */
  readonly openclaw: string | null;
  /** Takes a line about each thing that has come about. */
  readonly progress: (line: string) => void;
  readonly signal: AbortSignal;
}

/** A whole federation on this machine: gateway, hub, the master's own worker daemon and the workers. */
export interface LocalFederation {
  /** Home of the master: what `manage-federation --home` takes. */
  readonly home: string;
  /** Rejects when a part of it can’t be kept running. */
  readonly failed: Promise<never>;
  stop(): Promise<void>;
}

const HUB_MS = 30_000;
const JOIN_MS = 60_000;
/** A node host boots for 5 to 10 s on an idle machine, and the gateway before it. */
const NODE_HOST_MS = 240_000;

/**
 * Starts it and waits until every part works. A folder that was used before is taken up again as it is.
 * Throws ALREADY_RUNNING, OPENCLAW_MISSING, START_FAILED; then nothing of it is left running.
 */
export async function startLocal(options: LocalOptions): Promise<LocalFederation> {
  const { directory, workers, openclaw, progress, signal } = options;
  const home = await openHome(directory);
  const found = await readLocalRecord(home);
  if (found?.alive === true) {
    throw new FederationError('ALREADY_RUNNING', `process ${found.record.pid} runs a federation in ${directory}`, {
      hint: `deploy-federation local --dir ${directory} --stop`,
    });
  }
  await writeLocalRecord(home, { state: 'starting', workers, openclaw: openclaw !== null, problem: null });
  const failure = Promise.withResolvers<never>();
  failure.promise.catch(() => undefined);
  const orFailed = <T>(work: Promise<T>): Promise<T> => Promise.race([failure.promise, work]);
  const cleanups: (() => Promise<unknown>)[] = [() => removeLocalRecord(home)];
  let stopping = false;
  const stop = async (): Promise<void> => {
    stopping = true;
    for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
  };
  try {
    return await compose();
  } catch (error) {
    await stop();
    throw error;
  }

  async function compose(): Promise<LocalFederation> {
    const master = await openHome(join(directory, 'master'));
    const gateway = openclaw === null ? null : await gatewayOf(master);
    const gatewayReady = gateway === null ? null : launchGateway(gateway.port, gateway.token);
    gatewayReady?.catch(() => undefined);

    launchDaemon({
      name: 'the hub',
      program: 'federation-hub',
      home: master,
      environment: {
        OPENCLAW_FEDERATION_HUB_PORT: String(await freePort()),
        ...(gateway === null
          ? {}
          : {
              OPENCLAW_FEDERATION_GATEWAY_URL: `ws://127.0.0.1:${gateway.port}`,
              OPENCLAW_FEDERATION_GATEWAY_TOKEN_FILE: master.file(GATEWAY_TOKEN_FILE),
            }),
      },
    });
    const hub = await orFailed(hubThatAnswers(master.path));
    progress(`the hub runs (${hub.record.address}:${hub.record.port})`);
    await startWorkers(hub);
    await orFailed(Promise.all([masterJoined(hub), ...names().map((name) => joined(hub, name))]));
    if (gatewayReady !== null) {
      progress('waiting for the OpenClaw gateway and the node host on w1 (10 to 60 s)');
      await orFailed(gatewayReady.then(() => nodeHostConnected(hub)));
    }
    await writeLocalRecord(home, { state: 'ready', workers, openclaw: openclaw !== null, problem: null });
    return { home: master.path, failed: failure.promise, stop };

    async function launchGateway(port: number, token: string): Promise<void> {
      const process = await startGateway({
        directory: join(directory, 'master', 'openclaw'),
        port,
        token,
        openclaw: openclaw!,
        log: createLog({ level: 'info', module: 'gateway', write: logFile(master.file('gateway.log')) }),
        signal,
      });
      cleanups.push(() => process.stop());
      progress(`the OpenClaw gateway runs (127.0.0.1:${port})`);
      void process.exited.then((how) => stopping || failure.reject(gatewayEnded(how, master)));
    }

    async function startWorkers(client: HubClient): Promise<void> {
      const own = await openHome(join(directory, 'master', 'worker'));
      await inviteMaster(client, own);
      const start = (name: string, place: Home, environment: Record<string, string>) => {
        const { address, port } = client.record;
        const common = { OPENCLAW_FEDERATION_NAME: name, OPENCLAW_FEDERATION_WORKER_HUB: `${address}:${port}` };
        launchDaemon({ name, program: 'federation-worker', home: place, environment: { ...common, ...environment } });
      };
      // One kind of node everywhere; nothing runs on the master unless its own settings say so.
      start('master', own, { OPENCLAW_FEDERATION_ROLE: 'master', OPENCLAW_FEDERATION_WORKER_EXEC_MODE: 'allowlist' });
      for (const name of names()) {
        const place = await openHome(join(directory, name));
        start(name, place, name === 'w1' && openclaw !== null ? nodeHostEnvironment(openclaw) : {});
      }
    }
  }

  function launchDaemon({
    home: place,
    ...spec
  }: Omit<DaemonSpec, 'home' | 'log' | 'onFailed'> & { home: Home }): void {
    const log = place.file(`${spec.program.replace('federation-', '')}.log`);
    const daemon = startDaemon({ ...spec, home: place.path, log, onFailed: failure.reject });
    cleanups.push(() => daemon.stop());
  }

  function names(): string[] {
    return Array.from({ length: workers }, (_, at) => `w${at + 1}`);
  }

  function hubThatAnswers(master: string): Promise<HubClient> {
    return until({
      what: 'the hub',
      withinMs: HUB_MS,
      look: async () => {
        const hub = await findHub(master);
        await hub.ask('GET', '/status');
        return hub;
      },
      hint: `see ${join(master, 'hub.log')}`,
      signal,
    });
  }

  /** Approves the worker that we started, known by its own key, and waits for its link. */
  async function joined(hub: HubClient, name: string): Promise<void> {
    const id = await until({
      what: `the link of ${name}`,
      withinMs: JOIN_MS,
      look: async () => {
        const record = await workerRecord(join(directory, name));
        if (record === null) return null;
        const requests = await hub.ask<PairingRequestView[]>('GET', '/pairing-requests');
        const request = requests.find(({ id: asking }) => asking === record.id);
        if (request !== undefined) {
          await hub.ask<NodeDetail>('POST', `/pairing-requests/${record.id}/approve`, { replace: false });
          progress(`approved ${name} (${request.fingerprint})`);
        }
        return online(hub, record.id);
      },
      hint: `see ${join(directory, name, 'worker.log')}`,
      signal,
    });
    progress(`${name} is online (${id.slice(0, 12)})`);
  }

  async function masterJoined(hub: HubClient): Promise<void> {
    const place = join(directory, 'master', 'worker');
    await until({
      what: 'the master’s own link',
      withinMs: JOIN_MS,
      look: async () => {
        const record = await workerRecord(place);
        return record === null ? null : online(hub, record.id);
      },
      hint: `see ${join(place, 'worker.log')}`,
      signal,
    });
  }

  async function nodeHostConnected(hub: HubClient): Promise<void> {
    await until({
      what: 'OpenClaw’s node host on w1',
      withinMs: NODE_HOST_MS,
      look: async () => {
        const node = await hub.ask<NodeDetail>('GET', '/nodes/w1');
        return node.openclaw.nodeHost === 'connected' && node.openclaw.commands.length > 0 ? node : null;
      },
      hint: `see ${join(directory, 'w1', 'worker.log')}`,
      signal,
    });
    progress('OpenClaw’s node host on w1 is connected');
  }
}

const GATEWAY_TOKEN_FILE = 'gateway-token';

async function gatewayOf(master: Home): Promise<{ port: number; token: string }> {
  const token = await master.secret(GATEWAY_TOKEN_FILE, () => randomBytes(32).toString('hex'));
  return { port: await freePort(), token };
}

function gatewayEnded(how: string, master: Home): FederationError {
  return new FederationError('START_FAILED', `the OpenClaw gateway ended (${how})`, {
    hint: `see the end of ${master.file('gateway.log')}`,
  });
}

/** The master's own worker daemon joins by a token, so that it never waits for the person it belongs to. */
async function inviteMaster(hub: HubClient, own: Home): Promise<void> {
  const nodes = await hub.ask<NodeView[]>('GET', '/nodes');
  if (nodes.some(({ role, state }) => role === 'master' && state !== 'revoked')) return;
  const { token } = await hub.ask<TokenCreated>('POST', '/tokens', { name: 'master', role: 'master' });
  await own.write('join-token', `${token}\n`);
}

function nodeHostEnvironment(openclaw: string): Record<string, string> {
  return {
    OPENCLAW_FEDERATION_NODE_HOST_ENABLED: 'true',
    OPENCLAW_FEDERATION_NODE_HOST_OPENCLAW: openclaw,
    OPENCLAW_FEDERATION_NODE_HOST_CARRIER_PORT: '0',
  };
}

async function workerRecord(directory: string): Promise<WorkerRecord | null> {
  const text = await (await openHome(directory)).read(WORKER_RECORD_FILE);
  return text === null ? null : (JSON.parse(text) as WorkerRecord);
}

/** The node's id, once the hub calls it online. */
async function online(hub: HubClient, id: string): Promise<string | null> {
  const nodes = await hub.ask<NodeView[]>('GET', '/nodes');
  return nodes.some((node) => node.id === id && node.state === 'online') ? id : null;
}

/** A port that is free now. Another program may take it first; the daemon says so then. */
async function freePort(): Promise<number> {
  const probe = createServer();
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  probe.once('error', reject);
  probe.listen(0, '127.0.0.1', () => resolve((probe.address() as AddressInfo).port));
  const port = await promise;
  await new Promise((closed) => probe.close(closed));
  return port;
}
