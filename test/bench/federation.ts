import { writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { openHome } from '#src/adapters/home.ts';
import type { HubClient } from '#src/adapters/hub.ts';
import { findHub } from '#src/adapters/hub.ts';
import { SETTINGS_FILE } from '#src/adapters/settings-file.ts';
import { WORKER_RECORD_FILE } from '#src/core/worker-record.ts';
import type { WorkerRecord } from '#src/core/worker-record.ts';
import { FRAME, frameJson, frameReader } from '#src/protocol/frames.ts';
import type { JobCreate, JobEnded } from '#src/protocol/hub-api/job.ts';
import type { TokenCreate, TokenCreated } from '#src/protocol/hub-api/token.ts';
import { eventually } from '../support/eventually.ts';
import type { Bench } from './bench.ts';
import type { StartedProcess } from './process.ts';

/** Name of the one worker. */
export const WORKER = 'w1';

export interface StartedHub extends StartedProcess {
  readonly home: string;
  readonly client: HubClient;
  token(wanted: TokenCreate): Promise<string>;
}

/** The hub as a process of the installed package, with these settings besides its own. */
export async function startHub(bench: Bench, settings = ''): Promise<StartedHub> {
  const home = await bench.folder();
  await writeFile(join(home, SETTINGS_FILE), settings, { mode: 0o600 });
  const started = await bench.start({
    name: 'hub',
    program: join(bench.installed, 'bin/federation-hub'),
    args: ['--home', home, '--port', '0', '--until-input-ends'],
  });
  const client = await eventually('the hub answers', () => findHub(home).catch(() => null));
  return {
    ...started,
    home,
    client,
    async token(wanted) {
      return (await client.ask<TokenCreated>('POST', '/tokens', wanted)).token;
    },
  };
}

/** A home whose worker will join `hub` by itself. */
export async function workerHome(bench: Bench, hub: StartedHub): Promise<string> {
  const home = await bench.folder();
  await writeFile(join(home, 'join-token'), await hub.token({ name: WORKER }), { mode: 0o600 });
  return home;
}

/** A light worker daemon as a process of the installed package, linked to `hub`. */
export async function startWorker(bench: Bench, hub: StartedHub): Promise<StartedProcess> {
  const home = await workerHome(bench, hub);
  const { address, port } = hub.client.record;
  const started = await bench.start({
    name: 'worker',
    program: join(bench.installed, 'bin/federation-worker'),
    args: ['--home', home, '--name', WORKER, '--hub', `${address}:${port}`, '--until-input-ends'],
  });
  await linked(home);
  return started;
}

/** Resolves when the worker of this home is a member. */
export async function linked(home: string): Promise<void> {
  const { read } = await openHome(home);
  await eventually('the worker is linked', async () => {
    const text = await read(WORKER_RECORD_FILE);
    return text !== null && (JSON.parse(text) as WorkerRecord).link === 'member';
  });
}

/** Runs commands on the worker through the hub's API, one after the other on one connection. */
export function commandRunner(bench: Bench, { client }: StartedHub): (argv: readonly string[]) => Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  bench.onEnd(async () => agent.destroy());

  /** Resolves with the bytes that it printed. */
  return (argv) => {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const job: JobCreate = { kind: 'exec', targets: [WORKER], command: { argv: [...argv] } };
    let bytes = 0;
    let summary: JobEnded | null = null;
    const reader = frameReader((frame) => {
      if (frame.type === FRAME.stdout) bytes += frame.payload.length;
      else if (frame.type === FRAME.summary) summary = frameJson(frame) as JobEnded;
    });
    const asking = request({
      agent,
      socketPath: client.record.operator,
      method: 'POST',
      path: '/api/v1/jobs',
      headers: { host: 'localhost', 'content-type': 'application/json' },
    });
    asking.on('error', reject);
    asking.on('response', (response) => {
      response.on('data', (chunk: Buffer) => reader.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        if (summary?.summary.ok === 1) resolve(bytes);
        else reject(new Error(`${argv.join(' ')} did not end well: status ${response.statusCode}`));
      });
    });
    asking.end(JSON.stringify(job));
    return promise;
  };
}
