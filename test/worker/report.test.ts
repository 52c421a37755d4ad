import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openHome } from '#src/adapters/home.ts';
import type { WorkerRecord } from '#src/core/worker-record.ts';
import type { NodeHostStatus } from '#src/worker/node-host.ts';
import { openReport } from '#src/worker/report.ts';
import { eventually } from '../support/eventually.ts';
import { SILENT_LOG } from '../support/member.ts';

async function reportOf(nodeHost: 'off' | 'waiting') {
  const directory = await mkdtemp(join(tmpdir(), 'ocf-report-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  const node = { id: 'a'.repeat(64), name: 'w1', hub: 'vps:19000', nodeHost };
  const report = await openReport(await openHome(directory), node, SILENT_LOG);
  const record = async () => JSON.parse(await readFile(join(directory, 'worker.json'), 'utf8')) as WorkerRecord;
  return { report, record };
}

test('a node host that is not wanted is off', async () => {
  const { record } = await reportOf('off');
  expect(await record()).toMatchObject({ link: 'connecting', nodeHost: 'off', nodeHostProblem: null });
});

test('the record says how the node host stands, by the gateway’s word', async () => {
  const { report, record } = await reportOf('waiting');
  expect(await record()).toMatchObject({ nodeHost: 'waiting', nodeHostProblem: null });
  const status: NodeHostStatus = { phase: 'waiting', gateway: 'unknown', pid: null, lastEnd: null, problem: null };

  async function expectRecord(said: Partial<NodeHostStatus>, nodeHost: string, nodeHostProblem: string | null) {
    report.nodeHost({ ...status, ...said });
    const wanted = JSON.stringify([nodeHost, nodeHostProblem]);
    await eventually(wanted, async () => {
      const now = await record();
      return JSON.stringify([now.nodeHost, now.nodeHostProblem]) === wanted;
    });
  }

  await expectRecord({ problem: 'there is no link to the hub' }, 'waiting', 'there is no link to the hub');
  await expectRecord({ phase: 'running', pid: 1 }, 'running', null);
  await expectRecord({ phase: 'running', pid: 1, gateway: 'disconnected' }, 'running', null);
  await expectRecord({ phase: 'running', pid: 1, gateway: 'connected' }, 'connected', null);
  // What the gateway said of a process that is gone counts no more.
  await expectRecord({ gateway: 'connected', lastEnd: 'exited: exit 1' }, 'waiting', 'exited: exit 1');
});
