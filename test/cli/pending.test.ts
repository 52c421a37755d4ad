import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { leftText, listPending, shortestId } from '#src/cli/manage/pending.ts';
import { fingerprint } from '#src/core/node.ts';
import type { PairingRequestView } from '#src/protocol/hub-api/pairing-request.ts';
import type { ScriptedHub } from '../support/scripted-hub.ts';
import { scriptedHub } from '../support/scripted-hub.ts';
import { onTerminal, screen } from '../support/screen.ts';

let hub: ScriptedHub;
let seen: ReturnType<typeof screen>;

beforeEach(async () => {
  hub = await scriptedHub();
  seen = screen();
});
afterEach(async () => {
  vi.restoreAllMocks();
  vi.useRealTimers();
  await hub.close();
});

const NOW = Date.UTC(2026, 10, 21, 12);
const before = (seconds: number): string => new Date(NOW - seconds * 1000).toISOString();
const idOf = (digits: string): string => digits.padEnd(64, '0');

function aRequest(changed: Partial<PairingRequestView> = {}): PairingRequestView {
  const id = changed.id ?? idOf('896f38500352d5be');
  return {
    ...{ kind: 'join', id, name: 'home-server', role: 'worker', fingerprint: fingerprint(id), address: '100.64.0.7' },
    ...{ tailnet: null, version: '0.1.0', openclawVersion: null, platform: 'linux', arch: 'x64' },
    ...{ offers: ['exec'], commands: [], risks: ['can run any command'], token: null, held: null, rejected: false },
    ...{ askedAt: before(180), lastAskedAt: before(5), expiresAt: null },
    ...changed,
  };
}

const MACHINE = { stableId: 'n1', name: 'mac.tail1234.ts.net', user: 'sam@example.com', tags: [] };
const COMMANDS = ['system.run', 'system.run.prepare', 'system.which', 'browser.proxy', 'camera.snap', 'screen.record'];

const ALL: readonly PairingRequestView[] = [
  aRequest({ tailnet: { ...MACHINE, name: 'home-server.tail1234.ts.net', tags: ['tag:server', 'tag:home'] } }),
  aRequest({
    ...{ kind: 'more', id: idOf('896f3850aa'), name: 'pi', offers: ['exec', 'node-host'], commands: COMMANDS },
    ...{ openclawVersion: '2026.9.6', risks: ['can run any command', 'can use its camera', 'can see its screen'] },
  }),
  aRequest({
    ...{ kind: 'moved', id: idOf('11'), name: 'nas', token: 'ci', rejected: false },
    held: 'it is nas, and asks from the machine n9 instead of its own machine',
  }),
  aRequest({
    ...{ kind: 'device', id: idOf('22').slice(0, 32), name: 'Sam’s Mac', role: 'node-host', version: null },
    ...{ offers: [], commands: null, risks: ['what it offers is not known before it connects again'] },
    ...{ tailnet: MACHINE, expiresAt: before(-252) },
  }),
  aRequest({
    ...{ kind: 'surface', id: idOf('33').slice(0, 32), name: 'phone', role: 'node-host', version: null, offers: [] },
    ...{ commands: ['camera.snap'], risks: ['can use its camera'], platform: 'ios', openclawVersion: '2026.9.6' },
  }),
  aRequest({
    ...{ kind: 'operator', id: idOf('44'), name: 'laptop', role: 'operator', offers: [], commands: null },
    ...{ risks: ['can do all that you can do here'], expiresAt: before(-7200) },
  }),
  aRequest({ id: idOf('55'), name: 'stranger', rejected: true }),
];

async function shownAt(columns: number): Promise<string> {
  vi.useFakeTimers({ now: NOW, toFake: ['Date'] });
  hub.answers.set('GET /pairing-requests', ALL);
  expect(await onTerminal({ columns }, () => listPending({ home: hub.home }))).toBe(0);
  return seen.stdout;
}

test('all kinds stand in one list that can be read at 80 columns', async () => {
  expect(await shownAt(80)).toMatchInlineSnapshot(`
    "ID         NAME         WANTS                       ASKED      STATE
    896f38500  home-server  to join as worker           3 min ago  waits
        fingerprint 896f-3850-0352-d5be, from 100.64.0.7,
        home-server.tail1234.ts.net (tag:server tag:home), linux
        offers exec
        risk: can run any command
    896f3850a  pi           to offer more               3 min ago  waits
        fingerprint 896f-3850-aa00-0000, from 100.64.0.7, no machine of the tailnet,
        OpenClaw 2026.9.6 on linux
        offers exec, node-host, 6 commands (system.run, system.run.prepare,
        system.which, browser.proxy, …)
        risk: can run any command; can use its camera; can see its screen
    110000     nas          from another machine        3 min ago  held
        fingerprint 1100-0000-0000-0000, from 100.64.0.7, no machine of the tailnet,
        with the token ci, linux
        offers exec
        risk: can run any command
        held: it is nas, and asks from the machine n9 instead of its own machine
    220000     Sam’s Mac    pairing (step 1 of 2)       3 min ago  4:12 left
        fingerprint 2200-0000-0000-0000, from 100.64.0.7, mac.tail1234.ts.net
        (sam@example.com), linux
        risk: what it offers is not known before it connects again
    330000     phone        its commands (step 2 of 2)  3 min ago  waits
        fingerprint 3300-0000-0000-0000, from 100.64.0.7, no machine of the tailnet,
        OpenClaw 2026.9.6 on ios
        offers 1 command (camera.snap)
        risk: can use its camera
    440000     laptop       to operate                  3 min ago  2 h left
        fingerprint 4400-0000-0000-0000, from 100.64.0.7, no machine of the tailnet,
        linux
        risk: can do all that you can do here
    550000     stranger     to join as worker           3 min ago  rejected
        fingerprint 5500-0000-0000-0000, from 100.64.0.7, no machine of the tailnet,
        linux
        offers exec
        risk: can run any command
    "
  `);
  expect(seen.stdout.split('\n').every(({ length }) => length <= 80)).toBe(true);
  expect(seen.stderr).toBe(
    'compare the fingerprint with what the node shows, then: manage-federation\napprove ID or NAME\n',
  );
});

test('at 100 columns a sentence takes fewer lines', async () => {
  expect(await shownAt(100)).toMatchInlineSnapshot(`
    "ID         NAME         WANTS                       ASKED      STATE
    896f38500  home-server  to join as worker           3 min ago  waits
        fingerprint 896f-3850-0352-d5be, from 100.64.0.7, home-server.tail1234.ts.net (tag:server
        tag:home), linux
        offers exec
        risk: can run any command
    896f3850a  pi           to offer more               3 min ago  waits
        fingerprint 896f-3850-aa00-0000, from 100.64.0.7, no machine of the tailnet, OpenClaw 2026.9.6
        on linux
        offers exec, node-host, 6 commands (system.run, system.run.prepare, system.which, browser.proxy,
        …)
        risk: can run any command; can use its camera; can see its screen
    110000     nas          from another machine        3 min ago  held
        fingerprint 1100-0000-0000-0000, from 100.64.0.7, no machine of the tailnet, with the token ci,
        linux
        offers exec
        risk: can run any command
        held: it is nas, and asks from the machine n9 instead of its own machine
    220000     Sam’s Mac    pairing (step 1 of 2)       3 min ago  4:12 left
        fingerprint 2200-0000-0000-0000, from 100.64.0.7, mac.tail1234.ts.net (sam@example.com), linux
        risk: what it offers is not known before it connects again
    330000     phone        its commands (step 2 of 2)  3 min ago  waits
        fingerprint 3300-0000-0000-0000, from 100.64.0.7, no machine of the tailnet, OpenClaw 2026.9.6
        on ios
        offers 1 command (camera.snap)
        risk: can use its camera
    440000     laptop       to operate                  3 min ago  2 h left
        fingerprint 4400-0000-0000-0000, from 100.64.0.7, no machine of the tailnet, linux
        risk: can do all that you can do here
    550000     stranger     to join as worker           3 min ago  rejected
        fingerprint 5500-0000-0000-0000, from 100.64.0.7, no machine of the tailnet, linux
        offers exec
        risk: can run any command
    "
  `);
});

test('an id is as short as it can be without meaning another one, be it by id, fingerprint or name', () => {
  const ids = ['896f3850aa', '896f3850bb', '11223344'].map((digits) => aRequest({ id: idOf(digits) }));
  expect(ids.map((request) => shortestId(request, ids))).toEqual(['896f3850a', '896f3850b', '112233']);
  const named = [...ids, aRequest({ id: idOf('77'), name: '1122334' })];
  expect(shortestId(named[2]!, named)).toBe('11223344');
});

test.each([
  [252_900, '4:12 left'],
  [9000, '0:09 left'],
  [-1, '0:00 left'],
  [3_599_000, '59:59 left'],
  [23 * 3600_000, '23 h left'],
])('%i ms are %s', (ms, text) => {
  expect(leftText(ms)).toBe(text);
});

test('what a node says of itself steers no terminal and makes no line of its own', async () => {
  const HOSTILE = '\u001b[2Jowned\nhome-server  to join\r\u202e';
  hub.answers.set('GET /pairing-requests', [
    aRequest({
      ...{ name: HOSTILE, platform: HOSTILE, address: HOSTILE, openclawVersion: HOSTILE, commands: [HOSTILE] },
      ...{ risks: [HOSTILE], held: HOSTILE, tailnet: { ...MACHINE, name: HOSTILE, user: HOSTILE } },
    }),
  ]);
  await listPending({ home: hub.home });
  expect(seen.stdout).toContain('owned');
  // oxlint-disable-next-line no-control-regex -- these are the characters that are looked for
  expect(seen.stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/);
  expect(seen.stdout.split('\n')).toHaveLength(7);
});

test('nothing that waits is said to be so, and JSON is what the hub says', async () => {
  hub.answers.set('GET /pairing-requests', []);
  await listPending({ home: hub.home });
  expect(seen).toEqual({ stdout: '', stderr: 'nothing waits for approval\n' });
  hub.answers.set('GET /pairing-requests', ALL);
  await listPending({ home: hub.home, json: true });
  expect(JSON.parse(seen.stdout)).toEqual(JSON.parse(JSON.stringify(ALL)));
});

test('an operator is compared with the other machine, in lines that fit', async () => {
  hub.answers.set('GET /pairing-requests', [aRequest({ kind: 'operator', name: 'laptop', role: 'operator' })]);
  await onTerminal({ columns: 60 }, () => listPending({ home: hub.home }));
  expect(seen.stderr).toBe(
    'compare the fingerprint with what the other machine shows,\nthen: manage-federation approve ID\n',
  );
});
