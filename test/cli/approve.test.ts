import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { approveNodes } from '#src/cli/manage/approve.ts';
import { fingerprint } from '#src/core/node.ts';
import type { ApprovedView } from '#src/protocol/hub-api/pairing-request.ts';
import type { Readiness } from '#src/protocol/hub-api/readiness.ts';
import { eventually } from '../support/eventually.ts';
import type { ScriptedHub } from '../support/scripted-hub.ts';
import { scriptedHub } from '../support/scripted-hub.ts';
import { onTerminal, screen } from '../support/screen.ts';

const ID = '1a2b'.repeat(16);
const APPROVED: ApprovedView = {
  ...{ kind: 'device', id: ID, name: 'mac', role: 'node-host', fingerprint: fingerprint(ID), replaced: [] },
};

let hub: ScriptedHub;
let seen: ReturnType<typeof screen>;

beforeEach(async () => {
  hub = await scriptedHub();
  hub.answers.set('GET /pairing-requests', []);
  hub.answers.set('GET /nodes', []);
  seen = screen();
});
afterEach(async () => {
  vi.restoreAllMocks();
  await hub.close();
});

type Step = Readiness['steps'][number];
const done = (step: Step['step']): Step => ({ step, done: true, waitsFor: null, run: null });
const waits = (step: Step['step'], waitsFor: string, run: string | null): Step => ({
  step,
  done: false,
  waitsFor,
  run,
});

function isThere(...steps: Step[]): void {
  const usable = steps.every((step) => step.done);
  const readiness: Readiness = { id: ID, name: 'mac', fingerprint: fingerprint(ID), kind: 'openclaw', usable, steps };
  hub.answers.set(`GET /nodes/${ID}/readiness`, readiness);
}

const approve = (words: readonly string[], flags: Partial<Parameters<typeof approveNodes>[1]> = {}) =>
  approveNodes(words, { home: hub.home, models: true, wait: true, timeout: '100s', ...flags });

test('a node that only runs OpenClaw is followed from device to commands, by the events of the hub', async () => {
  hub.answers.set('POST /pairing-requests/mac/approve', APPROVED);
  isThere(done('device'), waits('reconnected', 'it to connect again', 'on mac: restart openclaw node run'));
  const approving = approve(['mac']);
  await eventually('it waits', async () => seen.stderr.includes('restart openclaw node run'));
  expect(hub.asked.indexOf('GET /events')).toBe(0);
  expect(hub.asked).toContain('POST /pairing-requests/mac/approve');

  isThere(done('device'), done('reconnected'), waits('surface', 'it to say which commands it offers', null));
  hub.announce('node', { id: ID });
  await eventually('it waits for that', async () => seen.stderr.includes('which commands it offers'));

  isThere(done('device'), done('reconnected'), done('surface'), done('commands'));
  hub.announce('pairing-request', { fingerprint: fingerprint(ID) });
  expect(await approving).toBe(0);
  expect(seen.stderr).toMatchInlineSnapshot(`
    "approved mac (1a2b-1a2b-1a2b-1a2b) as node-host
    waits up to 1:40 for mac; Ctrl-C leaves what is approved
    mac waits for it to connect again
      on mac: restart openclaw node run
    mac waits for it to say which commands it offers
    mac is usable
    "
  `);
});

test('an operator is let in and not waited for', async () => {
  hub.answers.set('POST /pairing-requests/sam/approve', { ...APPROVED, kind: 'operator', role: 'operator' });
  expect(await approve(['sam'])).toBe(0);
  expect(hub.asked).not.toContain(`GET /nodes/${ID}/readiness`);
});

test('whose place was taken is said, a word that is given twice is approved once', async () => {
  hub.answers.set('POST /pairing-requests/mac/approve', { ...APPROVED, replaced: ['c'.repeat(64)] });
  expect(await approve(['mac', 'mac'], { wait: false, replace: true })).toBe(0);
  expect(hub.asked.filter((what) => what.startsWith('POST'))).toHaveLength(1);
  expect(seen.stderr).toContain('; revoked is who had its place (cccccccccccc)');
});

test('words of a node steer no terminal and make no line of their own', async () => {
  const hostile = '\u001b[2Jowned\nmac is usable';
  hub.answers.set('POST /pairing-requests/mac/approve', { ...APPROVED, name: hostile });
  isThere(done('device'), waits('reconnected', hostile, hostile));
  expect(await approve(['mac'], { timeout: '1s' })).toBe(1);
  expect(seen.stderr).not.toContain('\u001b');
  expect(seen.stderr.split('\n')).not.toContain('mac is usable');
});

test('a hub that fails for one node fails for none of the others', async () => {
  hub.answers.set('POST /pairing-requests/mac/approve', APPROVED);
  hub.answers.set('POST /pairing-requests/nas/approve', { ...APPROVED, id: 'b'.repeat(64), name: 'nas' });
  hub.answers.set(`GET /nodes/${'b'.repeat(64)}/readiness`, { code: 'NODE_NOT_FOUND', message: 'nas was revoked' });
  isThere(done('device'), done('reconnected'), done('surface'), done('commands'));
  expect(await approve(['nas', 'mac'], { json: true })).toBe(3);
  expect(seen.stderr).toBe('');
  expect(JSON.parse(seen.stdout)).toMatchObject([
    { word: 'nas', usable: null, error: { code: 'NODE_NOT_FOUND', message: 'nas was revoked' } },
    { word: 'mac', usable: true, error: null },
  ]);
});

test('a step that comes and goes is said once', async () => {
  hub.answers.set('POST /pairing-requests/mac/approve', APPROVED);
  const [away, there] = [waits('reconnected', 'it to connect again', null), waits('surface', 'its commands', null)];
  let looks = 0;
  hub.answers.set(`GET /nodes/${ID}/readiness`, () => {
    looks += 1;
    const steps = looks > 5 ? [done('device')] : [looks % 2 === 1 ? away : there];
    setImmediate(() => hub.announce('node', { id: ID }));
    return { id: ID, name: 'mac', fingerprint: fingerprint(ID), kind: 'openclaw', usable: looks > 5, steps };
  });
  expect(await approve(['mac'])).toBe(0);
  expect(looks).toBe(6);
  expect(seen.stderr.match(/mac waits for/g)).toHaveLength(2);
});

test.each(['rejected', 'revoked'])('of one that was %s before it is said when it asks again', async (how) => {
  hub.answers.set('POST /pairing-requests/mac/approve', { ...APPROVED, kind: 'join', role: 'worker' });
  hub.answers.set('GET /pairing-requests', how === 'rejected' ? [{ id: ID, rejected: true }] : []);
  hub.answers.set('GET /nodes', how === 'revoked' ? [{ id: ID, state: 'revoked' }] : []);
  isThere(done('admitted'), done('linked'));
  expect(await approve(['mac'])).toBe(0);
  expect(seen.stderr).toContain('\nmac was refused before: it asks again within a minute\n');
});

test('on a terminal one line counts what is waited for, and is gone when it is there', async () => {
  hub.answers.set('POST /pairing-requests/mac/approve', APPROVED);
  isThere(waits('device', 'the gateway', null));
  await onTerminal({ columns: 60 }, async () => {
    const approving = approve(['mac']);
    await eventually('it counts', async () => seen.stderr.includes('\r\u001b[K0:01 of 1:40, Ctrl-C leaves'));
    isThere(done('device'));
    hub.announce('node', { id: ID });
    expect(await approving).toBe(0);
  });
  const lines = seen.stderr.split(/[\r\n]/).map((line) => line.replace('\u001b[K', ''));
  expect(lines.every((line) => line.length < 60)).toBe(true);
  expect(seen.stderr.endsWith('\r\u001b[K')).toBe(true);
  expect(seen.stderr).toMatch(/mac is usable\n[^\n]*$/);
});

test('whoever leaves with Ctrl-C is told who is let in', async () => {
  hub.answers.set('POST /pairing-requests/mac/approve', APPROVED);
  isThere(waits('device', 'the gateway', null));
  const approving = approve(['mac']);
  await eventually('it waits', async () => seen.stderr.includes('mac waits for the gateway'));
  process.emit('SIGINT');
  expect(await approving).toBe(130);
  expect(seen.stderr).toMatch(/\nlet in, and not waited for any longer: mac\n$/);
});
