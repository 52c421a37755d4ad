import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { HandoffEvent } from '#src/core/handoff/event.ts';
import { MAX_ANSWER_BYTES, MAX_EVENT_BYTES, handoffSaidSchema } from '#src/protocol/handoffs.ts';
import { eventually } from '../../support/eventually.ts';
import { NODE_ID } from '../../support/handoff-daemon.ts';
import { startNode } from './node-under-test.ts';

const said = (events: readonly HandoffEvent[]): string =>
  events.map((event) => (event.type === 'text' ? event.text : '')).join('');

it('a long text is several events and stays whole; the answer is cut where it is too long', async () => {
  const text = '\u0000\u{1f600}é\n'.repeat(60_000);
  await using node = await startNode((run) => run.say(text));
  const { id } = await node.order();
  const events = await node.events(id);
  expect(said(events) === text).toBe(true);
  for (const event of events) {
    expect(Buffer.byteLength(JSON.stringify(event))).toBeLessThanOrEqual(MAX_EVENT_BYTES);
    expect(handoffSaidSchema.parse(event)).toEqual(event);
  }
  const end = events.at(-1);
  expect(end?.type === 'ended' && Buffer.byteLength(end.text)).toBeLessThanOrEqual(MAX_ANSWER_BYTES);
  expect(end).toMatchObject({ text: expect.stringContaining('the events hold all of it') });
});

it('what is more than is kept is counted, and the end is kept', async () => {
  const part = 'x'.repeat(10_000);
  await using node = await startNode(
    (run) => {
      for (let at = 0; at < 200; at++) run.tool('c', 'result', { result: part });
      return { text: 'done' };
    },
    { settings: { keepMaxBytes: 1_048_576 } },
  );
  const { id } = await node.order();
  const events = await node.events(id);
  expect(events.map(({ seq }) => seq)).toEqual(events.map((_, at) => at + 1));
  const tools = events.filter(({ type }) => type === 'tool').length;
  expect(events.at(-2)).toMatchObject({ type: 'gap', events: 200 - tools });
  expect(events.at(-1)).toMatchObject({ type: 'ended', text: 'done' });
  const file = join(node.folder, 'handoffs', `${id}-1`, 'events.ndjson');
  expect(readFileSync(file).length).toBeLessThanOrEqual(1_048_576);
});

it('a gateway that says strange things ends nothing', async () => {
  await using node = await startNode((run) => {
    run.tell('assistant', { text: 5 });
    run.tell('assistant', null);
    run.tell('tool', { phase: 'other' });
    run.tell('tool', {
      phase: 'result',
      name: 'n'.repeat(500),
      toolCallId: 'c',
      result: { content: [7, null, { text: 1 }] },
    });
    run.say('fine');
  });
  const events = await node.events((await node.order()).id);
  expect(events.at(-1)).toMatchObject({ outcome: 'completed', text: 'fine' });
  for (const event of events) handoffSaidSchema.parse(event);
});

it('a silence that is too long ends it, a deadline too, and one that waits for too long', async () => {
  const stopped = { status: 'timeout', stopReason: 'rpc', text: '' };
  await using node = await startNode(async (run) => {
    await run.aborted;
    return stopped;
  });
  const ends = async (order: object) => (await node.events((await node.order(order)).id)).at(-1);
  expect(await ends({ idleTimeoutMs: 50 })).toMatchObject({
    outcome: 'expired',
    problem: 'nothing was heard of it for 50 ms',
  });
  expect(await ends({ leftMs: 50 })).toMatchObject({ outcome: 'expired', problem: 'its deadline is over' });
  const filling = await Promise.all([1, 2, 3, 4].map(() => node.order()));
  await eventually('all run', () => node.gateway.running === 4);
  expect(await ends({ queueTimeoutMs: 50 })).toMatchObject({ seq: 1, outcome: 'expired' });
  await node.handoffs.endAll();
  for (const { body } of await Promise.all(filling.map(({ id }) => node.ask('GET', `/handoffs/${id}`)))) {
    expect(body).toMatchObject({ state: 'cancelled' });
  }
  expect(node.gateway.running).toBe(0);
});

it('what a gateway refuses has not begun, what fails there has failed', async () => {
  await using node = await startNode(() => ({ refusal: 'the model said no' }));
  const failed = await node.events((await node.order()).id);
  expect(failed.at(-1)).toMatchObject({ outcome: 'failed', problem: expect.stringContaining('the model said no') });
  node.gateway.refusal = 'unknown agent';
  const refused = await node.events((await node.order()).id);
  expect(refused).toMatchObject([
    { seq: 1, type: 'ended', outcome: 'failed', problem: expect.stringContaining('unknown agent') },
  ]);
});

it('an agent that is not there, a gateway that is gone and a lockdown are refused before anything is written', async () => {
  await using node = await startNode();
  expect(await node.order({ agent: 'nobody' })).toMatchObject({ status: 404, body: { code: 'AGENT_NOT_FOUND' } });
  expect(await node.order({ id: '../../../etc/passwd' })).toMatchObject({ status: 400, body: { code: 'USAGE' } });
  expect((await node.ask('POST', '/lockdown')).status).toBe(200);
  expect((await node.order()).body).toMatchObject({ code: 'LOCKED_DOWN' });
  await node.ask('DELETE', '/lockdown');
  await node.gateway.die();
  await eventually('it is noticed', async () => (await node.order()).body.code === 'GATEWAY_UNREACHABLE');
  expect(readdirSync(join(node.folder, 'handoffs'))).toEqual([]);
});

it('on a hybrid a chat’s owner needs an approval for this very task on this node, and it is used once', async () => {
  await using node = await startNode(() => ({ text: 'done' }), { role: 'hybrid' });
  const asker = { kind: 'chat', channel: 'telegram', sender: '1', owner: true } as const;
  expect((await node.order({ asker })).body).toMatchObject({ code: 'FORBIDDEN' });
  expect((await node.order({ asker: { ...asker, owner: false } })).body).toMatchObject({ code: 'FORBIDDEN' });
  const { actionText } = await import('#src/core/action.ts');
  const { createHash } = await import('node:crypto');
  const action = { kind: 'handoff', agent: 'main', task: 'do it', context: '', files: [] } as const;
  const hash = createHash('sha256').update(actionText(action)).digest('hex');
  const approval = { id: '01ARZ3NDEKTSV4RRFFQ69G5FAV', by: 'ann', action: hash, node: NODE_ID };
  expect((await node.order({ asker, approval, task: 'another' })).body).toMatchObject({ code: 'FORBIDDEN' });
  expect((await node.order({ asker, approval })).status).toBe(200);
  expect((await node.order({ asker, approval })).body).toMatchObject({ code: 'FORBIDDEN' });
});
