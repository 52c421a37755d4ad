import { expect, onTestFinished, test } from 'vitest';
import type { HubApi } from '#src/adapters/hub.ts';
import type { ArrivalsOptions } from '#src/cli/auto-register/arrivals.ts';
import { createArrivals } from '#src/cli/auto-register/arrivals.ts';
import { unfinishedText, usableText } from '#src/cli/auto-register/report.ts';
import { FederationError } from '#src/core/errors.ts';
import { fingerprint } from '#src/core/node.ts';
import type { OpenClawNodeView } from '#src/protocol/hub-api/openclaw-node.ts';
import type { Readiness } from '#src/protocol/hub-api/readiness.ts';
import { eventually } from '../support/eventually.ts';

const ID = '1a2b'.repeat(16);
const PI = { name: 'pi', fingerprint: fingerprint(ID) };
const HOUR_MS = 3600_000;

type Steps = Readiness['steps'];
const waiting = (waitsFor: string): Steps[number] => ({
  step: 'node-host',
  done: false,
  waitsFor,
  run: 'on pi: start it',
});
const done = (step: Steps[number]['step']): Steps[number] => ({ step, done: true, waitsFor: null, run: null });

/** A hub that knows of each node how far it is. */
function fakeHub({ holdsLists = false } = {}) {
  const steps = new Map<string, Steps | FederationError>();
  const openclaw: OpenClawNodeView[] = [];
  let asked = 0;
  const lists: PromiseWithResolvers<readonly OpenClawNodeView[]>[] = [];
  async function answer(path: string): Promise<unknown> {
    if (path === '/openclaw-nodes') {
      const list = Promise.withResolvers<readonly OpenClawNodeView[]>();
      if (!holdsLists) list.resolve(openclaw);
      return lists.push(list) && list.promise;
    }
    asked += 1;
    const [, word = ''] = /^\/nodes\/([^/]+)\/readiness$/.exec(path) ?? [];
    const found = steps.get(word) ?? new FederationError('NODE_NOT_FOUND', 'no such node');
    if (found instanceof FederationError) throw found;
    return { usable: found.every((step) => step.done), steps: found };
  }
  const hub = { ask: (_: string, path: string) => answer(path) } as HubApi;
  return { hub, steps, openclaw, asked: () => asked, lists };
}

function following(options: Partial<ArrivalsOptions> = {}, hub: { readonly holdsLists?: boolean } = {}) {
  const fake = fakeHub(hub);
  const said: string[] = [];
  const stopping = new AbortController();
  const arrivals = createArrivals({
    report: {
      usable: (node) => void said.push(usableText(node, 0)),
      unfinished: (node, why) => void said.push(unfinishedText(node, why)),
    },
    endsWhenTold: false,
    patienceMs: 0,
    ...options,
  });
  const run = () => {
    const running = arrivals.run(fake.hub, stopping.signal);
    onTestFinished(async () => {
      stopping.abort();
      await running.catch(() => undefined);
    });
    return running;
  };
  return { ...fake, said, arrivals, run };
}

const USABLE = 'usable pi (1a2b-1a2b-1a2b-1a2b), 0.0 s after it was let in';
const half = (waitsFor: string) =>
  `half-approved pi (1a2b-1a2b-1a2b-1a2b): step node-host waits for ${waitsFor}; on pi: start it`;

test('a node that is usable is told so, and followed no longer', async () => {
  const { arrivals, steps, said, run } = following();
  steps.set(PI.fingerprint, [done('admitted'), done('linked')]);
  arrivals.add(PI);
  void run();
  await eventually('it is told', () => said.length === 1);
  expect(said).toEqual([USABLE]);
  expect(arrivals.has(PI.fingerprint)).toBe(false);
});

test('an event of the node is what it is looked at for, and what stays the same is told once', async () => {
  const { arrivals, steps, said, run, asked } = following();
  steps.set(PI.fingerprint, [done('admitted'), waiting('it connects')]);
  void run();
  arrivals.add(PI);
  await eventually('it is told', () => said.length === 1);
  arrivals.changed(ID);
  await eventually('it is looked at again', () => asked() === 2);
  arrivals.changed('ff'.repeat(32));
  steps.set(PI.fingerprint, [waiting('something else'), waiting('it connects')]);
  arrivals.changed(ID);
  await eventually('the change is told', () => said.length === 2);
  steps.set(PI.fingerprint, [done('admitted')]);
  arrivals.changed(ID);
  await eventually('the end is told', () => said.length === 3);
  expect(said).toEqual([half('it connects'), half('something else'), USABLE]);
  expect(asked()).toBe(4);
});

test('nothing is told of what is missing as long as it may still come', async () => {
  const { arrivals, steps, said, run, asked } = following({ patienceMs: HOUR_MS });
  steps.set(PI.fingerprint, [waiting('it connects')]);
  arrivals.add(PI);
  void run();
  await eventually('it was looked at', () => asked() === 1);
  arrivals.changed(ID);
  await eventually('it was looked at again', () => asked() === 2);
  steps.set(PI.fingerprint, [done('admitted')]);
  arrivals.changed(ID);
  await eventually('it is usable', () => said.length > 0);
  expect(said).toEqual([USABLE]);
});

test('a node that has gone is followed no longer', async () => {
  const { arrivals, said, run } = following();
  arrivals.add(PI);
  void run();
  await eventually('it is forgotten', () => !arrivals.has(PI.fingerprint));
  expect(said).toEqual([]);
});

test('what the hub can’t tell is said in its words', async () => {
  const { arrivals, steps, said, run } = following();
  steps.set(PI.fingerprint, new FederationError('STORE_FAILED', 'the store failed', { hint: 'look at the disk' }));
  arrivals.add(PI);
  void run();
  await eventually('it is told', () => said.length === 1);
  expect(said).toEqual([
    'half-approved pi (1a2b-1a2b-1a2b-1a2b): it can’t be looked at: the store failed; look at the disk',
  ]);
});

test('a hub that is away ends it, and by the next all are looked at again', async () => {
  const { arrivals, steps, said, run } = following();
  steps.set(PI.fingerprint, new FederationError('HUB_UNREACHABLE', 'no hub answers'));
  arrivals.add(PI);
  await expect(run()).rejects.toMatchObject({ code: 'HUB_UNREACHABLE' });
  steps.set(PI.fingerprint, [done('admitted')]);
  void run();
  await eventually('it is usable', () => said.length === 1);
});

test('what the rules let in by halves before is found', async () => {
  const { openclaw, steps, said, run } = following();
  const mac = { ...PI, id: ID, platform: null, version: null, commands: [], lastSeenAt: null };
  const other = { ...mac, fingerprint: 'ffff-ffff-ffff-ffff' };
  openclaw.push(
    { ...mac, state: 'half-approved', approvedBy: 'auto-register' },
    { ...other, state: 'half-approved', approvedBy: 'ann' },
    { ...other, state: 'connected', approvedBy: 'auto-register' },
  );
  steps.set(PI.fingerprint, [waiting('it connects')]);
  void run();
  await eventually('it is told', () => said.length === 1);
  expect(said).toEqual([half('it connects')]);
});

test('what the rules let in by halves is found when the hub has its gateway again, though that is told early', async () => {
  const { arrivals, steps, said, run, lists } = following({}, { holdsLists: true });
  const mac = { ...PI, id: ID, platform: null, version: null, commands: [], lastSeenAt: null };
  const list = (state: OpenClawNodeView['state']) => [{ ...mac, state, approvedBy: 'auto-register' }];
  steps.set(PI.fingerprint, [waiting('it connects')]);
  void run();
  await eventually('it is asked for', () => lists.length === 1);
  // Before the answer, which may be older.
  arrivals.changed(ID);
  lists[0]?.resolve(list('unknown'));
  await eventually('it is asked for again', () => lists.length === 2);
  lists[1]?.resolve(list('unknown'));
  await lists[1]?.promise;
  arrivals.changed(ID);
  await eventually('it is asked for once more', () => lists.length === 3);
  lists[2]?.resolve(list('half-approved'));
  await eventually('it is told', () => said.length === 1);
  expect(said).toEqual([half('it connects')]);
  arrivals.changed('ff'.repeat(32));
  steps.set(PI.fingerprint, [done('admitted')]);
  arrivals.changed(ID);
  await eventually('it is usable', () => said.length === 2);
  // Of others nothing is asked.
  expect(lists).toHaveLength(3);
});

test('it ends when all was told, where that is enough', async () => {
  const { arrivals, steps, said, run } = following({ endsWhenTold: true });
  const nas = { name: 'nas', fingerprint: 'ffff-ffff-ffff-ffff' };
  steps.set(PI.fingerprint, [waiting('it connects')]);
  steps.set(nas.fingerprint, [done('admitted')]);
  arrivals.add(PI);
  arrivals.add(nas);
  await run();
  expect(said).toHaveLength(2);
});

test('names and words of others are one line each', () => {
  const name = 'Ann’s\n\tiPhone';
  expect(usableText({ ...PI, name }, 1234)).toBe(
    'usable Ann’s iPhone (1a2b-1a2b-1a2b-1a2b), 1.2 s after it was let in',
  );
});
