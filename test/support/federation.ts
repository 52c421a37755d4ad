import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { openHome } from '#src/adapters/home.ts';
import type { Log } from '#src/adapters/log.ts';
import { createLog } from '#src/adapters/log.ts';
import type { ErrorBody } from '#src/core/errors.ts';
import type { Settings } from '#src/core/settings.ts';
import { resolveSettings } from '#src/core/settings.ts';
import type { Hub } from '#src/hub/main.ts';
import { startHub } from '#src/hub/main.ts';
import type { JobCreate } from '#src/protocol/hub-api/job.ts';
import type { NodeDetail, NodeView } from '#src/protocol/hub-api/node.ts';
import type { PairingRequestView } from '#src/protocol/hub-api/pairing-request.ts';
import type { TokenCreate, TokenCreated } from '#src/protocol/hub-api/token.ts';
import type { Worker } from '#src/worker/main.ts';
import { startWorker } from '#src/worker/main.ts';
import type { Cable } from './cable.ts';
import { layCable } from './cable.ts';
import { eventually } from './eventually.ts';
import type { Answer } from './http.ts';
import { ask } from './http.ts';
import type { ClientJob } from './job.ts';
import { startJob } from './job.ts';

/** Nested as the settings are, any part of them. */
type Changed<T> = { readonly [K in keyof T]?: T[K] extends readonly unknown[] ? T[K] : Changed<T[K]> };

export interface FederationOptions {
  /** How many workers join at once, `w1` … by tokens. */
  readonly workers?: number;
  readonly hub?: Changed<Settings>;
  readonly worker?: Changed<Settings>;
}

export interface WorkerOptions {
  readonly settings?: Changed<Settings>;
  /** A join token; `null` for a node that waits for approval; a fresh one where it is not given. */
  readonly token?: string | null;
  /** Loopback address that it comes from, as another machine would have another. */
  readonly from?: string;
}

/** A whole federation in this process: the real hub and real worker daemons on temporary homes and free ports. */
export interface Federation extends AsyncDisposable {
  readonly directory: string;
  readonly hub: Hub;
  /** Every line of every log, as JSON text. */
  readonly logs: readonly string[];
  /** Starts the hub anew with the same home and port. */
  restartHub(): Promise<void>;
  stopHub(): Promise<void>;
  startHub(): Promise<void>;
  /** Starts a worker daemon; it has a cable of its own. With a name that was there before: the same home and cable. */
  start(name: string, options?: WorkerOptions): Promise<Worker>;
  stop(name: string): Promise<void>;
  worker(name: string): Worker;
  cable(name: string): Cable;
  home(name: string): string;

  ask(method: string, path: string, body?: unknown): Promise<Answer>;
  /** As `ask`; throws the body of an answer over 399. */
  get<T>(path: string): Promise<T>;
  post<T>(path: string, body?: unknown): Promise<T>;
  token(wanted?: TokenCreate): Promise<string>;
  nodes(): Promise<NodeView[]>;
  show(word: string): Promise<NodeDetail>;
  pending(): Promise<PairingRequestView[]>;
  approve(word: string, replace?: boolean): Promise<NodeDetail>;
  isOnline(name: string): Promise<boolean>;
  untilOnline(...names: readonly string[]): Promise<void>;

  startJob(job: JobCreate): Promise<ClientJob>;
  /** Runs a job to the end of its stream. */
  runJob(job: JobCreate): Promise<ClientJob>;
  /** One line for the shell of the nodes that are named, or of all. */
  run(targets: readonly string[] | 'all', line: string): Promise<ClientJob>;
}

export async function startFederation(options: FederationOptions = {}): Promise<Federation> {
  const directory = await mkdtemp(join(tmpdir(), 'ocf-'));
  const logs: string[] = [];
  const workers = new Map<string, Worker[]>();
  const cables = new Map<string, Cable>();
  const sockets = new Set<string>();
  let hub: Hub | null = null;
  let port = 0;

  const log = (module: string): Log => createLog({ level: 'debug', module, write: (line) => void logs.push(line) });
  const home = (name: string) => join(directory, name);

  async function startTheHub(): Promise<void> {
    const settings = settingsOf({ role: 'master' }, options.hub, { hub: { port } });
    hub = await startHub(await openHome(home('master')), settings, log('hub'));
    port = hub.port;
    sockets.add(hub.operator);
  }

  async function stopTheHub(): Promise<void> {
    await hub?.close();
    hub = null;
  }

  function theHub(): Hub {
    if (hub === null) throw new Error('the hub is stopped');
    return hub;
  }

  async function start(name: string, { settings, token, from }: WorkerOptions = {}): Promise<Worker> {
    const place = await openHome(home(name));
    if (!cables.has(name)) {
      cables.set(name, await layCable(() => port, from));
      if (token === undefined) await place.write('join-token', await federation.token({}));
    }
    if (typeof token === 'string') await place.write('join-token', token);
    // Nothing here asks the gateway of whoever runs the tests.
    const tools = { gatewaySettings: join(directory, 'no-gateway.json') };
    const own = { name, worker: { hub: `127.0.0.1:${cables.get(name)!.port}`, tools }, models: { port: 0 } };
    const worker = await startWorker(place, settingsOf(own, options.worker, settings), log(name));
    workers.set(name, [...(workers.get(name) ?? []), worker]);
    return worker;
  }

  async function stop(name: string): Promise<void> {
    const daemons = workers.get(name) ?? [];
    workers.delete(name);
    await Promise.all(daemons.map((worker) => worker.close()));
  }

  async function close(): Promise<void> {
    await Promise.all([...workers.keys()].map(stop));
    await stopTheHub();
    await Promise.all([...cables.values()].map((cable) => cable.close()));
    for (const socket of sockets) await rm(dirname(socket), { recursive: true, force: true });
    await rm(directory, { recursive: true, force: true });
  }

  function askHub(method: string, path: string, body?: unknown): Promise<Answer> {
    const headers = body === undefined ? {} : { 'content-type': 'application/json' };
    const request = { socketPath: theHub().operator, method, path: `/api/v1${path}`, headers };
    return ask(request, body === undefined ? undefined : JSON.stringify(body));
  }

  async function answered<T>(method: string, path: string, body?: unknown): Promise<T> {
    const { status, text, json } = await askHub(method, path, body);
    if (status >= 400) throw Object.assign(new Error(text), json as ErrorBody);
    return json as T;
  }

  async function onlineNames(): Promise<string[]> {
    const nodes = await federation.nodes();
    return nodes.filter(({ state }) => state === 'online').map(({ name }) => name);
  }

  const federation: Federation = {
    directory,
    get hub() {
      return theHub();
    },
    logs,
    startHub: startTheHub,
    stopHub: stopTheHub,
    async restartHub() {
      await stopTheHub();
      await startTheHub();
    },
    start,
    stop,
    worker: (name) => workers.get(name)![0]!,
    cable: (name) => cables.get(name)!,
    home,
    ask: askHub,
    get: (path) => answered('GET', path),
    post: (path, body) => answered('POST', path, body),
    token: async (wanted = {}) => (await answered<TokenCreated>('POST', '/tokens', wanted)).token,
    nodes: () => answered('GET', '/nodes'),
    show: (word) => answered('GET', `/nodes/${encodeURIComponent(word)}`),
    pending: () => answered('GET', '/pairing-requests'),
    approve: (word, replace = false) =>
      answered('POST', `/pairing-requests/${encodeURIComponent(word)}/approve`, { replace }),
    isOnline: async (name) => (await onlineNames()).includes(name),
    async untilOnline(...names) {
      await eventually(`${names.join(', ')} online`, async () => {
        const online = await onlineNames();
        return names.every((name) => online.includes(name));
      });
    },
    startJob: (job) => startJob(theHub().operator, job),
    async runJob(job) {
      const running = await startJob(theHub().operator, job);
      await running.over;
      return running;
    },
    run(targets, shell) {
      const kind = targets === 'all' ? 'broadcast' : 'exec';
      return federation.runJob({ kind, targets: targets === 'all' ? 'all' : [...targets], command: { shell } });
    },
    [Symbol.asyncDispose]: close,
  };

  try {
    await startTheHub();
    const names = Array.from({ length: options.workers ?? 0 }, (_, at) => `w${at + 1}`);
    await Promise.all(names.map((name) => start(name)));
    if (names.length > 0) await federation.untilOnline(...names);
    return federation;
  } catch (error) {
    await close();
    throw error;
  }
}

function settingsOf(...layers: readonly (object | undefined)[]): Settings {
  const flags = layers.reduce<object>((below, above) => merged(below, above ?? {}), { log: { level: 'debug' } });
  const result = resolveSettings({ flags, environment: {}, file: {}, parseValue: (text) => text });
  if (!result.ok) throw new Error(result.problems.join('; '));
  return result.settings;
}

function merged(below: object, above: object): object {
  const whole: Record<string, unknown> = { ...below };
  for (const [key, value] of Object.entries(above)) {
    const under = whole[key];
    whole[key] = isObject(under) && isObject(value) ? merged(under, value) : value;
  }
  return whole;
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
