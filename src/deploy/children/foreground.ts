import { hostname } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import type { Home } from '#src/adapters/home.ts';
import { openHome } from '#src/adapters/home.ts';
import { checkHomeFree } from '#src/adapters/home-lock.ts';
import type { HubClient } from '#src/adapters/hub.ts';
import { findHub } from '#src/adapters/hub.ts';
import { FederationError } from '#src/core/errors.ts';
import { hubAddressText } from '#src/core/hub-address.ts';
import { nodeNameFrom } from '#src/core/node.ts';
import type { Role } from '#src/core/node.ts';
import type { Settings } from '#src/core/settings.ts';
import { until } from '#src/deploy/condition.ts';
import { startDaemon } from '#src/deploy/children/daemon.ts';
import { openHomeSettings } from '#src/deploy/children/home-settings.ts';
import { localGateway } from '#src/deploy/children/local/gateway.ts';
import { memberOnline } from '#src/deploy/children/local/members.ts';
import type { WorkerStanding } from '#src/deploy/worker-standing.ts';
import { workerStandingOf } from '#src/deploy/worker-standing.ts';
import type { NodeView } from '#src/protocol/hub-api/node.ts';
import type { Status } from '#src/protocol/hub-api/status.ts';
import type { TokenCreated } from '#src/protocol/hub-api/token.ts';

export interface ForegroundOptions {
  readonly role: Role;
  /** The home of the hub on a master, of the worker daemon elsewhere: all that is kept is below it. */
  readonly directory: string;
  /** host:port of the hub. What is undefined here and below stays as the folder's settings have it. */
  readonly hub: string | undefined;
  readonly name: string | undefined;
  readonly exec: Settings['worker']['exec']['mode'] | undefined;
  readonly commands: readonly string[] | undefined;
  readonly port: number | undefined;
  /** Whether a hub listens on the machine’s tailnet addresses too, where its settings don’t say otherwise. */
  readonly tailnet: boolean;
  readonly token: string | null;
  /** The openclaw program; null for none. */
  readonly openclaw: string | null;
  /** Without OpenClaw’s node host, also where the folder had one. */
  readonly light: boolean;
  readonly progress: (line: string) => void;
  readonly signal: AbortSignal;
}

/** The daemons of one machine as children of this process: for containers, and where there is no systemd. */
export interface Foreground {
  /** Rejects with START_FAILED when one of them can’t be kept running. */
  readonly failed: Promise<never>;
  stop(): Promise<void>;
}

/** Takes a folder up where it was. Throws ALREADY_RUNNING, SETTINGS_INVALID, HOME_UNUSABLE, START_FAILED; then nothing of it is left running. */
export async function startForeground(options: ForegroundOptions): Promise<Foreground> {
  const failure = Promise.withResolvers<never>();
  failure.promise.catch(() => undefined);
  const stopping = new AbortController();
  const ends: (() => Promise<void>)[] = [];
  async function stop(): Promise<void> {
    stopping.abort();
    for (const end of ends.splice(0).toReversed()) await end();
  }
  const running: Running = {
    ...options,
    signal: AbortSignal.any([options.signal, stopping.signal]),
    ends,
    onFailed: failure.reject,
  };
  try {
    await Promise.race([failure.promise, options.role === 'master' ? startMaster(running) : startNode(running)]);
    return { failed: failure.promise, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

interface Running extends ForegroundOptions {
  /** What was started: it ends from the last to the first. */
  readonly ends: (() => Promise<void>)[];
  readonly onFailed: (error: unknown) => void;
}

async function startNode(running: Running): Promise<void> {
  const { directory, role, hub, name, exec, commands, openclaw, light, token } = running;
  const home = await openHome(directory);
  await checkHomeFree(home, 'worker');
  const settings = await openHomeSettings(home);
  settings.set('role', role);
  // A container has another host name each time; the node keeps its first one.
  settings.set('name', name ?? (settings.get('name') === undefined ? nodeNameFrom(hostname()) : undefined));
  settings.set('worker.hub', hub);
  if (settings.get('worker.hub') === undefined) {
    throw new FederationError('USAGE', 'it is not known where the master is', {
      hint: `deploy-federation ${role} MASTER --foreground`,
    });
  }
  settings.set('worker.exec.mode', exec);
  settings.set('nodeHost.commands', commands);
  settings.set('nodeHost.enabled', light ? false : (settings.get('nodeHost.enabled') ?? openclaw !== null));
  if (openclaw !== null) settings.set('nodeHost.openclaw', openclaw);
  await settings.save();
  // A member that shows a used one is let in all the same.
  if (token !== null) await home.write('join-token', `${token}\n`);
  startWorker('the worker daemon', home, running);
  follow(home, running).catch((error: unknown) => {
    if (!running.signal.aborted) running.onFailed(error);
  });
}

const HUB_MS = 30_000;

async function startMaster(running: Running): Promise<void> {
  const { directory, port, tailnet, openclaw, progress, signal, ends, onFailed } = running;
  const home = await openHome(directory);
  await checkNoHub(directory);
  const settings = await openHomeSettings(home);
  settings.set('role', 'master');
  settings.set('hub.port', port);
  settings.set('hub.tailnet', tailnet && (settings.get('hub.tailnet') ?? true));
  await settings.save();
  const gateway = openclaw === null ? null : await localGateway(home, openclaw);
  const kept = gateway?.keep(progress);
  if (kept !== undefined) {
    ends.push(() => kept.stop());
    kept.ready.catch(onFailed);
  }
  const environment = { ...gateway?.environment };
  const daemon = startDaemon({
    name: 'the hub',
    program: 'federation-hub',
    home: directory,
    environment,
    log: null,
    onFailed,
  });
  ends.push(() => daemon.stop());
  const hub = await until({
    what: 'the hub',
    withinMs: HUB_MS,
    look: async () => {
      const found = await findHub(directory);
      await found.ask('GET', '/status');
      return found;
    },
    hint: 'see what it logged last',
    signal,
  });
  progress(`the hub runs (${hubText(hub)})`);
  await startOwnWorker(hub, running);
}

/** Its answer to us would be taken for that of our own. A record alone is none: it stays behind where one was killed. */
async function checkNoHub(directory: string): Promise<void> {
  const pid = await answeringHub(directory);
  if (pid === null) return;
  throw new FederationError('ALREADY_RUNNING', `process ${pid} is the hub of ${directory}`, {
    hint: 'stop it first, or give this one another --home',
  });
}

async function answeringHub(directory: string): Promise<number | null> {
  try {
    return (await (await findHub(directory)).ask<Status>('GET', '/status')).pid;
  } catch (error) {
    if (error instanceof FederationError && error.code === 'HUB_UNREACHABLE') return null;
    throw error;
  }
}

/** The master's own worker daemon: there is one kind of node everywhere. Nothing runs on it unless its settings say so. */
async function startOwnWorker(hub: HubClient, running: Running): Promise<void> {
  const { name, progress, signal } = running;
  const home = await openHome(`${running.directory}/worker`);
  const settings = await openHomeSettings(home);
  const known = settings.get('name');
  const own = name ?? (typeof known === 'string' ? known : nodeNameFrom(hostname()));
  settings.set('name', own);
  settings.set('role', 'master');
  settings.set('worker.hub', hubText(hub));
  settings.set('worker.exec.mode', settings.get('worker.exec.mode') ?? 'allowlist');
  await settings.save();
  const nodes = await hub.ask<NodeView[]>('GET', '/nodes');
  if (!nodes.some(({ role, state }) => role === 'master' && state !== 'revoked')) {
    const { token } = await hub.ask<TokenCreated>('POST', '/tokens', { name: own, role: 'master' });
    await home.write('join-token', `${token}\n`);
  }
  startWorker('the master’s worker daemon', home, running);
  await memberOnline(own, home, { hub, progress, signal });
}

function startWorker(name: string, home: Home, { ends, onFailed, signal }: Running): void {
  signal.throwIfAborted();
  const daemon = startDaemon({
    name,
    program: 'federation-worker',
    home: home.path,
    environment: {},
    log: null,
    onFailed,
  });
  ends.push(() => daemon.stop());
}

function hubText({ record: { address, port } }: HubClient): string {
  return hubAddressText({ host: address, port });
}

const LOOK_MS = 250;

/** Says how the node's way into the federation goes on, until it is a member. */
async function follow(home: Home, { progress, signal }: Running): Promise<void> {
  for (let said = ''; ; await pause(LOOK_MS, undefined, { signal })) {
    const record = await workerStandingOf(home);
    if (record === null) continue;
    const line = linkText(record);
    if (line !== said) progress(line);
    said = line;
    if (record.link === 'member') return;
  }
}

function linkText({ name, hub, link, fingerprint, held, problem }: WorkerStanding): string {
  switch (link) {
    case 'connecting':
      return problem === null ? `connecting to ${hub}` : `connecting to ${hub}: ${problem.message}`;
    case 'waiting':
      return `${name} waits for approval (${fingerprint}${held === null ? '' : `, held: ${held}`}); on the master: manage-federation approve ${name}`;
    case 'refused':
      return `${name} is refused: ${problem?.message ?? 'no reason was given'}`;
    case 'member':
      return `${name} is a member of the federation at ${hub}`;
  }
}
