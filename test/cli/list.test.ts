import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { listNodes } from '#src/cli/manage/nodes.ts';
import { revokeNode } from '#src/cli/manage/revoke.ts';
import { showNode } from '#src/cli/manage/show.ts';
import { fingerprint } from '#src/core/node.ts';
import type { NodeView } from '#src/protocol/hub-api/node.ts';
import type { OpenClawNodeView } from '#src/protocol/hub-api/openclaw-node.ts';
import type { ScriptedHub } from '../support/scripted-hub.ts';
import { scriptedHub } from '../support/scripted-hub.ts';
import { onTerminal, screen } from '../support/screen.ts';

let hub: ScriptedHub;
let seen: ReturnType<typeof screen>;

const NOW = Date.UTC(2026, 10, 21, 12);
const SEEN = new Date(NOW - 180_000).toISOString();
const DEVICE = 'd'.repeat(64);
const PI: NodeView = {
  ...{ id: 'a'.repeat(64), name: 'pi', role: 'worker', state: 'online', labels: {}, groups: [], drained: false },
  ...{ version: '0.1.0', openclaw: { nodeHost: 'none', deviceId: null, commands: [] }, lastSeenAt: SEEN },
};
const MAC: OpenClawNodeView = {
  ...{ id: DEVICE, name: 'mac', fingerprint: fingerprint(DEVICE), state: 'half-approved', platform: 'darwin' },
  ...{ version: '2026.9.6', commands: ['camera.snap'], approvedBy: null, lastSeenAt: SEEN },
};
const UNKNOWN = { code: 'NODE_NOT_FOUND', message: 'no node is named "mac"', hint: 'manage-federation list' };

beforeEach(async () => {
  vi.useFakeTimers({ now: NOW, toFake: ['Date'] });
  hub = await scriptedHub();
  seen = screen();
  hub.answers.set('GET /nodes', [PI]);
  hub.answers.set('GET /openclaw-nodes', [MAC]);
  hub.answers.set('GET /nodes/mac', UNKNOWN);
  hub.answers.set('GET /status', { lockdown: null });
});
afterEach(async () => {
  vi.restoreAllMocks();
  vi.useRealTimers();
  await hub.close();
});

test('OpenClaw’s own nodes stand below the members, and groups and labels where there are any', async () => {
  await onTerminal({ columns: 100 }, () => listNodes({ home: hub.home }));
  expect(seen.stdout).toMatchInlineSnapshot(`
    "NAME  ROLE       STATE          OPENCLAW   VERSION   SEEN       ID
    pi    worker     online         -          0.1.0     3 min ago  aaaaaaaaaaaa
    mac   node-host  half-approved  1 command  2026.9.6  3 min ago  dddddddddddd
    "
  `);
  seen.stdout = '';
  hub.answers.set('GET /nodes', [{ ...PI, drained: true, groups: ['shed'], labels: { gpu: 'no' } }]);
  await onTerminal({ columns: 120 }, () => listNodes({ home: hub.home }));
  expect(seen.stdout).toMatchInlineSnapshot(`
    "NAME  ROLE       STATE            OPENCLAW   VERSION   SEEN       ID            GROUPS AND LABELS
    pi    worker     online, drained  -          0.1.0     3 min ago  aaaaaaaaaaaa  @shed gpu=no
    mac   node-host  half-approved    1 command  2026.9.6  3 min ago  dddddddddddd
    "
  `);
});

test('for a program each has its role, and the fields that it has', async () => {
  await listNodes({ home: hub.home, json: true });
  expect(JSON.parse(seen.stdout)).toEqual([PI, { ...MAC, role: 'node-host' }]);
});

test('one of OpenClaw’s own nodes is shown with what it waits for', async () => {
  const run = 'on the master: manage-federation approve mac';
  const steps = [{ step: 'surface', done: false, waitsFor: 'an approval of its commands', run }];
  hub.answers.set(`GET /nodes/${DEVICE}/readiness`, { ...MAC, kind: 'openclaw', usable: false, steps });
  await showNode('mac', { home: hub.home });
  expect(seen.stdout).toMatchInlineSnapshot(`
    "name         mac
    role         node-host: it runs OpenClaw’s own node host or app
    state        half-approved
    waits for    an approval of its commands
    run          on the master: manage-federation approve mac
    id           dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd
    fingerprint  dddd-dddd-dddd-dddd
    version      OpenClaw 2026.9.6 on darwin
    commands     camera.snap
    approved     by somebody at the gateway itself
    seen         3 min ago
    "
  `);
});

test('one of OpenClaw’s own nodes is revoked by the same word, and what is nothing is what the hub says', async () => {
  hub.answers.set(`POST /nodes/${MAC.id}/revoke`, { ...MAC, state: 'removing' });
  expect(await revokeNode('mac', { home: hub.home, yes: true })).toBe(0);
  expect(seen.stderr).toBe('revoked mac: OpenClaw’s gateway takes it out, and is asked until it confirms that\n');
  hub.answers.set('GET /openclaw-nodes', []);
  await expect(showNode('mac', { home: hub.home })).rejects.toMatchObject(UNKNOWN);
});
