import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fingerprint } from '#src/core/node.ts';
import type { AuditView } from '#src/protocol/hub-api/audit.ts';
import type { JobView } from '#src/protocol/hub-api/job.ts';
import type { OperatorView } from '#src/protocol/hub-api/operator.ts';
import type { ApprovedView, PairingRequestView } from '#src/protocol/hub-api/pairing-request.ts';
import { bareNode } from '../support/bare-node.ts';
import { layCable } from '../support/cable.ts';
import { eventually } from '../support/eventually.ts';
import { fakeTailscaled, running } from '../support/fake-tailscaled.ts';
import type { Federation } from '../support/federation.ts';
import { startFederation } from '../support/federation.ts';
import { open } from '../support/http.ts';
import { newKey } from '../support/link.ts';
import type { EnteredOperator, OperatorOptions, TestOperator } from '../support/operator.ts';
import { operatorAt } from '../support/operator.ts';

let federation: Federation;

beforeAll(async () => {
  federation = await startFederation({ workers: 1 });
});

afterAll(() => federation[Symbol.asyncDispose]());

const waitingFor = (operator: TestOperator, at = federation): Promise<PairingRequestView> =>
  eventually('it waits', async () => {
    const pending = await at.pending();
    return pending.find((one) => one.fingerprint === fingerprint(operator.key.id));
  });

const approve = (operator: TestOperator, replace = false, at = federation): Promise<ApprovedView> =>
  at.post(`/pairing-requests/${operator.key.id}/approve`, { replace });

/** One that a person has let in. */
async function letIn(options: OperatorOptions = {}, at = federation) {
  const operator = operatorAt(at.hub, options);
  const entering = operator.enter({ login: true });
  await waitingFor(operator, at);
  await approve(operator, false, at);
  return { operator, entered: await entering };
}

async function audited(action: string, at = federation): Promise<AuditView[]> {
  return (await at.get<AuditView[]>('/audit?limit=10000')).filter((record) => record.action === action);
}

const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'none',
    (error: unknown) => String((error as { code?: string }).code),
  );

describe('a person on another machine', () => {
  test('waits in the one list, is let in by the one approval, and operates under a name of their own', async () => {
    const operator = operatorAt(federation.hub, { name: 'desk' });
    const entering = operator.enter({ login: true });
    const request = await waitingFor(operator);
    expect(request).toMatchObject({ kind: 'operator', name: 'desk', role: 'operator', held: null, expiresAt: null });
    expect(request.risks).toEqual(['can do all that you can do here']);
    expect(operator.waits).toEqual([null]);
    expect(await approve(operator)).toMatchObject({ kind: 'operator', id: operator.key.id, replaced: [] });
    await using entered = await entering;
    expect(entered.name).toBe('desk');
    expect((await entered.ask('GET', '/status')).status).toBe(200);
    await entered.ask('POST', '/jobs', { kind: 'exec', targets: ['w1'], command: { argv: ['true'] } });
    expect((await federation.get<JobView[]>('/jobs'))[0]).toMatchObject({ by: 'desk@loopback', summary: { ok: 1 } });
    expect((await audited('operator.approve')).at(-1)?.detail).toMatchObject({ operator: 'desk', id: operator.key.id });
    // Known from now on: a command needs nobody any more.
    await using again = await operator.enter({ login: false });
    expect((await again.ask('GET', '/operators')).json).toMatchObject([
      { name: 'desk', approvedBy: expect.any(String) },
    ]);
  });

  test('is known to the hub after it was started anew', async () => {
    await using other = await startFederation();
    const { operator, entered } = await letIn({}, other);
    await other.restartHub();
    expect(entered.lost.aborted).toBe(true);
    await using again = await operatorAt(other.hub, { key: operator.key }).enter({ login: false });
    expect((await again.ask('GET', '/nodes')).status).toBe(200);
  });

  test('may close the laptop while it waits, and is in the next time', async () => {
    const operator = operatorAt(federation.hub, { name: 'closed' });
    const leaving = new AbortController();
    const entering = codeOf(operator.enter({ login: true }, leaving.signal));
    await waitingFor(operator);
    leaving.abort();
    expect(await entering).toBe('LINK_LOST');
    await eventually('it is said when that ends', async () => (await waitingFor(operator)).expiresAt !== null);
    await approve(operator);
    await using entered = await operator.enter({ login: false });
    expect(entered.name).toBe('closed');
  });

  test('is refused at once while nobody has said yes, unless it asks to be let in', async () => {
    const operator = operatorAt(federation.hub, { name: 'early' });
    expect(await codeOf(operator.enter({ login: false }))).toBe('UNAUTHENTICATED');
    expect((await federation.pending()).some(({ name }) => name === 'early')).toBe(false);
  });

  test('that was rejected hears it, and is not asked about again', async () => {
    const operator = operatorAt(federation.hub, { name: 'no' });
    const entering = codeOf(operator.enter({ login: true }));
    await waitingFor(operator);
    await federation.post(`/pairing-requests/${operator.key.id}/reject`);
    expect(await entering).toBe('FORBIDDEN');
    expect(await codeOf(operator.enter({ login: true }))).toBe('FORBIDDEN');
    expect((await waitingFor(operator)).rejected).toBe(true);
  });

  test('that says something else each time writes the audit full neither before nor after it is rejected', async () => {
    const key = newKey();
    const asked = async () => (await audited('operator.ask')).filter(({ detail }) => detail['id'] === key.id).length;
    async function knock(round: number): Promise<string> {
      const operator = operatorAt(federation.hub, { name: round % 2 === 0 ? 'this' : 'that', key });
      const leaving = new AbortController();
      const entering = codeOf(operator.enter({ login: true }, leaving.signal));
      const waits = eventually('it waits', () => operator.waits.length > 0).then(() => 'waits');
      const outcome = await Promise.race([entering, waits.catch(() => 'silent')]);
      leaving.abort();
      await entering;
      return outcome;
    }
    expect([await knock(0), await knock(1), await knock(2), await knock(4)]).toEqual([
      'waits',
      'waits',
      'HELD',
      'HELD',
    ]);
    expect(await asked()).toBe(2);
    await federation.post(`/pairing-requests/${key.id}/reject`);
    expect([await knock(5), await knock(6)]).toEqual(['FORBIDDEN', 'FORBIDDEN']);
    expect(await asked()).toBe(2);
  });

  test('is let in by no rule', async () => {
    const operator = operatorAt(federation.hub, { name: 'ruled' });
    const leaving = new AbortController();
    const entering = codeOf(operator.enter({ login: true }, leaving.signal));
    const { id } = await waitingFor(operator);
    const judged = await federation.post(`/pairing-requests/${id}/judge`, { approveEverything: true });
    expect(judged).toMatchObject({ done: 'nothing' });
    leaving.abort();
    await entering;
    expect(await codeOf(operator.enter({ login: false }))).toBe('UNAUTHENTICATED');
  });
});

describe('a revoked operator', () => {
  test('is out at once: its connection, its streams and their jobs', async () => {
    const { operator, entered } = await letIn({ name: 'gone' });
    const { credential } = entered;
    const headers = { authorization: `Bearer ${credential}`, 'content-type': 'application/json' };
    const job = { kind: 'exec', targets: ['w1'], command: { argv: ['sleep', '100'] } };
    const tcp = { host: '127.0.0.1', port: federation.hub.port, headers };
    const stream = await open({ ...tcp, method: 'POST', path: '/api/v1/jobs' }, JSON.stringify(job));
    const events = await open({ ...tcp, path: '/api/v1/events' });
    const cut = [stream, events].map(
      (response) => new Promise<void>((resolve) => response.on('error', () => resolve()).resume()),
    );
    await federation.post('/operators/gone/revoke');
    await Promise.all(cut);
    await eventually('it hears of it', () => entered.lost.aborted);
    expect(entered.lost.reason).toMatchObject({ code: 'REVOKED' });
    const [last] = await eventually('its job has ended', async () => {
      const jobs = await federation.get<JobView[]>('/jobs');
      return jobs[0]!.endedAt === null ? null : jobs;
    });
    expect(last).toMatchObject({ by: 'gone@loopback', summary: { cancelled: 1 } });
    expect((await entered.ask('GET', '/nodes')).status).toBe(401);
    expect(await codeOf(operator.enter({ login: false }))).toBe('REVOKED');
  });

  test('that asks again is held, and comes back by a person who says so twice', async () => {
    const { operator } = await letIn({ name: 'back' });
    await federation.post('/operators/back/revoke');
    const entering = operator.enter({ login: true });
    expect((await waitingFor(operator)).held).toBe('it was the operator back, and was revoked');
    await expect(approve(operator)).rejects.toMatchObject({ code: 'HELD' });
    await approve(operator, true);
    await using entered = await entering;
    expect(entered.name).toBe('back');
  });

  test('may have been itself: it still gets the answer', async () => {
    const { operator, entered } = await letIn({ name: 'self' });
    expect((await entered.ask('POST', `/operators/${operator.key.id}/revoke`)).status).toBe(200);
    await eventually('its connection ends', () => entered.lost.aborted);
    expect((await audited('operator.revoke')).at(-1)).toMatchObject({ by: 'self@loopback' });
  });
});

describe('who has the credential', () => {
  let entered: EnteredOperator;

  beforeAll(async () => {
    ({ entered } = await letIn({ name: 'holder' }));
  });

  test('has it for as long as the connection lives, and a moment longer', async () => {
    const { entered: short } = await letIn({ name: 'short' });
    expect((await short.ask('GET', '/nodes')).status).toBe(200);
    short.close();
    await eventually('it is good no more', async () => (await short.ask('GET', '/nodes')).status === 401);
  });

  test('has it for nothing from another address', async () => {
    expect((await entered.ask('GET', '/nodes', undefined, '127.0.0.9')).status).toBe(401);
    expect((await entered.ask('GET', '/nodes')).status).toBe(200);
  });

  test.each([
    ['GET', '/node-host'],
    ['POST', '/node-host/setup-code'],
    ['POST', '/node/key'],
  ])('has it for no route of nodes: %s %s', async (method, path) => {
    const { status, json } = await entered.ask(method, path, method === 'POST' ? {} : undefined);
    expect({ status, json }).toMatchObject({ status: 403, json: { code: 'FORBIDDEN' } });
  });

  test('has it for no host or page but the hub’s own', async () => {
    const authorization = `Bearer ${entered.credential}`;
    for (const headers of [{ host: 'evil.example' }, { origin: 'http://127.0.0.1' }]) {
      const tcp = { host: '127.0.0.1', port: federation.hub.port, path: '/api/v1/nodes' };
      expect((await open({ ...tcp, headers: { ...headers, authorization } })).statusCode).toBe(403);
    }
  });

  test('finds it in no log', () => {
    expect(federation.logs.length).toBeGreaterThan(0);
    expect(federation.logs.filter((line) => line.includes(entered.credential))).toEqual([]);
  });

  test('can’t open a carrier or a link with it', async () => {
    const socket = connect(federation.hub.port, '127.0.0.1');
    socket.write(
      `GET /operator HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nAuthorization: Bearer ${entered.credential}\r\n\r\n`,
    );
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 400 /);
    socket.destroy();
  });
});

describe('one key', () => {
  test('of a node is no operator’s', async () => {
    const key = newKey();
    await using node = bareNode(federation.hub, { name: 'both', key, token: await federation.token({}) });
    await node.welcome();
    expect(await codeOf(operatorAt(federation.hub, { key }).enter({ login: true }))).toBe('FORBIDDEN');
  });

  test('of an operator is no node’s', async () => {
    const { operator } = await letIn({ name: 'person' });
    await using node = bareNode(federation.hub, { key: operator.key, token: await federation.token({}) });
    expect(await node.refusal()).toBe('FORBIDDEN');
  });

  test('in place of another under the same name is held, and --replace puts the former out', async () => {
    const { operator: former, entered } = await letIn({ name: 'shared' });
    const operator = operatorAt(federation.hub, { name: 'shared' });
    const entering = operator.enter({ login: true });
    expect((await waitingFor(operator)).held).toBe('the name shared belongs to another operator');
    await expect(approve(operator)).rejects.toMatchObject({ code: 'HELD' });
    expect(await approve(operator, true)).toMatchObject({ replaced: [former.key.id] });
    await using now = await entering;
    expect(now.name).toBe('shared');
    await eventually('the former is out', () => entered.lost.aborted);
  });
});

test('thousands of knocks by unknown keys fill neither the list nor the disk, and shut out nobody who is known', async () => {
  await using other = await startFederation();
  const { operator } = await letIn({ name: 'known' }, other);
  const leaving = new AbortController();
  const codes = new Map<string, number>();
  const knocks = Array.from({ length: 100 }, async () => {
    for (let count = 0; count < 100; count += 1) {
      const stranger = operatorAt(other.hub, { name: 'stranger' });
      const code = await codeOf(stranger.enter({ login: true }, leaving.signal));
      codes.set(code, (codes.get(code) ?? 0) + 1);
    }
  });
  await eventually('the list is full', async () => (await other.pending()).length === 16);
  await using entered = await operator.enter({ login: false });
  expect((await entered.ask('GET', '/status')).status).toBe(200);
  await eventually('the others were told', () => (codes.get('PENDING_FULL') ?? 0) > 1000, 60_000);
  expect((await other.pending()).length).toBe(16);
  leaving.abort();
  await Promise.all(knocks);
  expect(await audited('operator.ask', other).then(({ length }) => length)).toBeLessThanOrEqual(32);
}, 120_000);

describe('in a tailnet', () => {
  const LAPTOP = '127.0.9.1';
  const THIEF = '127.0.9.2';
  const GUEST = '127.0.9.3';
  const TAGGED = '127.0.9.4';
  const identity = (id: string, user: string | null, tags: readonly string[] = []) => ({
    Node: { StableID: id, Name: `${id}.tail.lab.`, Tags: tags.length === 0 ? null : tags },
    UserProfile: { LoginName: user ?? 'tagged-devices' },
  });

  async function startTailnet(admins: string[]) {
    const tailscaled = await fakeTailscaled(running(['127.0.77.1']));
    tailscaled.identities.set(LAPTOP, identity('nLaptop', 'ann@example.com'));
    tailscaled.identities.set(THIEF, identity('nThief', 'ann@example.com'));
    tailscaled.identities.set(GUEST, identity('nGuest', 'guest@example.com'));
    tailscaled.identities.set(TAGGED, identity('nTagged', null, ['tag:ops']));
    const hub = { hub: { tailnet: true, admins }, tailscale: { socket: tailscaled.socket } };
    const tailnet = await startFederation({ hub });
    const cables = new Map<string, Awaited<ReturnType<typeof layCable>>>();
    return {
      federation: tailnet,
      async from(address: string, options: OperatorOptions = {}) {
        const cable = cables.get(address) ?? (await layCable(() => tailnet.hub.port, address));
        cables.set(address, cable);
        return operatorAt(tailnet.hub, { ...options, port: cable.port, from: address });
      },
      async [Symbol.asyncDispose]() {
        await Promise.all([...cables.values()].map((cable) => cable.close()));
        await tailnet[Symbol.asyncDispose]();
        await tailscaled[Symbol.asyncDispose]();
      },
    };
  }

  test('nobody may log in before an admin is named, and the error says what to write', async () => {
    await using tailnet = await startTailnet([]);
    const operator = await tailnet.from(LAPTOP);
    await expect(operator.enter({ login: true })).rejects.toMatchObject({
      code: 'FORBIDDEN',
      message: 'only a machine of the federation’s admins may operate, and this one is of ann@example.com',
      hint: 'on the master in settings.yaml, under hub: admins: ["ann@example.com"], then restart federation-hub',
    });
    expect(await tailnet.federation.pending()).toEqual([]);
  });

  test('an admin’s machine may, also by its tag; any other may not, and not from outside', async () => {
    await using tailnet = await startTailnet(['Ann@Example.com', 'tag:ops']);
    const operator = await tailnet.from(LAPTOP, { name: 'ann' });
    const entering = operator.enter({ login: true });
    await waitingFor(operator, tailnet.federation);
    await approve(operator, false, tailnet.federation);
    await using entered = await entering;
    await entered.ask('POST', '/tokens', {});
    expect((await audited('token.create', tailnet.federation)).at(-1)?.by).toBe(
      'ann@nLaptop.tail.lab (ann@example.com)',
    );
    const [view] = await tailnet.federation.get<OperatorView[]>('/operators');
    expect(view).toMatchObject({ name: 'ann', tailnet: { stableId: 'nLaptop', user: 'ann@example.com' } });

    const tagged = await tailnet.from(TAGGED, { name: 'ops' });
    const waiting = codeOf(tagged.enter({ login: true }));
    expect(await waitingFor(tagged, tailnet.federation)).toMatchObject({ tailnet: { tags: ['tag:ops'] } });
    await tailnet.federation.post(`/pairing-requests/${tagged.key.id}/reject`);
    expect(await waiting).toBe('FORBIDDEN');

    expect(await codeOf((await tailnet.from(GUEST)).enter({ login: true }))).toBe('FORBIDDEN');
    expect(await codeOf(operatorAt(tailnet.federation.hub).enter({ login: true }))).toBe('FORBIDDEN');
    // The key of one who may is worth nothing on the machine of one who may not.
    expect(await codeOf((await tailnet.from(GUEST, { key: operator.key })).enter({ login: false }))).toBe('FORBIDDEN');
  });

  test('a key from another machine of an admin is refused and shown, and moves by --replace alone', async () => {
    await using tailnet = await startTailnet(['ann@example.com']);
    const own = await tailnet.from(LAPTOP, { name: 'ann' });
    const entering = own.enter({ login: true });
    await waitingFor(own, tailnet.federation);
    await approve(own, false, tailnet.federation);
    await using entered = await entering;

    const thief = await tailnet.from(THIEF, { name: 'ann', key: own.key });
    expect(await codeOf(thief.enter({ login: false }))).toBe('UNAUTHENTICATED');
    const request = await waitingFor(thief, tailnet.federation);
    expect(request.held).toBe('it is the operator ann, and asks from the machine nThief instead of its own machine');
    expect(await audited('operator.quarantine', tailnet.federation)).toHaveLength(1);
    expect((await entered.ask('GET', '/nodes')).status).toBe(200);

    await expect(approve(thief, false, tailnet.federation)).rejects.toMatchObject({ code: 'HELD' });
    await approve(thief, true, tailnet.federation);
    await eventually('the former machine is out', () => entered.lost.aborted);
    await using moved = await thief.enter({ login: false });
    expect((await moved.ask('GET', '/nodes')).status).toBe(200);
    expect(await codeOf(own.enter({ login: false }))).toBe('UNAUTHENTICATED');
  });
});
