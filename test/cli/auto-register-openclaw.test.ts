import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { findHub } from '#src/adapters/hub.ts';
import { createLog } from '#src/adapters/log.ts';
import { decisionText, logReport, unfinishedText, usableText } from '#src/cli/auto-register/report.ts';
import { watchRequests } from '#src/cli/auto-register/watch.ts';
import type { AuditView } from '#src/protocol/hub-api/audit.ts';
import type { Status } from '#src/protocol/hub-api/status.ts';
import { DEVICE } from '../support/at-gateway.ts';
import { eventually } from '../support/eventually.ts';
import type { FakeGateway } from '../support/fake-gateway.ts';
import { fakeGateway } from '../support/fake-gateway.ts';
import type { FakePairing } from '../support/fake-pairing.ts';
import { fakePairing } from '../support/fake-pairing.ts';
import type { Federation } from '../support/federation.ts';
import { startFederation } from '../support/federation.ts';

const PHONE = { remoteIp: '100.64.0.7' };
const PHONES = `
maxPerHour: 1
rules:
  - { name: phones, when: { address: 100.64.0.7, role: node-host, commands: camera.snap }, then: approve, labels: { a: b } }
`;

let folder: string;
let fake: FakeGateway;
let openclaw: FakePairing;
let federation: Federation;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ocf-rules-'));
  fake = await fakeGateway();
  openclaw = fakePairing(fake);
  const tokenFile = join(folder, 'token');
  await writeFile(tokenFile, 'a token');
  federation = await startFederation({ hub: { gateway: { url: fake.url, tokenFile } } });
  await writeFile(join(federation.home('master'), 'approval-policy.yaml'), PHONES);
  await eventually('the rules are read and the gateway is there', async () => {
    const { policy, gateway } = await federation.get<Status>('/status');
    return policy.state === 'loaded' && gateway.state === 'connected';
  });
});

afterEach(async () => {
  await federation[Symbol.asyncDispose]();
  await fake.close();
  await rm(folder, { recursive: true });
});

/** A watch that tells at once what a node that was let in waits for. */
function watching() {
  const stopping = new AbortController();
  const said: string[] = [];
  const lines: string[] = [];
  const log = logReport(createLog({ level: 'info', module: 'auto-register', write: (line) => void lines.push(line) }));
  const ended = watchRequests({
    connect: () => findHub(federation.home('master')),
    options: { dryRun: false, approveEverything: false },
    report: {
      ...log,
      decided(judged) {
        said.push(decisionText(judged));
        log.decided(judged);
      },
      usable(node, ms) {
        said.push(usableText(node, 0));
        log.usable(node, ms);
      },
      unfinished(node, why) {
        said.push(unfinishedText(node, why));
        log.unfinished(node, why);
      },
    },
    signal: stopping.signal,
    patienceMs: 0,
  });
  onTestFinished(async () => {
    stopping.abort();
    await ended;
  });
  const saying = (...words: readonly string[]) =>
    eventually(`it says ${words.join(' ')}`, () => said.find((line) => words.every((word) => line.includes(word))));
  return { said, lines, saying };
}

async function approvals(): Promise<[string, unknown, unknown][]> {
  const records = await federation.get<AuditView[]>('/audit?limit=1000');
  return records
    .filter(({ action }) => action.startsWith('node.'))
    .map(({ action, detail }) => [action, detail['kind'], detail['rule']]);
}

test('a node of OpenClaw is let in by both of its requests, and told to be usable', async () => {
  const watch = watching();
  openclaw.asks(DEVICE, PHONE);
  await watch.saying('approved phone', 'to pair with OpenClaw', 'its commands are judged when it offers them');
  await watch.saying('half-approved phone', 'step reconnected waits for it to connect again; on phone: ');
  openclaw.offers(DEVICE, ['camera.snap'], PHONE);
  // The limit is one, and this is the same node.
  await watch.saying('approved phone', 'to offer its commands to OpenClaw: rule phones approves it');
  await watch.saying('usable phone');
  expect(await approvals()).toEqual([
    ['node.approve', 'device', 'phones'],
    ['node.approve', 'surface', 'phones'],
  ]);
  expect(watch.lines.map((line) => (JSON.parse(line) as { message: string }).message)).toContain('usable');
});

test('commands beyond the ceiling are held, and the node is told to be let in by halves', async () => {
  const watch = watching();
  openclaw.asks(DEVICE, PHONE);
  await watch.saying('approved phone');
  openclaw.offers(DEVICE, ['camera.snap', 'system.run'], PHONE);
  await watch.saying('held phone', 'to offer its commands to OpenClaw: no rule matches it');
  await watch.saying('half-approved phone', 'step surface', 'manage-federation approve phone');
  expect(await approvals()).toEqual([
    ['node.approve', 'device', 'phones'],
    ['node.judge', 'surface', null],
  ]);
});

test('a device that was let in at the gateway itself is finished', async () => {
  const requestId = openclaw.asks(DEVICE, { remoteIp: '100.64.0.9' });
  const watch = watching();
  await watch.saying('held phone', 'to pair with OpenClaw: no rule matches it');
  openclaw.approves(requestId);
  openclaw.offers(DEVICE, ['camera.snap'], PHONE);
  await watch.saying('approved phone', 'to offer its commands');
  await watch.saying('usable phone');
  expect(await approvals()).toEqual([
    ['node.judge', 'device', null],
    ['node.approve', 'surface', 'phones'],
  ]);
});

test('a watch that starts in the middle finishes what another began', async () => {
  const first = watching();
  openclaw.asks(DEVICE, PHONE);
  await first.saying('half-approved phone');
  await federation.restartHub();
  const second = watching();
  await second.saying('half-approved phone', 'step reconnected');
  openclaw.offers(DEVICE, ['camera.snap'], PHONE);
  await second.saying('usable phone');
  expect(second.said.filter((line) => line.includes('to pair'))).toEqual([]);
});

test('a node that is called so that it would steer a terminal is harmless in the log', async () => {
  const watch = watching();
  openclaw.asks(DEVICE, { ...PHONE, displayName: 'a\u001b]0;x\u0007\u202e\u009b2J\nphone' });
  await watch.saying('approved');
  await watch.saying('half-approved');
  // oxlint-disable-next-line no-control-regex -- these are the characters that must not be there
  expect(watch.lines.join('')).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/);
  // oxlint-disable-next-line no-control-regex -- the same
  expect(federation.logs.join('')).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/);
});
