import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Gateway } from '#src/adapters/openclaw/gateway.ts';
import type { GatewayNode } from '#src/adapters/openclaw/gateway-node.ts';
import { openSqliteStore } from '#src/adapters/store/sqlite.ts';
import type { Store } from '#src/adapters/store/store.ts';
import { openMembership } from '#src/hub/enrolment/membership.ts';
import type { MembershipKeeper } from '#src/hub/enrolment/membership.ts';
import { createFleet } from '#src/hub/fleet/fleet.ts';
import { followNodes } from '#src/hub/fleet/node-changes.ts';
import { DEVICE, aGatewayNode } from '../support/at-gateway.ts';
import { SILENT_LOG, aMember } from '../support/member.ts';

const OTHER = 'e'.repeat(64);

let folder: string;
let store: Store;
let membership: MembershipKeeper;
let listeners: Set<() => void>;
let nodes: Map<string, GatewayNode>;
let stopping: AbortController;
let told: string[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ocf-node-changes-'));
  store = openSqliteStore(join(folder, 'hub.sqlite'));
  membership = await openMembership({ store, log: SILENT_LOG });
  [listeners, nodes, stopping, told] = [new Set(), new Map(), new AbortController(), []];
  const gateway = {
    nodes: () => nodes,
    onChange(listener: () => void) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  } as unknown as Gateway;
  const sources = { membership, fleet: createFleet(() => false), gateway, signal: stopping.signal };
  followNodes(sources).on('node', (id) => void told.push(id));
});

afterEach(async () => {
  await store.close();
  await rm(folder, { recursive: true });
});

function list(...rows: [deviceId: string, node: GatewayNode][]): void {
  nodes = new Map(rows);
  for (const listener of listeners) listener();
}

test('of a device its member is told, of nobody’s the device itself, and of what is as before nothing', async () => {
  const member = aMember({ openclaw: { deviceId: DEVICE, removing: false } });
  await membership.inTurn(() => membership.commit([{ type: 'changed', member }], []));
  told = [];
  list([DEVICE, aGatewayNode()], [OTHER, aGatewayNode()]);
  expect(told).toEqual([member.id, OTHER]);
  told = [];
  list([DEVICE, aGatewayNode({ connected: false })], [OTHER, aGatewayNode()]);
  expect(told).toEqual([member.id]);
  told = [];
  list([DEVICE, aGatewayNode({ connected: false })]);
  expect(told).toEqual([OTHER]);
});

test('a hub that stops leaves nothing that listens to the gateway', () => {
  expect(listeners.size).toBe(1);
  stopping.abort();
  expect(listeners.size).toBe(0);
});
