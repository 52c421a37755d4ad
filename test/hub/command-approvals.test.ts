import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ulid } from 'ulid';
import { FederationError } from '#src/core/errors.ts';
import type { ChatAsker } from '#src/core/policy.ts';
import { actionHash } from '#src/hub/approvals/action-detail.ts';
import type { Wish } from '#src/hub/approvals/command-approvals.ts';
import { createCommandApprovals } from '#src/hub/approvals/command-approvals.ts';
import type { CommandApprovalState, Verdicts, VerdictsCreate } from '#src/protocol/action.ts';
import { ASKER_HEADER, encodeAsker } from '#src/protocol/asker.ts';
import type { AuditView } from '#src/protocol/hub-api/audit.ts';
import type { JobCreate, JobView } from '#src/protocol/hub-api/job.ts';
import { chatAt, OWNER } from '../support/chat.ts';
import { eventually } from '../support/eventually.ts';
import type { Federation } from '../support/federation.ts';
import { startFederation } from '../support/federation.ts';
import { open } from '../support/http.ts';

/** The same person, in another chat. */
const PHONE: ChatAsker = { kind: 'chat', channel: 'discord', sender: 'ann', owner: true };

let federation: Federation;

beforeAll(async () => {
  federation = await startFederation({ workers: 1, hub: { hub: { approvalSeconds: 60 } } });
  for (const name of ['laptop', 'studio']) {
    const token = await federation.token({ role: 'hybrid' });
    await federation.start(name, { settings: { role: 'hybrid' }, token });
  }
  await federation.untilOnline('laptop', 'studio');
});

afterAll(() => federation[Symbol.asyncDispose]());

/** What a test has asked for and left open must not be in the way of the next. */
beforeEach(async () => {
  await federation.post('/lockdown', {});
  await federation.post('/lockdown/lift');
});

const COMMAND = { argv: ['echo', 'a b'] } as const;
const wish = (changed: Partial<VerdictsCreate> = {}): VerdictsCreate => ({
  targets: ['laptop'],
  action: { kind: 'exec', command: { argv: [...COMMAND.argv] } },
  ...changed,
});
const job = (changed: Partial<JobCreate> = {}): JobCreate => ({
  kind: 'exec',
  targets: ['laptop'],
  command: { argv: [...COMMAND.argv] },
  ...changed,
});

async function asked(changed: Partial<VerdictsCreate> = {}, who = OWNER): Promise<NonNullable<Verdicts['approval']>> {
  const { approval } = await chatAt(federation.hub, who).verdicts(wish(changed));
  if (approval === null) throw new Error('nobody has to be asked');
  return approval;
}

async function allowed(changed: Partial<VerdictsCreate> = {}): Promise<string> {
  const { id } = await asked(changed);
  expect((await chatAt(federation.hub).decide(id, 'allow-once')).status).toBe(200);
  return id;
}

const run = (changed: Partial<JobCreate>, who = OWNER) => chatAt(federation.hub, who).run(job(changed));

async function audited(action: string): Promise<AuditView[]> {
  return (await federation.get<AuditView[]>('/audit?limit=10000')).filter((record) => record.action === action);
}

describe('on a hybrid', () => {
  test('a command waits for the owner, is shown whole, runs once, and all of it is in the audit', async () => {
    await expect(run({})).rejects.toMatchObject({
      code: 'APPROVAL_NEEDED',
      message: 'the owner has to allow this on laptop',
    });
    const verdicts = await chatAt(federation.hub).verdicts(wish());
    const { id: node } = await federation.show('laptop');
    const rule = 'the owner approves each command on a hybrid';
    expect(verdicts.targets).toEqual([{ node: 'laptop', id: node, online: true, verdict: 'approval', rule }]);
    const { id, question, expiresAt } = verdicts.approval!;
    expect(question).toBe(`on laptop (hybrid): run: echo 'a b'`);
    expect(Date.parse(expiresAt)).toBeGreaterThan(Date.now());
    await expect(run({ approval: id })).rejects.toMatchObject({
      code: 'APPROVAL_NEEDED',
      message: 'nobody has allowed this yet',
    });

    const answer = await chatAt(federation.hub, PHONE).decide(id, 'allow-once');
    expect(answer).toMatchObject({
      status: 200,
      json: { id, state: 'allowed', by: 'the gateway, for discord:ann', asker: 'telegram:1001' },
    });
    const done = await run({ targets: [node], approval: id });
    expect([done.outputs[0]?.stdout, done.ended?.summary]).toEqual(['a b\n', { ok: 1 }]);
    await expect(run({ approval: id })).rejects.toMatchObject({ code: 'APPROVAL_OVER' });

    const [view] = await federation.get<JobView[]>('/jobs?limit=1');
    expect(view).toMatchObject({
      by: 'telegram:1001',
      approvedBy: 'the gateway, for discord:ann',
      command: `echo 'a b'`,
    });
    const ask = (await audited('approval.ask')).at(-1)!;
    const allow = (await audited('approval.allow')).at(-1)!;
    const start = (await audited('job.start')).at(-1)!;
    expect(ask).toMatchObject({
      by: 'telegram:1001',
      detail: { approval: id, command: `echo 'a b'`, targets: [{ rule }] },
    });
    expect(allow).toMatchObject({
      by: 'the gateway, for discord:ann',
      detail: { approval: id, asker: 'telegram:1001', nodes: [node] },
    });
    expect(start).toMatchObject({
      detail: { approval: { id, by: 'the gateway, for discord:ann' }, targets: [{ id: node, rule }] },
    });
    expect(new Set([ask.detail['sha256'], allow.detail['sha256'], start.detail['sha256']]).size).toBe(1);
    expect(ask.seq < allow.seq && allow.seq < start.seq).toBe(true);
  });

  test('an operator needs none, and is told so', async () => {
    expect((await federation.run(['laptop'], 'true')).ended?.summary).toEqual({ ok: 1 });
    const id = await allowed();
    const answer = await federation.ask('POST', '/jobs', job({ approval: id }));
    expect(answer).toMatchObject({ status: 400, json: { code: 'USAGE' } });
    const { approval, targets } = await federation.post<Verdicts>('/verdicts', wish({ targets: 'all' }));
    expect([approval, targets.map(({ verdict }) => verdict)]).toEqual([null, ['allow', 'allow', 'allow']]);
  });

  test('an operator may answer, too', async () => {
    const { id } = await asked();
    const answer = await federation.post<CommandApprovalState>(`/command-approvals/${id}`, { decision: 'deny' });
    expect(answer.state).toBe('denied');
    await expect(run({ approval: id })).rejects.toMatchObject({ code: 'APPROVAL_OVER' });
  });

  test('one question is for all of the nodes that are meant, those that need none included', async () => {
    const targets = ['w1', 'laptop', 'studio'];
    const { targets: judged, approval } = await chatAt(federation.hub).verdicts(wish({ targets }));
    expect(judged.map(({ node, verdict }) => `${node} ${verdict}`)).toEqual([
      'w1 allow',
      'laptop approval',
      'studio approval',
    ]);
    await chatAt(federation.hub).decide(approval!.id, 'allow-once');
    await expect(run({ targets: ['w1', 'laptop'], approval: approval!.id })).rejects.toMatchObject({
      code: 'APPROVAL_NEEDED',
    });
    const done = await run({ kind: 'broadcast', targets: judged.map(({ id }) => id), approval: approval!.id });
    expect(done.ended?.summary).toEqual({ ok: 3 });
  });

  test('nothing of a job runs anywhere while one of its nodes needs an answer', async () => {
    const before = (await federation.get<JobView[]>('/jobs?limit=1000')).length;
    await expect(run({ kind: 'broadcast', targets: 'all' })).rejects.toMatchObject({
      code: 'APPROVAL_NEEDED',
      message: 'the owner has to allow this on laptop, studio',
    });
    expect((await federation.get<JobView[]>('/jobs?limit=1000')).length).toBe(before);
  });

  test('a time limit is no other command', async () => {
    const approval = await allowed();
    expect((await run({ command: { argv: [...COMMAND.argv], timeoutMs: 5000 }, approval })).ended?.summary).toEqual({
      ok: 1,
    });
  });
});

describe('an approval is of no use', () => {
  test.each<[string, Partial<JobCreate>, ChatAsker]>([
    ['for another argv', { command: { argv: ['echo', 'a', 'b'] } }, OWNER],
    ['for more words', { command: { argv: ['echo', 'a b', '; rm'] } }, OWNER],
    ['for a line that looks the same', { command: { shell: `echo 'a b'` } }, OWNER],
    ['in another folder', { command: { argv: ['echo', 'a b'], cwd: '/' } }, OWNER],
    ['with a variable', { command: { argv: ['echo', 'a b'], env: { LD_PRELOAD: '/tmp/x.so' } } }, OWNER],
    ['on another node', { targets: ['studio'] }, OWNER],
    ['on another node beside it', { targets: ['laptop', 'studio'] }, OWNER],
    ['on all', { targets: 'all' }, OWNER],
    ['for another sender', {}, { ...OWNER, sender: '1003' }],
    ['for another chat', {}, PHONE],
    ['for another agent', {}, { ...OWNER, agent: 'other' }],
    ['for another session', {}, { ...OWNER, session: 'agent:main:other' }],
  ])('%s, and still good for what it is for', async (_, changed, who) => {
    const approval = await allowed();
    await expect(run({ ...changed, approval }, who)).rejects.toMatchObject({ code: 'APPROVAL_NEEDED' });
    expect((await run({ approval })).ended?.summary).toEqual({ ok: 1 });
  });

  test('on a worker, which needs none: what is given has to fit', async () => {
    const approval = await allowed();
    await expect(run({ targets: ['w1'], approval })).rejects.toMatchObject({ code: 'APPROVAL_NEEDED' });
    expect((await run({ approval })).ended?.summary).toEqual({ ok: 1 });
    await expect(run({ targets: ['w1'], approval: '0'.repeat(26) })).rejects.toMatchObject({ code: 'APPROVAL_NEEDED' });
  });

  test.each([
    ['that nobody knows', '0'.repeat(26), 'APPROVAL_NEEDED'],
    ['that is none', '../../jobs', 'USAGE'],
  ])('%s', async (_, approval, code) => {
    await expect(run({ approval })).rejects.toMatchObject({ code });
  });

  test('twice, also at the same moment', async () => {
    const approval = await allowed();
    const both = await Promise.allSettled([run({ approval }), run({ approval }), run({ approval })]);
    expect(both.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  test('after it was denied', async () => {
    const { id } = await asked();
    await chatAt(federation.hub).decide(id, 'deny');
    await expect(run({ approval: id })).rejects.toMatchObject({
      code: 'APPROVAL_OVER',
      message: 'it was denied by the gateway, for telegram:1001',
    });
  });

  test('after a lockdown, though it was allowed before', async () => {
    const [yes, open] = [await allowed(), (await asked()).id];
    await federation.post('/lockdown', {});
    expect((await run({ approval: yes })).results[0]).toMatchObject({ outcome: 'denied' });
    await federation.post('/lockdown/lift');
    await expect(run({ approval: yes })).rejects.toMatchObject({ code: 'APPROVAL_OVER' });
    expect((await chatAt(federation.hub).decide(open, 'allow-once')).status).toBe(409);
  });

  test('to whom the hub has forgotten it, which it does when it is started anew', async () => {
    const [yes, open] = [await allowed(), (await asked()).id];
    await federation.restartHub();
    await federation.untilOnline('w1', 'laptop', 'studio');
    await expect(run({ approval: yes })).rejects.toMatchObject({
      code: 'APPROVAL_NEEDED',
      hint: expect.stringContaining('started anew'),
    });
    expect(await chatAt(federation.hub).decide(open, 'allow-once')).toMatchObject({
      status: 404,
      json: { code: 'REQUEST_NOT_FOUND', hint: expect.stringContaining('started anew') },
    });
  });
});

describe('an answer', () => {
  test('counts once: of many at the same moment one is taken, and the others hear that they are late', async () => {
    const { id } = await asked();
    const decide = (decision: 'allow-once' | 'deny') => chatAt(federation.hub, PHONE).decide(id, decision);
    const answers = await Promise.all([decide('deny'), decide('allow-once'), decide('deny'), decide('allow-once')]);
    expect(answers.map(({ status }) => String(status)).toSorted()).toEqual(['200', '409', '409', '409']);
    const taken = answers.find(({ status }) => status === 200)!.json as CommandApprovalState;
    const late = await chatAt(federation.hub).decide(id, 'allow-once');
    const how = taken.state === 'allowed' ? 'allowed' : 'denied';
    expect(late).toMatchObject({
      status: 409,
      json: { code: 'APPROVAL_OVER', message: `it was ${how} by the gateway, for discord:ann already` },
    });
  });

  test('is not somebody else’s to give', async () => {
    const { id } = await asked();
    const guest = chatAt(federation.hub, { ...OWNER, sender: '1002', owner: false });
    expect((await guest.decide(id, 'allow-once')).status).toBe(403);
    await expect(run({ approval: id })).rejects.toMatchObject({ message: 'nobody has allowed this yet' });
  });

  test.each([{}, { decision: 'allow-always' }, { decision: 'allow-once', more: 1 }])('is no %j', async (body) => {
    const { id } = await asked();
    expect((await chatAt(federation.hub).ask('POST', `/command-approvals/${id}`, body)).status).toBe(400);
  });

  test('is told to all who show the question', async () => {
    const headers = { [ASKER_HEADER]: encodeAsker(PHONE) };
    const response = await open({ socketPath: federation.hub.plugin!, path: '/api/v1/events', headers });
    let text = '';
    response.on('data', (chunk: Buffer) => (text += chunk.toString()));
    response.on('error', () => undefined);
    const id = await allowed();
    await run({ approval: id });
    const states = await eventually('all of it is told', () => {
      const events = [...text.matchAll(/^event: command-approval\ndata: (.*)$/gm)];
      const told = events.map(([, data]) => JSON.parse(data!) as CommandApprovalState).filter((one) => one.id === id);
      return told.length === 3 ? told.map(({ state }) => state) : null;
    });
    expect(states).toEqual(['pending', 'allowed', 'used']);
    response.destroy();
  });
});

test('more questions than a person answers are refused, and those that wait can be answered all the same', async () => {
  const first = await asked();
  const owner = chatAt(federation.hub);
  const some = await Promise.all(Array.from({ length: 300 }, () => owner.ask('POST', '/verdicts', wish())));
  expect(Object.groupBy(some, ({ status }) => status)[200]).toHaveLength(99);
  expect(some.find(({ status }) => status === 429)?.json).toMatchObject({ code: 'PENDING_FULL' });
  expect((await owner.decide(first.id, 'deny')).status).toBe(200);
  expect((await asked()).id).not.toBe(first.id);
});

describe('ten thousand questions', () => {
  const keeper = (commit: () => Promise<void>) =>
    createCommandApprovals({ store: { commit }, createId: () => ulid(), lifeMs: 60_000 });
  const asking: Wish = {
    asker: OWNER,
    action: { kind: 'read', path: '/a' },
    question: 'on laptop (hybrid): read the file /a',
    nodes: [{ node: 'laptop', id: 'a'.repeat(64), rule: 'approval' }],
  };

  test('are a hundred', async () => {
    let records = 0;
    const approvals = keeper(async () => void (records += 1));
    const all = await Promise.allSettled(Array.from({ length: 10_000 }, () => approvals.ask(asking)));
    expect(all.filter(({ status }) => status === 'fulfilled')).toHaveLength(100);
    expect(records).toBe(100);
    approvals.endAll();
  });

  test('that were answered are remembered for a while, and then no more', async () => {
    const approvals = keeper(async () => undefined);
    const ids: string[] = [];
    for (let times = 0; times < 10_000; times += 1) {
      const { id } = await approvals.ask(asking);
      await approvals.answer(id, 'deny', 'ann');
      ids.push(id);
    }
    const codes = await Promise.all(
      ids.map((id) => approvals.answer(id, 'deny', 'ann').catch((error: unknown) => (error as { code: string }).code)),
    );
    expect(codes.slice(0, 9000).every((code) => code === 'REQUEST_NOT_FOUND')).toBe(true);
    expect(codes.at(-1)).toBe('APPROVAL_OVER');
  });

  test('that could not be recorded are none, and an answer that could not be allows nothing', async () => {
    let isFull = true;
    const approvals = keeper(async () => {
      if (isFull) throw new FederationError('STORE_FAILED', 'the disk is full');
    });
    const refused = await Promise.allSettled(Array.from({ length: 10_000 }, () => approvals.ask(asking)));
    expect(refused.every(({ status }) => status === 'rejected')).toBe(true);
    isFull = false;
    const { id } = await approvals.ask(asking);
    isFull = true;
    await expect(approvals.answer(id, 'allow-once', 'ann')).rejects.toMatchObject({ code: 'STORE_FAILED' });
    const use = { asker: OWNER, action: actionHash(asking.action), nodes: ['a'.repeat(64)] };
    expect(() => approvals.use(id, use)).toThrow('nobody has allowed');
    isFull = false;
    expect(await approvals.answer(id, 'allow-once', 'ann')).toMatchObject({ state: 'allowed' });
    expect(approvals.use(id, use).by).toBe('ann');
  });
});

test.each<[string, Partial<VerdictsCreate>]>([
  ['a command', { action: { kind: 'exec', command: { argv: ['echo', 'x'.repeat(3000)] } } }],
  ['a tool', { action: { kind: 'tool', tool: 'browser', args: { text: 'x'.repeat(3000) } } }],
])('%s that is too long to be shown whole is not asked for', async (_, changed) => {
  await expect(asked(changed)).rejects.toMatchObject({ code: 'PAYLOAD_TOO_LARGE' });
});

test.each<[string, unknown]>([
  ['no body', undefined],
  ['no action', { targets: ['laptop'] }],
  ['an action that is none', { targets: ['laptop'], action: { kind: 'reboot' } }],
  ['no targets', { targets: [], action: { kind: 'read', path: '/a' } }],
  ['a path with a NUL', { targets: ['laptop'], action: { kind: 'read', path: '/a\0b' } }],
  ['more than is known', { ...wish(), force: true }],
])('a question with %s is refused', async (_, body) => {
  expect((await chatAt(federation.hub).ask('POST', '/verdicts', body)).status).toBe(400);
});

test('an approval ends by itself, pending or allowed, and that is told', async () => {
  await using short = await startFederation({ hub: { hub: { approvalSeconds: 0.3 } } });
  const token = await short.token({ role: 'hybrid' });
  await short.start('laptop', { settings: { role: 'hybrid' }, token });
  await short.untilOnline('laptop');
  const owner = chatAt(short.hub);
  const headers = { [ASKER_HEADER]: encodeAsker(PHONE) };
  const response = await open({ socketPath: short.hub.plugin!, path: '/api/v1/events', headers });
  let text = '';
  response.on('data', (chunk: Buffer) => (text += chunk.toString()));
  response.on('error', () => undefined);
  const expired = (id: string) =>
    eventually('it is over', () =>
      text.split('\n').some((line) => line.includes(id) && line.includes('"state":"expired"')) ? true : null,
    );
  const { approval: late } = await owner.verdicts(wish());
  await expired(late!.id);
  expect(await owner.decide(late!.id, 'allow-once')).toMatchObject({
    status: 409,
    json: { message: 'its time is over' },
  });
  const { approval } = await owner.verdicts(wish());
  expect((await owner.decide(approval!.id, 'allow-once')).status).toBe(200);
  await expired(approval!.id);
  await expect(owner.run(job({ approval: approval!.id }))).rejects.toMatchObject({ code: 'APPROVAL_OVER' });
  response.destroy();
});
