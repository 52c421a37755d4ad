import type { Home } from '#src/adapters/home.ts';
import type { HubClient } from '#src/adapters/hub.ts';
import { until } from '#src/deploy/condition.ts';
import type { WorkerStanding } from '#src/deploy/worker-standing.ts';
import { workerStandingOf } from '#src/deploy/worker-standing.ts';
import type { NodeDetail, NodeView } from '#src/protocol/hub-api/node.ts';
import type { PairingRequestView } from '#src/protocol/hub-api/pairing-request.ts';
import type { TokenCreated } from '#src/protocol/hub-api/token.ts';

const JOIN_MS = 60_000;
/** A node host boots for 5 to 10 s on an idle machine, and the gateway before it. */
const NODE_HOST_MS = 240_000;

export interface Joining {
  readonly hub: HubClient;
  readonly progress: (line: string) => void;
  readonly signal: AbortSignal;
}

/** Lets the master's own worker daemon join by a token: it never waits for the person it belongs to. */
export async function letMasterJoin(hub: HubClient, place: Home): Promise<void> {
  const nodes = await hub.ask<NodeView[]>('GET', '/nodes');
  if (nodes.some(({ role, state }) => role === 'master' && state !== 'revoked')) return;
  const { token } = await hub.ask<TokenCreated>('POST', '/tokens', { name: 'master', role: 'master' });
  await place.write('join-token', `${token}\n`);
}

/** Resolves when the worker daemon of `place` is online; approves it first where it waits, known by its own key. */
export async function memberOnline(name: string, place: Home, { hub, progress, signal }: Joining): Promise<void> {
  await until({
    what: `the link of ${name}`,
    withinMs: JOIN_MS,
    look: async () => {
      const record = await workerStandingOf(place);
      if (record === null) return null;
      await approveIfWaiting(record, hub, progress);
      const nodes = await hub.ask<NodeView[]>('GET', '/nodes');
      return nodes.find(({ id, state }) => id === record.id && state === 'online') ?? null;
    },
    hint: `see ${place.file('worker.log')}`,
    signal,
  });
  progress(`${name} is online`);
}

async function approveIfWaiting(
  { id, name }: WorkerStanding,
  hub: HubClient,
  progress: Joining['progress'],
): Promise<void> {
  const requests = await hub.ask<PairingRequestView[]>('GET', '/pairing-requests');
  const request = requests.find((one) => one.id === id);
  if (request === undefined) return;
  await hub.ask('POST', `/pairing-requests/${id}/approve`, { replace: false });
  progress(`approved ${name} (${request.fingerprint})`);
}

/** Resolves when the gateway itself calls the node host of a member connected, with its commands. */
export async function nodeHostConnected(name: string, place: Home, { hub, progress, signal }: Joining): Promise<void> {
  await until({
    what: `OpenClaw’s node host on ${name}`,
    withinMs: NODE_HOST_MS,
    look: async () => {
      const { openclaw } = await hub.ask<NodeDetail>('GET', `/nodes/${name}`);
      return openclaw.nodeHost === 'connected' && openclaw.commands.length > 0 ? openclaw : null;
    },
    hint: `see ${place.file('worker.log')}`,
    signal,
  });
  progress(`OpenClaw’s node host on ${name} is connected`);
}
