import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { HubRecord } from '#src/core/hub-record.ts';
import type { AuditView } from '#src/protocol/hub-api/audit.ts';
import type { NodeView } from '#src/protocol/hub-api/node.ts';
import type { PairingRequestView } from '#src/protocol/hub-api/pairing-request.ts';
import type { Status } from '#src/protocol/hub-api/status.ts';
import type { Federation } from './federation.ts';
import { startFederation } from './federation.ts';
import type { CommandName, Running } from './place.ts';
import { until } from './until.ts';

const NAMES = Array.from({ length: 20 }, (_, index) => `pi-${index + 1}`);
const WITHIN_MS = 120_000;

/** A join token that lets nobody in by itself, and whoever brought it by the rules. */
const RULES = `
maxPerHour: 100
rules:
  - { name: pis, when: { token: pis, role: worker }, then: approve, labels: { kind: pi }, groups: [pis] }
`;

describe('twenty machines that appear at once', { timeout: 2 * WITHIN_MS }, () => {
  let federation: Federation;
  let running: Set<Running>;

  beforeEach(async () => {
    federation = await startFederation({ workers: 1 });
    running = new Set();
  });
  afterEach(async () => {
    for (const one of running) one.kill('SIGTERM');
    await Promise.all([...running].map(({ ended }) => ended));
    await federation.stop();
  });

  function start(command: CommandName, args: readonly string[]): Running {
    const started = federation.place.start(command, args);
    running.add(started);
    return started;
  }

  async function appear(names: readonly string[], token: string | null): Promise<void> {
    const { address, port } = JSON.parse(await readFile(join(federation.home, 'hub.json'), 'utf8')) as HubRecord;
    for (const name of names) {
      const home = federation.place.file(name);
      await mkdir(home, { mode: 0o700 });
      if (token !== null) await writeFile(join(home, 'join-token'), token, { mode: 0o600 });
      start('federation-worker', ['--home', home, '--name', name, '--hub', `${address}:${port}`]);
    }
  }

  const listed = () => federation.ask<NodeView[]>('list').catch(() => [] as NodeView[]);
  const waiting = () => federation.ask<PairingRequestView[]>('pending').catch(() => [] as PairingRequestView[]);
  const untilAll = (what: string, look: () => Promise<readonly { name: string }[]>) =>
    until(
      `all twenty ${what}`,
      async () => {
        const names = new Set((await look()).map(({ name }) => name));
        return NAMES.every((name) => names.has(name));
      },
      WITHIN_MS,
    );
  const untilAllOnline = () =>
    untilAll('are online', async () => (await listed()).filter(({ state }) => state === 'online'));

  /** Each of them runs what it is told to, under its own name, and is a member once. */
  async function expectAllUsable(): Promise<void> {
    const { exitCode, stdout, stderr } = await federation.manage(['broadcast', '--yes', '--', 'echo', 'usable']);
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
    const said = stdout.split('\n').filter((line) => line.includes(': usable'));
    expect(said.toSorted()).toEqual([...NAMES, 'w1'].map((name) => `${name}: usable`).toSorted());
    const names = (await listed()).map(({ name }) => name).filter((name) => name.startsWith('pi-'));
    expect(names.toSorted()).toEqual(NAMES.toSorted());
    expect(await federation.ask('audit', 'verify')).toMatchObject({ whole: true });
  }

  async function useRules(): Promise<string> {
    await writeFile(join(federation.home, 'approval-policy.yaml'), RULES);
    await until('the rules', async () => (await federation.ask<Status>('status')).policy.state === 'loaded');
    const argv = ['token', 'create', '--by-rules', 'pis', '--uses', '20'];
    return (await federation.manage(argv)).stdout.trim();
  }

  const figure = (what: string, from: number) =>
    process.stderr.write(`figure: ${what}: ${((performance.now() - from) / 1000).toFixed(1)} s\n`);

  it('are all usable by the rules, each once, with the labels of the rule', async () => {
    const token = await useRules();
    start('auto-register', ['--watch', '--home', federation.home]);
    const from = performance.now();
    await appear(NAMES, token);
    await untilAllOnline();
    await expectAllUsable();
    figure('twenty light workers, started at once, usable by auto-register --watch', from);
    const members = (await listed()).filter(({ name }) => name.startsWith('pi-'));
    expect(members.every(({ labels, groups }) => labels['kind'] === 'pi' && groups.includes('pis'))).toBe(true);
    expect(await waiting()).toEqual([]);
  });

  it('are all usable by one approve of twenty names', async () => {
    const from = performance.now();
    await appear(NAMES, null);
    await untilAll('wait', waiting);
    figure('twenty light workers, started at once, listed in pending', from);
    const approvedFrom = performance.now();
    const approved = await federation.manage(['approve', ...NAMES]);
    expect(approved).toMatchObject({ exitCode: 0 });
    await expectAllUsable();
    figure('twenty light workers usable by one approve, from its call on', approvedFrom);
  });

  it('are all usable, none twice, when the hub is killed in the middle', async () => {
    const token = await useRules();
    start('auto-register', ['--watch', '--home', federation.home]);
    const from = performance.now();
    await appear(NAMES.slice(0, 10), token);
    const pid = await federation.pidOf('hub');
    const isIn = ({ name }: NodeView) => name.startsWith('pi-');
    await until('the first is in', async () => (await listed()).some(isIn), WITHIN_MS);
    process.kill(pid, 'SIGKILL');
    await appear(NAMES.slice(10), token);
    await until('another hub', async () => {
      const next = await federation.findPid('hub');
      return next !== null && next !== pid;
    });
    await untilAllOnline();
    await expectAllUsable();
    figure('twenty light workers usable by auto-register --watch, with the hub killed in the middle', from);
    const audit = await federation.ask<AuditView[]>('audit', '--limit', '1000');
    const approvals = audit.filter(({ action, by }) => action === 'node.approve' && by === 'auto-register');
    expect(approvals.map(({ detail }) => String(detail['node'])).toSorted()).toEqual(NAMES.toSorted());
  });
});
