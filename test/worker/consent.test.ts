import { createHash } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import { ulid } from 'ulid';
import type { Action } from '#src/core/action.ts';
import { actionText } from '#src/core/action.ts';
import type { Asker } from '#src/core/policy.ts';
import type { UsedApproval } from '#src/protocol/approval.ts';
import type { Command, WorkerExit } from '#src/protocol/worker-api.ts';
import { createConsent } from '#src/worker/consent.ts';
import { type ExecOptions, exec, startWorker, type WorkerSetup, type WorkerUnderTest } from './worker-under-test.ts';

const NODE = 'f'.repeat(64);
const operator: Asker = { kind: 'operator', name: 'ann' };
const owner: Asker = { kind: 'chat', channel: 'telegram', sender: '1', owner: true };
const guest: Asker = { ...owner, sender: '2', owner: false };
const node: Asker = { kind: 'node', id: 'a'.repeat(64) };
const df: Action = { kind: 'exec', command: { argv: ['df'] } };

const approvalOf = (action: Action, changed: Partial<UsedApproval> = {}): UsedApproval => ({
  ...{ id: ulid(), by: 'telegram:1', node: NODE },
  action: createHash('sha256').update(actionText(action)).digest('hex'),
  ...changed,
});

describe('the node’s own word', () => {
  const ofHybrid = () => createConsent({ id: () => NODE, role: 'hybrid' });

  it('needs an approval for the owner’s chat, and takes none from those whom it denies', () => {
    for (const role of ['master', 'hybrid'] as const) {
      const consent = createConsent({ id: () => NODE, role });
      const kinds = [operator, owner, guest, node].map((asker) => [
        consent.judge({ asker, action: df }).kind,
        consent.judge({ asker, action: df, approval: approvalOf(df) }).kind,
      ]);
      expect(kinds).toEqual([
        ['allow', 'allow'],
        ['deny', 'allow'],
        ['deny', 'deny'],
        ['deny', 'deny'],
      ]);
    }
    const worker = createConsent({ id: () => NODE, role: 'worker' });
    expect(worker.judge({ asker: owner, action: df }).kind).toBe('allow');
    expect(worker.judge({ asker: guest, action: df }).kind).toBe('deny');
  });

  it.each<[string, Action, Partial<UsedApproval>]>([
    ['of another action', df, { action: 'b'.repeat(64) }],
    ['of another argv', { kind: 'exec', command: { argv: ['df', '-h'] } }, approvalOf(df)],
    ['of another folder', { kind: 'exec', command: { argv: ['df'], cwd: '/' } }, approvalOf(df)],
    ['of another environment', { kind: 'exec', command: { argv: ['df'], env: { A: '' } } }, approvalOf(df)],
    ['of a command for a file', { kind: 'read', path: 'df' }, approvalOf(df)],
    ['of another node', df, { node: 'e'.repeat(64) }],
    ['of no node', df, { node: '' }],
  ])('takes none %s', (_, action, changed) => {
    const approval = approvalOf(action, changed);
    expect(ofHybrid().judge({ asker: owner, action, approval })).toMatchObject({ kind: 'deny' });
  });

  it('takes each once, whatever it is for', () => {
    const consent = ofHybrid();
    const wanted = { asker: owner, action: df, approval: approvalOf(df) };
    expect(consent.judge(wanted).kind).toBe('allow');
    expect(consent.judge(wanted).kind).toBe('allow');
    consent.take(wanted);
    expect(consent.judge(wanted)).toEqual({ kind: 'deny', rule: 'the approval was used already' });
    const other: Action = { kind: 'read', path: '/a' };
    const forged = { asker: owner, action: other, approval: approvalOf(other, { id: wanted.approval.id }) };
    expect(consent.judge(forged).kind).toBe('deny');
  });

  it('forgets none of those that it took, however many come', () => {
    const consent = createConsent({ id: () => NODE, role: 'hybrid' }, 100);
    const all = Array.from({ length: 1000 }, (_, at) => {
      const id = ulid(1_000_000 + at);
      return { asker: owner, action: df, approval: approvalOf(df, { id }) };
    });
    for (const wanted of all) {
      expect(consent.judge(wanted).kind).toBe('allow');
      consent.take(wanted);
    }
    expect(all.filter((wanted) => consent.judge(wanted).kind === 'allow')).toEqual([]);
  });

  it('holds for the key that the node has now', () => {
    let id = NODE;
    const consent = createConsent({ id: () => id, role: 'hybrid' });
    const wanted = { asker: owner, action: df, approval: approvalOf(df) };
    id = 'e'.repeat(64);
    expect(consent.judge(wanted).kind).toBe('deny');
  });
});

describe('a hub that lies to a hybrid', () => {
  let worker: WorkerUnderTest | null = null;
  afterEach(async () => {
    await worker?.close();
  });

  async function asked(command: Partial<Command>, options: ExecOptions, setup: WorkerSetup = {}): Promise<WorkerExit> {
    worker ??= await startWorker({ role: 'hybrid', ...setup });
    return exec(worker.session, command, options).exit;
  }

  const argv = ['true'];
  const action: Action = { kind: 'exec', command: { argv } };

  it('has a command run by an approval of it', async () => {
    const approval = approvalOf(action);
    expect(await asked({ argv }, { asker: owner, approval })).toMatchObject({ kind: 'ended', exit: { exitCode: 0 } });
  });

  it.each<[string, Partial<Command>, UsedApproval | undefined]>([
    ['without an approval', { argv }, undefined],
    ['by one of another command', { argv }, approvalOf(df)],
    ['by one of another node', { argv }, approvalOf(action, { node: 'e'.repeat(64) })],
    ['by one without this folder', { argv, cwd: '/tmp' }, approvalOf(action)],
    ['by one without this variable', { argv, env: { LD_PRELOAD: '/tmp/x.so' } }, approvalOf(action)],
    ['as a line, by one of an argv', { shell: 'true' }, approvalOf(action)],
  ])('has nothing run %s', async (_, command, approval) => {
    worker = null;
    const options = approval === undefined ? { asker: owner } : { asker: owner, approval };
    expect(await asked(command, options)).toMatchObject({ kind: 'refused', outcome: 'denied' });
  });

  it('has nothing run twice by one approval, and a repeat of the first is answered with what became of it', async () => {
    worker = null;
    const approval = approvalOf(action);
    const id = ulid();
    await asked({ argv }, { asker: owner, approval, id });
    expect(await asked({ argv }, { asker: owner, approval })).toEqual({
      kind: 'refused',
      outcome: 'denied',
      reason: 'the approval was used already',
    });
    expect(await asked({ argv }, { asker: owner, approval, id })).toMatchObject({ kind: 'ended', replayed: true });
  });

  it('has nothing fed to a command that was approved, nor to any other of a chat', async () => {
    worker = null;
    const shell: Action = { kind: 'exec', command: { argv: ['sh'] } };
    const options = { asker: owner, approval: approvalOf(shell), stdin: true };
    expect(await asked({ argv: ['sh'] }, options)).toMatchObject({
      kind: 'refused',
      reason: expect.stringContaining('no input'),
    });
  });

  it('does not use up an approval that the node’s own settings are against', async () => {
    worker = null;
    const setup: WorkerSetup = { exec: { mode: 'allowlist', allow: [['df']], deny: [] } };
    const approval = approvalOf(action);
    expect(await asked({ argv }, { asker: owner, approval }, setup)).toMatchObject({
      reason: 'not on this node’s allow-list',
    });
    expect(await asked({ argv }, { asker: owner, approval }, setup)).toMatchObject({
      reason: 'not on this node’s allow-list',
    });
  });
});
