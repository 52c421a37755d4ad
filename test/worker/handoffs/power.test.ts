import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { ClientHttp2Session } from 'node:http2';
import { connect } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import type { HandoffStanding } from '#src/protocol/handoffs.ts';
import { eventually } from '../../support/eventually.ts';
import { startDaemon } from '../../support/handoff-daemon.ts';
import type { Following } from './node-under-test.ts';
import { askNode, followNode, orderOf } from './node-under-test.ts';
import type { ScriptedGateway } from './scripted-gateway.ts';
import { scriptedGateway } from './scripted-gateway.ts';

const FIXTURE = fileURLToPath(new URL('../../fixtures/handoff-daemon.ts', import.meta.url));
/** Machines that fall at the same time: most of their time is waiting. */
const AT_ONCE = 4;
const FILE = { name: 'a.txt', content: Buffer.from('hello').toString('base64') };

/** Starts a daemon that dies at that step; null where it died before it listened. */
async function daemonThatDies(folder: string, settingsFile: string, step: number) {
  const args = ['--conditions=federation-source', FIXTURE, folder, settingsFile, String(step)];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  const lines: string[] = [];
  createInterface(child.stdout).on('line', (line) => lines.push(line));
  const isUp = () => lines.includes('offered') && lines.length === 2;
  await eventually('it is up or dead', () => isUp() || child.signalCode !== null, 120_000);
  const port = lines.find((line) => line !== 'offered');
  return { child, exited, port: isUp() ? Number(port) : null };
}

/** Hands it one task and follows it; what came of it before the power went. */
async function handOver(port: number, child: ChildProcess, order: ReturnType<typeof orderOf>) {
  const hub: ClientHttp2Session = connect(`http://127.0.0.1:${port}`);
  hub.on('error', () => undefined);
  const dead = once(child, 'exit').then(() => null);
  const accepted = await Promise.race([
    askNode<HandoffStanding>(hub, 'POST', '/handoffs', order).catch(() => null),
    dead,
  ]);
  let following: Following | null = null;
  if (accepted !== null) {
    following = followNode(hub, order.id, 0);
    await Promise.race([following.over, dead]);
  }
  const isOver = following?.events.at(-1)?.type === 'ended';
  hub.destroy();
  return { accepted, read: following?.events ?? [], isOver };
}

/** Cuts the power at that step, and looks what came of it; false where the whole was done before it came to that. */
async function cutAt(step: number, gateway: ScriptedGateway): Promise<boolean> {
  const folder = mkdtempSync(join(tmpdir(), 'ocf-power-'));
  const settingsFile = join(folder, 'openclaw.json');
  await gateway.settings(settingsFile);
  const order = orderOf({ files: [FILE] });
  const first = await daemonThatDies(folder, settingsFile, step);
  const before = first.port === null ? null : await handOver(first.port, first.child, order);
  const survived = before?.isOver === true && first.child.signalCode === null;
  first.child.kill('SIGKILL');
  await first.exited;

  // The machine comes up again: the hub asks how it stands, and hands it over anew only where that is unknown.
  const second = await startDaemon({ folder, settingsFile, bootId: 'another boot' });
  const hub = connect(`http://127.0.0.1:${second.port}`);
  const standing = await askNode<HandoffStanding>(hub, 'GET', `/handoffs/${order.id}`);
  const isKept = before?.accepted?.status !== 200 || standing.status === 200;
  expect([step, isKept]).toEqual([step, true]);
  if (standing.status === 404) {
    await eventually('it takes it', async () => (await askNode(hub, 'POST', '/handoffs', order)).status === 200);
  }
  const read = before?.read ?? [];
  const following = followNode(hub, order.id, read.at(-1)?.seq ?? 0);
  await following.over;
  const all = [...read, ...following.events];
  expect([step, all.map(({ seq }) => seq)]).toEqual([step, all.map((_, at) => at + 1)]);
  expect([step, all.filter(({ type }) => type === 'ended')]).toEqual([step, [all.at(-1)]]);
  const runs = gateway.runs.filter(({ key }) => key === `${order.id}-1`).length;
  const end = all.at(-1);
  const artefacts = all.filter(({ type }) => type === 'artefact').length;
  // One that was about to begin may not have: it is lost, and nothing is tried again.
  const lost = { runs: 0, artefacts: 0, outcome: 'lost', text: '' };
  const done = { runs: 1, artefacts: 1, outcome: 'completed', text: 'it is done' };
  expect({ step, runs, artefacts, ...end }).toMatchObject({ step, ...(runs === 0 ? lost : done) });
  hub.destroy();
  await second.close();
  rmSync(folder, { recursive: true, force: true });
  return !survived;
}

it('wherever the power is cut, an accepted task is worked on once, and its answer is not lost', async () => {
  await using gateway = await scriptedGateway(({ message, say }) => {
    writeFileSync(join(/put them into (\S+), /.exec(message)?.[1] ?? '', 'answer.txt'), 'an answer');
    say('it is done');
  });
  const cuts: boolean[] = [];
  while (!cuts.includes(false)) {
    const steps = Array.from({ length: AT_ONCE }, (_, at) => cuts.length + at + 1);
    cuts.push(...(await Promise.all(steps.map((step) => cutAt(step, gateway)))));
  }
  expect(cuts.filter(Boolean).length).toBeGreaterThan(15);
}, 600_000);
