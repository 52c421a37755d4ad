import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFailed } from 'vitest';
import type { PairingRequestView } from '#src/protocol/hub-api/pairing-request.ts';
import type { Running } from '../e2e/place.ts';
import { until } from '../e2e/until.ts';
import { lightNode } from './light-node.ts';
import type { LightNode } from './light-node.ts';
import { plainNode } from './plain-node.ts';
import type { PlainNode } from './plain-node.ts';
import type { System } from './system.ts';
import { startSystem } from './system.ts';

/** Every node of this machine comes by loopback, which a rule may not trust without that being said in full. */
const RULES = `
maxPerHour: 100
rules:
  - name: lights
    when: { role: node-host, address: 127.0.0.1, commands: [system.which] }
    then: approve
`;

/** A node host of OpenClaw takes ten seconds to start, and several times that on a machine that has much to do. */
const STARTED_MS = 120_000;

let system: System;
let watch: Running | null = null;

beforeAll(async () => {
  system = await startSystem(1);
});

afterAll(async () => {
  await system?.stop();
  await system?.place.remove();
});

beforeEach(() => {
  onTestFailed(async () => {
    const logs = ['master/hub.log', 'master/gateway.log'].map((name) => join(system.directory, name));
    const texts = await Promise.all(logs.map((log) => readFile(log, 'utf8')));
    const waiting = await system.manage('pending');
    console.error([...texts, waiting.stdout, watch?.said() ?? ''].map((text) => text.slice(-6000)).join('\n----\n'));
  });
});

async function pending(): Promise<PairingRequestView[]> {
  const { stdout } = await system.manage('--json', 'pending');
  return JSON.parse(stdout) as PairingRequestView[];
}

function askedBy(node: string): Promise<PairingRequestView> {
  return until(`${node} asks`, async () => (await pending()).find(({ name }) => name === node), STARTED_MS);
}

async function rowOf(name: string) {
  return (await system.nodeList()).find(({ displayName }) => displayName === name);
}

describe('a machine that only runs OpenClaw’s own node host', () => {
  let node: PlainNode;

  beforeAll(() => {
    const { gatewayPort: port, token } = system;
    const directory = system.place.file('attic');
    node = plainNode({ directory, port, token, displayName: 'attic', commands: ['system.run', 'system.which'] });
  });

  afterAll(() => node?.stop());

  it('is in the list of all that wait', async () => {
    await node.start();
    const asked = await askedBy('attic');
    expect(asked).toMatchObject({
      kind: 'device',
      role: 'node-host',
      address: '127.0.0.1',
      held: null,
      commands: null,
    });
    expect(Date.parse(asked.expiresAt ?? '') - Date.parse(asked.askedAt)).toBe(300_000);
  });

  it('can be used after one approval and its restart', async () => {
    await node.paused();
    const approving = system.place.start('manage-federation', [
      '--home',
      join(system.directory, 'master'),
      'approve',
      'attic',
    ]);
    await until('it is paired', async () => (await rowOf('attic'))?.paired === true);
    await node.stop();
    await node.start();
    expect(await approving.ended).toMatchObject({ exitCode: 0 });
    const row = await until(
      'it is approved',
      async () => {
        const found = await rowOf('attic');
        // Its commands can be called a moment after their approval shows.
        return found?.approvalState === 'approved' && found.commands.length > 0 ? found : null;
      },
      STARTED_MS,
    );
    expect(row.commands).toEqual(['system.run', 'system.which']);
    expect(await system.which(row.nodeId)).toHaveProperty('bins.sh');
    expect(await pending()).toEqual([]);
  });

  it('is out of the gateway when it is revoked, and is held when it asks again', async () => {
    const { exitCode, stderr } = await system.manage('revoke', 'attic', '--yes');
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
    await until('it is gone', async () => (await rowOf('attic')) === undefined);
    await node.stop();
    await node.start();
    const asked = await askedBy('attic');
    expect(asked.held).toBe('it was revoked');
    expect(await system.manage('reject', 'attic')).toMatchObject({ exitCode: 0 });
  });
});

describe('twenty light nodes that appear at once', () => {
  let nodes: LightNode[];
  let stays: Promise<void>[] = [];

  beforeAll(async () => {
    const home = join(system.directory, 'master');
    await writeFile(join(home, 'approval-policy.yaml'), RULES);
    const url = `ws://127.0.0.1:${system.gatewayPort}`;
    const { token } = system;
    nodes = Array.from({ length: 20 }, (_, index) =>
      lightNode({ url, token, displayName: `light-${index}`, commands: ['system.which'] }),
    );
    watch = system.place.start('auto-register', ['--watch', '--approve-everything', '--home', home]);
    await until('the rules are read', async () => (await system.manage('status')).stdout.includes('would approve'));
  });

  afterAll(async () => {
    for (const node of nodes) node.close();
    await Promise.all(stays);
    watch?.kill('SIGTERM');
    await watch?.ended;
  });

  it('are all let in by a rule and usable, though the gateway is killed meanwhile', async (context) => {
    const from = performance.now();
    stays = nodes.map((node) => node.stay());
    await until('the first is paired', async () =>
      (await system.nodeList()).some(({ displayName }) => isLight(displayName)),
    );
    const gateway = system.gatewayProcesses().find(({ argv }) => argv[0] === 'openclaw-gateway');
    process.kill(gateway?.pid ?? 0, 'SIGKILL');
    await until(
      'all are approved',
      async () => {
        const rows = await system.nodeList().catch(() => []);
        return (
          rows.filter((row) => isLight(row.displayName) && row.connected && row.approvalState === 'approved').length ===
          20
        );
      },
      200_000,
    );
    const answers = await Promise.all(nodes.map(({ deviceId }) => system.which(deviceId)));
    expect(answers).toHaveLength(20);
    expect(answers.every((answer) => JSON.stringify(answer).includes('sh'))).toBe(true);
    await context.annotate(
      `all usable after ${Math.round(performance.now() - from)} ms, the gateway's restart included`,
    );
  });

  it('were each approved once as a device and once with their commands', async () => {
    const { stdout } = await system.manage('--json', 'audit');
    const records = JSON.parse(stdout) as { action: string; by: string; detail: { kind: string; id: string } }[];
    const ids = new Set(nodes.map(({ deviceId }) => deviceId));
    const approved = records.filter(({ action, detail }) => action === 'node.approve' && ids.has(detail.id));
    expect(new Set(approved.map(({ by }) => by))).toEqual(new Set(['auto-register']));
    const counts = new Map<string, number>();
    for (const { detail } of approved) {
      const key = `${detail.kind} ${detail.id}`;
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    expect(counts.size).toBe(40);
    expect([...counts.values()].filter((count) => count > 1)).toEqual([]);
  });
});

function isLight(name: string | null): boolean {
  return name?.startsWith('light-') === true;
}
