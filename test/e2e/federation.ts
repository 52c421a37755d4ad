import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { NodeView } from '#src/protocol/hub-api/node.ts';
import { isAlive } from './processes.ts';
import type { Finished, Place, Running, StartOptions } from './place.ts';
import { makePlace } from './place.ts';
import { until } from './until.ts';

/** A federation that `deploy-federation local` started: real daemons, in a place of its own. */
export interface Federation {
  readonly place: Place;
  /** What `--dir` named. */
  readonly directory: string;
  /** What `--home` takes. */
  readonly home: string;
  /** `deploy-federation local --dir …` to its end. */
  local(...args: readonly string[]): Promise<Finished>;
  /** `manage-federation --home …` to its end. */
  manage(args: readonly string[], options?: StartOptions): Promise<Finished>;
  startManage(args: readonly string[], options?: StartOptions): Running;
  /** The answer of a command that is expected to succeed, read as JSON. */
  ask<T>(...args: readonly string[]): Promise<T>;
  /** Process id of a part that runs now; null while it does not. */
  findPid(part: 'supervisor' | 'hub' | `w${number}`): Promise<number | null>;
  pidOf(part: 'supervisor' | 'hub' | `w${number}`): Promise<number>;
  stateOf(node: string): Promise<string>;
  untilState(node: string, state: string): Promise<void>;
  stop(): Promise<void>;
}

export interface FederationOptions {
  readonly workers: number;
  /** Settings of all its daemons, by their environment names. */
  readonly env?: Readonly<Record<string, string>>;
}

export async function startFederation({ workers, env = {} }: FederationOptions): Promise<Federation> {
  const place = await makePlace();
  const directory = place.file('f');
  const home = join(directory, 'master');

  const federation: Federation = {
    place,
    directory,
    home,
    local: (...args) => place.run('deploy-federation', ['local', '--dir', directory, ...args], { env }),
    manage: (args, options) => place.run('manage-federation', ['--home', home, ...args], options),
    startManage: (args, options) => place.start('manage-federation', ['--home', home, ...args], options),
    async ask<T>(...args: readonly string[]) {
      const { exitCode, stdout, stderr } = await federation.manage(['--json', ...args]);
      expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
      return JSON.parse(stdout) as T;
    },
    async findPid(part) {
      const pid = await pidIn(join(directory, FILES[part] ?? join(part, 'worker.json')));
      return pid !== null && isAlive(pid) ? pid : null;
    },
    pidOf: (part) => until(`a process of ${part}`, () => federation.findPid(part)),
    async stateOf(name) {
      const nodes = await federation.ask<NodeView[]>('list');
      return nodes.find((node) => node.name === name)?.state ?? 'no member';
    },
    untilState: async (node, state) =>
      void (await until(`${node} is ${state}`, async () => (await federation.stateOf(node)) === state, 60_000)),
    async stop() {
      await federation.local('--stop');
      await place.remove();
    },
  };

  const started = await federation.local('--workers', String(workers), '--no-openclaw', '--detach');
  if (started.exitCode === 0) return federation;
  await federation.stop();
  throw new Error(`the federation did not start: ${started.stderr}`);
}

const FILES: Readonly<Record<string, string>> = { supervisor: 'local.json', hub: 'master/hub.json' };

async function pidIn(file: string): Promise<number | null> {
  const text = await readFile(file, 'utf8').catch(() => null);
  return text === null ? null : (JSON.parse(text) as { pid: number }).pid;
}
