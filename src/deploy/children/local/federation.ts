import { join } from 'node:path';
import type { Home } from '#src/adapters/home.ts';
import { openHome } from '#src/adapters/home.ts';
import type { HubClient } from '#src/adapters/hub.ts';
import { findHub } from '#src/adapters/hub.ts';
import { FederationError } from '#src/core/errors.ts';
import { until } from '#src/deploy/condition.ts';
import type { DaemonSpec } from '#src/deploy/children/daemon.ts';
import { startDaemon } from '#src/deploy/children/daemon.ts';
import { freePort } from '#src/deploy/children/free-port.ts';
import type { LocalGateway } from '#src/deploy/children/local/gateway.ts';
import { localGateway } from '#src/deploy/children/local/gateway.ts';
import { letMasterJoin, memberOnline, nodeHostConnected } from '#src/deploy/children/local/members.ts';
import { readLocalRecord, removeLocalRecord, writeLocalRecord } from '#src/deploy/children/local/record.ts';

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
/** The worker that runs OpenClaw's node host; the others are light. */
const NODE_HOST_WORKER = 'w1';

/**
 * Starts it and waits until every part works. A folder that was used before is taken up again as it is.
 * Throws ALREADY_RUNNING, OPENCLAW_MISSING, START_FAILED; then nothing of it is left running.
 */
export async function startLocal({
  directory,
  workers,
  openclaw,
  progress,
  signal,
}: LocalOptions): Promise<LocalFederation> {
  const home = await openHome(directory);
  await refuseSecond(home);
  const record = { workers, openclaw: openclaw !== null };
  await writeLocalRecord(home, { ...record, state: 'starting' });

  const failure = Promise.withResolvers<never>();
  const interrupted = Promise.withResolvers<never>();
  for (const { promise } of [failure, interrupted]) promise.catch(() => undefined);
  /** Ends also what still waits for a part of a federation that failed to start. */
  const gaveUp = new AbortController();
  const waits = AbortSignal.any([signal, gaveUp.signal]);
  signal.addEventListener('abort', () => interrupted.reject(signal.reason), { once: true });
  const orFailed = <T>(work: Promise<T>): Promise<T> => Promise.race([failure.promise, interrupted.promise, work]);
  /** What was started, in its order: it ends from the last to the first, those of one step together. */
  const steps: (() => Promise<unknown>)[][] = [[() => removeLocalRecord(home)]];

  async function stop(): Promise<void> {
    for (const step of steps.splice(0).toReversed()) await Promise.all(step.map((end) => end()));
  }

  function launch({ home: place, ...spec }: Omit<DaemonSpec, 'home' | 'log' | 'onFailed'> & { home: Home }) {
    const log = place.file(`${spec.program.replace('federation-', '')}.log`);
    const daemon = startDaemon({ ...spec, home: place.path, log, onFailed: failure.reject });
    return () => daemon.stop();
  }

  function launchGateway(gateway: LocalGateway): Promise<void> {
    const kept = gateway.keep(progress);
    steps.push([() => kept.stop()]);
    // Looked at later, when all else runs; until then its failure is not lost.
    kept.ready.catch(failure.reject);
    return kept.ready;
  }

  async function compose(): Promise<LocalFederation> {
    const master = await openHome(join(directory, 'master'));
    const gateway = openclaw === null ? null : await localGateway(master, openclaw);
    const gatewayReady = gateway === null ? null : launchGateway(gateway);

    const environment = { OPENCLAW_FEDERATION_HUB_PORT: String(await freePort()), ...gateway?.environment };
    steps.push([launch({ name: 'the hub', program: 'federation-hub', home: master, environment })]);
    const hub = await orFailed(hubThatAnswers(master, waits));
    progress(`the hub runs (${hub.record.address}:${hub.record.port})`);

    const places = await workerPlaces(directory, workers);
    await letMasterJoin(hub, places.get('master')!);
    steps.push(
      [...places].map(([name, place]) =>
        launch({
          name,
          program: 'federation-worker',
          home: place,
          environment: workerEnvironment(name, hub, openclaw),
        }),
      ),
    );
    const joining = { hub, progress, signal: waits };
    await orFailed(Promise.all([...places].map(([name, place]) => memberOnline(name, place, joining))));
    if (gatewayReady !== null) {
      progress(`waiting for the OpenClaw gateway and the node host on ${NODE_HOST_WORKER} (10 to 60 s)`);
      await orFailed(
        gatewayReady.then(() => nodeHostConnected(NODE_HOST_WORKER, places.get(NODE_HOST_WORKER)!, joining)),
      );
    }
    await writeLocalRecord(home, { ...record, state: 'ready' });
    return { home: master.path, failed: failure.promise, stop };
  }

  try {
    return await compose();
  } catch (error) {
    gaveUp.abort();
    await stop();
    throw error;
  }
}

async function refuseSecond(home: Home): Promise<void> {
  const found = await readLocalRecord(home);
  if (found?.alive !== true) return;
  throw new FederationError('ALREADY_RUNNING', `process ${found.record.pid} runs a federation in ${home.path}`, {
    hint: `deploy-federation local --dir ${home.path} --stop`,
  });
}

function hubThatAnswers(master: Home, signal: AbortSignal): Promise<HubClient> {
  return until({
    what: 'the hub',
    withinMs: HUB_MS,
    look: async () => {
      const hub = await findHub(master.path);
      await hub.ask('GET', '/status');
      return hub;
    },
    hint: `see ${master.file('hub.log')}`,
    signal,
  });
}

/** The master's own worker daemon too: there is one kind of node everywhere. */
async function workerPlaces(directory: string, workers: number): Promise<Map<string, Home>> {
  const places = new Map([['master', await openHome(join(directory, 'master', 'worker'))]]);
  for (let number = 1; number <= workers; number++)
    places.set(`w${number}`, await openHome(join(directory, `w${number}`)));
  return places;
}

function workerEnvironment(name: string, { record }: HubClient, openclaw: string | null): Record<string, string> {
  const common = {
    OPENCLAW_FEDERATION_NAME: name,
    OPENCLAW_FEDERATION_WORKER_HUB: `${record.address}:${record.port}`,
    // Many nodes on one machine, of which none may have the port that a machine’s one node has.
    OPENCLAW_FEDERATION_MODELS_PORT: '0',
  };
  // An empty allow-list: nothing runs on the master unless its own settings say so.
  if (name === 'master') {
    return { ...common, OPENCLAW_FEDERATION_ROLE: 'master', OPENCLAW_FEDERATION_WORKER_EXEC_MODE: 'allowlist' };
  }
  if (name !== NODE_HOST_WORKER || openclaw === null) return common;
  return {
    ...common,
    OPENCLAW_FEDERATION_NODE_HOST_ENABLED: 'true',
    OPENCLAW_FEDERATION_NODE_HOST_OPENCLAW: openclaw,
    OPENCLAW_FEDERATION_NODE_HOST_CARRIER_PORT: '0',
  };
}
