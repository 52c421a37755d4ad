import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { findHub } from '#src/adapters/hub.ts';
import { createLog } from '#src/adapters/log.ts';
import type { Judged, JudgeOptions } from '#src/cli/auto-register/judge.ts';
import { brokenRules } from '#src/cli/auto-register/judge.ts';
import { decisionText, logReport, unfinishedText } from '#src/cli/auto-register/report.ts';
import { judgeOnce } from '#src/cli/auto-register/once.ts';
import { watchRequests } from '#src/cli/auto-register/watch.ts';
import type { PolicyStatus } from '#src/protocol/hub-api/judgement.ts';
import type { Status } from '#src/protocol/hub-api/status.ts';
import { bareNode } from '../support/bare-node.ts';
import { eventually } from '../support/eventually.ts';
import type { Federation } from '../support/federation.ts';
import { startFederation } from '../support/federation.ts';

const EVERYBODY = 'rules: [{ name: all, when: { address: 127.0.0.0/8 }, then: approve }]\n';

let federation: Federation;

beforeEach(async () => {
  federation = await startFederation();
});
afterEach(() => federation[Symbol.asyncDispose]());

async function usePolicy(text: string, state: PolicyStatus['state']): Promise<void> {
  await writeFile(join(federation.home('master'), 'approval-policy.yaml'), text);
  await eventually(`the rules are ${state}`, async () => {
    return (await federation.get<Status>('/status')).policy.state === state;
  });
}

async function asks(...names: readonly string[]): Promise<void> {
  for (const name of names) await federation.start(name, { token: null });
  await eventually('all wait', async () => (await federation.pending()).length >= names.length);
}

/** A watch that takes rules for good that approve everybody, since here everybody comes from loopback. */
function watching(options: Partial<JudgeOptions> = {}, patienceMs = 3600_000) {
  const stopping = new AbortController();
  const decided: Judged[] = [];
  const told: string[] = [];
  const hints: string[] = [];
  const usable: string[] = [];
  const halves: string[] = [];
  const ended = watchRequests({
    connect: () => findHub(federation.home('master')),
    options: { dryRun: false, approveEverything: true, ...options },
    report: {
      connected: () => void told.push('connected'),
      away: (problem, hint) => {
        told.push('away');
        hints.push(`${problem}: ${hint}`);
      },
      policy: ({ state }) => void told.push(state),
      decided: (judged) => void decided.push(judged),
      failed: (name) => void told.push(`failed ${name}`),
      usable: ({ name }) => void usable.push(name),
      unfinished: (node, why) => void halves.push(unfinishedText(node, why)),
    },
    signal: stopping.signal,
    patienceMs,
  });
  const stop = async (): Promise<void> => {
    stopping.abort();
    await ended;
  };
  onTestFinished(stop);
  return { decided, told, hints, usable, halves, ended, stop };
}

test('whoever waits already and whoever comes later is let in', async () => {
  await usePolicy(EVERYBODY, 'broken');
  await asks('w1', 'w2');
  const watch = watching();
  await federation.untilOnline('w1', 'w2');
  await federation.start('w3', { token: null });
  await federation.untilOnline('w3');
  await eventually('three are usable', () => watch.usable.length === 3);
  expect(watch.usable.toSorted()).toEqual(['w1', 'w2', 'w3']);
  expect(watch.halves).toEqual([]);
  expect(watch.decided.map(decisionText).toSorted()[0]).toMatch(
    /^approved w1 \([0-9a-f-]{19}\): rule all approves it: it comes from 127\.0\.0\.1, in 127\.0\.0\.0\/8$/,
  );
});

test('twenty that come at once are all let in and told to be usable, each once', async () => {
  await usePolicy(`maxPerHour: 20\n${EVERYBODY}`, 'broken');
  const watch = watching();
  await eventually('it listens', () => watch.told.includes('connected'));
  await using nodes = new AsyncDisposableStack();
  const names = Array.from({ length: 20 }, (_, at) => `light-${at + 10}`);
  for (const name of names) nodes.use(bareNode(federation.hub, { name, offers: ['exec'] }));
  await eventually('all are usable', () => watch.usable.length >= 20);
  expect(watch.usable.toSorted()).toEqual(names);
  expect(watch.halves).toEqual([]);
});

test('a node that came while nobody listened is found when the hub is back', async () => {
  await usePolicy(EVERYBODY, 'broken');
  const watch = watching();
  await eventually('it listens', () => watch.told.includes('connected'));
  await federation.stopHub();
  await eventually('it is missed', () => watch.told.includes('away'));
  await federation.startHub();
  await federation.start('w1', { token: null });
  await federation.untilOnline('w1');
  expect(watch.told.filter((word) => word === 'away')).toHaveLength(1);
});

test('a node that is held is judged again when the rules change, and what stays the same is said once', async () => {
  await usePolicy('rules: []\n', 'loaded');
  await asks('w1');
  const watch = watching();
  await eventually('it is held', () => watch.decided.length === 1);
  await federation.restartHub();
  await eventually('the hub is back', () => watch.told.filter((word) => word === 'connected').length === 2);
  await usePolicy(EVERYBODY, 'broken');
  // It may take a while to knock at the new hub: it is told to be patient.
  await eventually('w1 is a member', async () => (await federation.nodes()).some(({ name }) => name === 'w1'));
  await eventually('that is said', () => watch.decided.length === 2);
  expect(watch.decided.map(({ verdict, done }) => [verdict, done])).toEqual([
    ['hold', 'nothing'],
    ['approve', 'approved'],
  ]);
});

test('a node that is let in while it is away is told with what it waits for, and as usable when it comes', async () => {
  await usePolicy(EVERYBODY, 'broken');
  await asks('w1');
  await federation.stop('w1');
  const watch = watching({}, 0);
  await eventually('it is told', () => watch.halves.length === 1);
  expect(watch.halves[0]).toMatch(
    /^half-approved w1 \([0-9a-f-]{19}\): step linked waits for its worker daemon to connect; on w1: /,
  );
  await federation.restartHub();
  await federation.start('w1', { token: null });
  await eventually('it is usable', () => watch.usable.length === 1);
  expect(watch.halves).toHaveLength(1);
});

/** What is said of one call of `auto-register --once`. */
async function once(patienceMs = 3600_000): Promise<string[]> {
  const said: string[] = [];
  await judgeOnce({
    hub: await findHub(federation.home('master')),
    options: { dryRun: false, approveEverything: true },
    report: {
      decided: ({ name, done }) => void said.push(`${done} ${name}`),
      usable: ({ name }) => void said.push(`usable ${name}`),
      unfinished: ({ name }, { step }) => void said.push(`${step} ${name}`),
    },
    patienceMs,
  });
  return said.toSorted();
}

test('once, it ends when whoever was let in is usable', async () => {
  await usePolicy(EVERYBODY, 'broken');
  await asks('w1', 'w2');
  expect(await once()).toEqual(['approved w1', 'approved w2', 'usable w1', 'usable w2']);
  expect(await once()).toEqual([]);
});

test('once, it ends when it was told what keeps a node from being usable', async () => {
  await usePolicy(EVERYBODY, 'broken');
  await asks('w1');
  await federation.stop('w1');
  expect(await once(0)).toEqual(['approved w1', 'linked w1']);
});

test('a dry run says what would be, and changes nothing', async () => {
  await usePolicy(EVERYBODY, 'broken');
  await asks('w1');
  const watch = watching({ dryRun: true });
  await eventually('it is judged', () => watch.decided.length === 1);
  expect(decisionText(watch.decided[0]!)).toMatch(/^would approve w1 /);
  await watch.stop();
  expect(await federation.pending()).toMatchObject([{ name: 'w1', rejected: false }]);
});

test('a watch that is told to stop while the hub is away ends', async () => {
  await federation.stopHub();
  const watch = watching();
  await eventually('it waits', () => watch.told.includes('away'));
  await watch.stop();
  expect(watch.decided).toEqual([]);
  expect(watch.hints).toEqual([expect.stringContaining(`no hub answers for ${federation.home('master')}: start it (`)]);
});

test('in a journal, too, a hub that is away is told with what starts it', () => {
  const lines: string[] = [];
  const log = createLog({ level: 'info', module: 'auto-register', write: (line) => void lines.push(line) });
  logReport(log).away('no hub answers for /home/ann/fed', 'start it');
  expect(JSON.parse(lines[0]!)).toMatchObject({ problem: 'no hub answers for /home/ann/fed', try: 'start it' });
});

test('once, rules that cannot be used are told, and none of them from before is an error', async () => {
  const hub = await findHub(federation.home('master'));
  const rules = (approveEverything: boolean) => brokenRules(hub, { dryRun: false, approveEverything });
  expect(await rules(false)).toBeNull();
  await usePolicy(EVERYBODY, 'broken');
  await expect(rules(false)).rejects.toMatchObject({
    code: 'SETTINGS_INVALID',
    message: expect.stringContaining('would approve everybody'),
  });
  expect(await rules(true)).toBeNull();
  await usePolicy('rules: [{ name: pi, when: { tag: tag:pi }, then: approve }]\n', 'loaded');
  expect(await rules(false)).toBeNull();
  await usePolicy('rules: [', 'broken');
  for (const everybody of [false, true]) {
    expect(await rules(everybody)).toMatchObject({ rules: 1, problem: expect.stringMatching(/./) });
  }
});
