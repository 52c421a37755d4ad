import { expect } from 'vitest';
import type { AuditView } from '#src/protocol/hub-api/audit.ts';
import type { JobView } from '#src/protocol/hub-api/job.ts';
import type { NodeView } from '#src/protocol/hub-api/node.ts';
import type { Status } from '#src/protocol/hub-api/status.ts';
import { eventually } from '../support/eventually.ts';
import type { CommandOptions, Finished } from './command.ts';
import type { Machine } from './machine.ts';

export interface ExecEnd {
  readonly code: number | null;
  /** As the hub names it; `refused` where there was no job. */
  readonly outcome: string;
  readonly stdout: string;
  readonly reason: string | null;
}

/** The person who works with the federation, on its master, by their own commands. */
export interface Operator {
  /** `manage-federation`, whatever comes of it. */
  manage(words: readonly string[], options?: CommandOptions): Promise<Finished>;
  status(): Promise<Status>;
  /** All that were not put out. */
  nodes(): Promise<NodeView[]>;
  node(name: string): Promise<NodeView>;
  jobs(): Promise<JobView[]>;
  /** What was done of one kind: `token.create`. */
  audit(action: string): Promise<AuditView[]>;
  /** A join token for a node of this name, which is no member's; `more` goes to `token create`. */
  token(name: string, ...more: readonly string[]): Promise<string>;
  /** Puts a node out, if there is one of this name: that is free again. */
  revoke(name: string): Promise<void>;
  exec(name: string, argv: readonly string[]): Promise<ExecEnd>;
  /** Waits until the machine answers to a command as that node, since its last start, and its node host as said. */
  untilUsable(name: string, machine: Machine, nodeHost?: 'none' | 'connected'): Promise<NodeView>;
  /** Waits until the hub tells that the node is not online. */
  untilLost(name: string): Promise<void>;
  /** Waits until the hub has its gateway and the node of its own machine. */
  untilUp(name: string): Promise<void>;
  /** `system.which sh`, asked of the gateway by OpenClaw's own command; null where it gets no answer. */
  which(name: string): Promise<unknown>;
}

const USABLE_MS = 180_000;
const LOST_MS = 60_000;
const ASK = { user: 'claw' } as const;
const BOOT_ID = '/proc/sys/kernel/random/boot_id';

export function operatorOn(master: Machine): Operator {
  const manage: Operator['manage'] = (words, options = {}) =>
    master.run(['manage-federation', ...words], { ...ASK, ...options });

  async function ask<T>(...words: readonly string[]): Promise<T> {
    const { code, stdout, stderr } = await manage(['--json', ...words]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    return JSON.parse(stdout) as T;
  }

  async function nodes(): Promise<NodeView[]> {
    return (await ask<NodeView[]>('list')).filter(({ state }) => state !== 'revoked');
  }

  async function node(name: string): Promise<NodeView> {
    const all = await nodes();
    const found = all.find((one) => one.name === name);
    if (found === undefined) throw new Error(`${name} is not in ${all.map((one) => one.name).join(', ')}`);
    return found;
  }

  /** Null while the hub does not answer. */
  async function answer(name: string, argv: readonly string[]): Promise<string | null> {
    const { code, stdout } = await manage(['exec', name, '--timeout', '10s', '--', ...argv]);
    return code === 0 ? stdout : null;
  }

  return {
    manage,
    node,
    status: () => ask('status'),
    nodes,
    jobs: () => ask('jobs', '--limit', '1000'),
    async audit(action) {
      return (await ask<AuditView[]>('audit', '--limit', '1000')).filter((record) => record.action === action);
    },
    async token(name, ...more) {
      return (await ask<{ token: string }>('token', 'create', '--name', name, ...more)).token;
    },
    async revoke(name) {
      if ((await nodes()).some((one) => one.name === name)) await ask('revoke', name, '--yes');
    },
    async exec(name, argv) {
      return resultIn(await manage(['exec', '--json', name, '--', ...argv]));
    },
    async untilUsable(name, machine, nodeHost = 'none') {
      const boot = await machine.read(BOOT_ID);
      return eventually(
        `${name} is usable`,
        async () => {
          if ((await answer(name, ['cat', BOOT_ID])) !== boot) return null;
          const found = await node(name);
          return found.state === 'online' && found.openclaw.nodeHost === nodeHost ? found : null;
        },
        USABLE_MS,
      );
    },
    async untilLost(name) {
      await eventually(`${name} is lost`, async () => (await node(name)).state !== 'online', LOST_MS);
    },
    async untilUp(name) {
      await eventually(
        'the hub is up',
        async () => {
          const { code, stdout } = await manage(['--json', 'status']);
          if (code !== 0 || (JSON.parse(stdout) as Status).gateway.state !== 'connected') return false;
          return (await node(name)).state === 'online';
        },
        USABLE_MS,
      );
    },
    async which(name) {
      const { deviceId } = (await node(name)).openclaw;
      const invoke = ['openclaw', 'nodes', 'invoke', '--json', '--node', deviceId ?? '', '--command', 'system.which'];
      const { code, stdout } = await master.run([...invoke, '--params', '{"bins":["sh"]}'], ASK);
      return code === 0 ? (JSON.parse(stdout) as unknown) : null;
    },
  };
}

/** What `exec --json` says of how it ended: with an error of the hub, or a result. */
export function resultIn({ code, stdout, stderr }: Finished): ExecEnd {
  const said = JSON.parse(stdout || stderr) as { readonly results?: readonly ExecEnd[] };
  const [result] = said.results ?? [];
  return { outcome: 'refused', stdout: '', reason: stderr, ...result, code };
}
