import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Part, Task } from '@a2a-js/sdk';
import { TaskState } from '@a2a-js/sdk';
import type { AgentExecutor, ExecutionEventBus, RequestContext } from '@a2a-js/sdk/server';
import { AgentEvent } from '@a2a-js/sdk/server';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { foreignRunner } from '#src/adapters/a2a/foreign-runner.ts';
import type { AgentRunner, RunEvent, RunOrder } from '#src/core/handoff/runner.ts';
import { foreignServer } from './foreign-server.ts';

let home = '';

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'ocf-foreign-'));
  await mkdir(join(home, 'out'));
});
afterEach(() => rm(home, { recursive: true }));

/** What an agent does with a message; its turn is over when this is. */
type Script = (says: Says) => Promise<void>;

interface Says {
  readonly request: RequestContext;
  readonly cancelled: Promise<void>;
  task(state: TaskState): void;
  status(state: TaskState, word?: string): void;
  artifact(id: string, part: Part, append?: boolean): void;
  reply(word: string): void;
}

const none = { metadata: undefined, filename: '', mediaType: '' };
const text = (value: string): Part => ({ content: { $case: 'text', value }, ...none });

function scripted(script: Script): AgentExecutor & { readonly runs: number } {
  let runs = 0;
  const cancelling = new Map<string, () => void>();
  return {
    get runs() {
      return runs;
    },
    async execute(request: RequestContext, bus: ExecutionEventBus) {
      runs += 1;
      const cancel = Promise.withResolvers<void>();
      const { taskId, contextId } = request;
      cancelling.set(taskId, cancel.resolve);
      const said = (word: string) => ({
        ...{ messageId: `${word}-${runs}`, taskId, contextId, role: 2, parts: [text(word)], metadata: undefined },
        ...{ extensions: [], referenceTaskIds: [] },
      });
      const standing = (state: TaskState, word?: string) => ({
        ...{ state, timestamp: new Date().toISOString() },
        message: word === undefined ? undefined : said(word),
      });
      await script({
        request,
        cancelled: cancel.promise,
        task(state) {
          const task: Task = {
            ...{ id: taskId, contextId, status: standing(state), artifacts: [], history: [], metadata: undefined },
          };
          bus.publish(AgentEvent.task(task));
        },
        status: (state, word) =>
          bus.publish(
            AgentEvent.statusUpdate({ taskId, contextId, status: standing(state, word), metadata: undefined }),
          ),
        artifact(artifactId, part, append = false) {
          const artifact = {
            artifactId,
            name: '',
            description: '',
            parts: [part],
            metadata: undefined,
            extensions: [],
          };
          const about = { taskId, contextId, append, lastChunk: false, metadata: undefined };
          bus.publish(AgentEvent.artifactUpdate({ ...about, artifact }));
        },
        reply: (word) => bus.publish(AgentEvent.message({ ...said(word), taskId: '' })),
      });
      bus.finished();
    },
    async cancelTask(taskId: string) {
      cancelling.get(taskId)?.();
    },
  };
}

function runnerFor(card: string, keyFile?: string): AgentRunner {
  return foreignRunner({
    agents: [{ id: 'planner', card, keyFile, tags: ['plans'], concurrency: 2 }],
    ...{ home, tasks: join(home, 'tasks'), out: () => join(home, 'out') },
  });
}

interface Ordered {
  readonly order: RunOrder;
  readonly events: RunEvent[];
  readonly stop: AbortController;
  readonly leave: AbortController;
  /** Resolves at the first event of that type. */
  until(type: RunEvent['type']): Promise<void>;
  texts(): string;
}

function ordered(more: Partial<RunOrder> = {}): Ordered {
  const [stop, leave] = [new AbortController(), new AbortController()];
  const events: RunEvent[] = [];
  const waiting: { type: string; resolve: () => void }[] = [];
  const order: RunOrder = {
    ...{ key: 'H1-1', agent: 'planner', handoff: 'H1', message: 'unused', stop: stop.signal, leave: leave.signal },
    onEvent(event) {
      events.push(event);
      for (const { type, resolve } of waiting) if (type === event.type) resolve();
    },
    work: { task: 'plan it', context: '', files: [], out: join(home, 'out') },
    ...more,
  };
  return {
    ...{ order, events, stop, leave },
    async until(type) {
      if (events.some((event) => event.type === type)) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      waiting.push({ type, resolve });
      await promise;
    },
    texts: () => events.map((event) => (event.type === 'text' ? event.text : '')).join(''),
  };
}

const WORKING = TaskState.TASK_STATE_WORKING;
const COMPLETED = TaskState.TASK_STATE_COMPLETED;

/** Says one word, and the other when `second` resolves. */
function oneAndTwo(second: Promise<void>): ReturnType<typeof scripted> {
  return scripted(async ({ task, artifact, status }) => {
    task(WORKING);
    artifact('a', text('one '));
    await second;
    artifact('a', text('two'), true);
    status(COMPLETED);
  });
}

describe.each(['1.0', '0.3'] as const)('by A2A %s', (version) => {
  test('a foreign agent gets the task with its files, and its words and files come back', async () => {
    let got: RequestContext | null = null;
    const executor = scripted(async ({ request, task, status, artifact }) => {
      got = request;
      task(WORKING);
      artifact('plan', text('one '));
      artifact('plan', text('two'), true);
      artifact('file', { ...none, content: { $case: 'raw', value: Buffer.from('x') }, filename: 'plan.md' });
      artifact('bad', { ...none, content: { $case: 'raw', value: Buffer.from('y') }, filename: '../../evil' });
      artifact('far', { ...none, content: { $case: 'url', value: 'http://127.0.0.1:1/secret' }, filename: 'far' });
      status(COMPLETED);
    });
    await using server = await foreignServer({ version, executor });
    await writeFile(join(home, 'key'), 'sesame\n', { mode: 0o600 });
    await writeFile(join(home, 'notes.txt'), 'notes');
    const runner = runnerFor(server.card, 'key');
    const files = [{ name: 'notes.txt', path: join(home, 'notes.txt') }];
    const run = ordered({ work: { task: 'plan it', context: 'by Friday', files, out: join(home, 'out') } });
    expect(await runner.run(run.order)).toEqual({
      ...{ kind: 'ended', outcome: 'completed', text: 'one two', usage: null, media: [] },
      problem: 'a file of the answer is elsewhere and was not fetched: http://127.0.0.1:1/secret',
    });
    expect(run.events[0]).toEqual({ type: 'started' });
    expect(run.texts()).toBe('one two');
    expect((await readdir(join(home, 'out'))).toSorted()).toEqual(['file-2', 'plan.md']);
    expect(await readFile(join(home, 'out', 'plan.md'), 'utf8')).toBe('x');
    const { userMessage } = got!;
    expect(userMessage.messageId).toBe('H1-1');
    expect(
      userMessage.parts.map(({ content, filename }) => [filename, Buffer.from(content?.value as string).toString()]),
    ).toEqual([
      ['', 'plan it\n\nWhat you should know beside it:\nby Friday'],
      ['notes.txt', 'notes'],
    ]);
    expect([...server.authorizations]).toEqual(['Bearer sesame']);
    expect(await readdir(join(home, 'tasks'))).toEqual([]);
  });

  test('an agent that only replies has answered', async () => {
    await using server = await foreignServer({ version, executor: scripted(async ({ reply }) => reply('hello')) });
    const run = ordered();
    expect(await runnerFor(server.card).run(run.order)).toMatchObject({ outcome: 'completed', text: 'hello' });
    expect(run.texts()).toBe('hello');
  });

  test('one that does not stream is asked until it is over', async () => {
    const go = Promise.withResolvers<void>();
    const executor = scripted(async ({ task, artifact, status }) => {
      task(WORKING);
      await go.promise;
      artifact('a', text('done'));
      status(COMPLETED);
    });
    await using server = await foreignServer({ version, executor, streaming: false });
    const run = ordered();
    const end = runnerFor(server.card).run(run.order);
    await run.until('started');
    go.resolve();
    expect(await end).toMatchObject({ kind: 'ended', outcome: 'completed', text: 'done' });
    expect(server.asked[0]).toBe('SendMessage');
    expect(new Set(server.asked.slice(1))).toEqual(new Set(['GetTask']));
  });

  test('a task goes on over a cut, and is begun once', async () => {
    const go = Promise.withResolvers<void>();
    const executor = oneAndTwo(go.promise);
    await using server = await foreignServer({ version, executor });
    const run = ordered();
    const end = runnerFor(server.card).run(run.order);
    await run.until('text');
    server.cut();
    go.resolve();
    expect(await end).toMatchObject({ kind: 'ended', outcome: 'completed', text: 'one two' });
    expect(run.texts()).toBe('one two');
    expect(executor.runs).toBe(1);
    expect(server.asked.filter((method) => method === 'SendStreamingMessage')).toHaveLength(1);
  });

  test('a daemon after this one follows the task, and tells the whole answer at its end', async () => {
    const go = Promise.withResolvers<void>();
    const executor = oneAndTwo(go.promise);
    await using server = await foreignServer({ version, executor });
    const first = ordered();
    const left = runnerFor(server.card).run(first.order);
    await first.until('text');
    first.leave.abort();
    expect(await left).toEqual({ kind: 'left' });
    const second = ordered();
    const end = runnerFor(server.card).attach(second.order);
    await second.until('started');
    go.resolve();
    expect(await end).toMatchObject({ kind: 'ended', outcome: 'completed', text: 'one two' });
    expect(second.texts()).toBe('');
    expect(executor.runs).toBe(1);
  });

  test('a cut before a task was named is lost, and nothing is sent again', async () => {
    const executor = scripted(async ({ task }) => task(WORKING));
    await using server = await foreignServer({ version, executor });
    server.mishap = (_, response) => {
      response.destroy();
      return true;
    };
    expect(await runnerFor(server.card).run(ordered().order)).toMatchObject({ kind: 'lost' });
    expect(server.asked).toEqual(['SendStreamingMessage']);
    expect(await runnerFor(server.card).attach(ordered().order)).toMatchObject({ kind: 'lost' });
  });

  test('a task that the server does not know any more is lost', async () => {
    await using server = await foreignServer({ version, executor: scripted(async () => undefined) });
    await mkdir(join(home, 'tasks'));
    await writeFile(join(home, 'tasks', 'H1-1'), 'gone');
    expect(await runnerFor(server.card).attach(ordered().order)).toMatchObject({ kind: 'lost' });
  });

  test('a stop cancels the task there', async () => {
    const executor = scripted(async ({ task, cancelled, status }) => {
      task(WORKING);
      await cancelled;
      status(TaskState.TASK_STATE_CANCELED);
    });
    await using server = await foreignServer({ version, executor });
    const run = ordered();
    const end = runnerFor(server.card).run(run.order);
    await run.until('started');
    run.stop.abort();
    expect(await end).toMatchObject({ kind: 'ended', outcome: 'cancelled' });
    expect(server.asked).toContain('CancelTask');
  });

  test.each<[string, Script, object]>([
    [
      'fails',
      async ({ task, status }) => (task(WORKING), status(TaskState.TASK_STATE_FAILED, 'no disk')),
      { outcome: 'failed', problem: 'no disk' },
    ],
    [
      'refuses',
      async ({ task, status }) => (task(WORKING), status(TaskState.TASK_STATE_REJECTED, 'not mine')),
      { outcome: 'failed', problem: 'not mine' },
    ],
    [
      'asks back',
      async ({ task, status, cancelled }) => {
        task(WORKING);
        status(TaskState.TASK_STATE_INPUT_REQUIRED, 'which one?');
        await cancelled;
        status(TaskState.TASK_STATE_CANCELED);
      },
      { outcome: 'failed', problem: 'the agent wants to know more, which nobody can tell it: which one?' },
    ],
  ])('an agent that %s has failed, and its words say why', async (_, script, end) => {
    await using server = await foreignServer({ version, executor: scripted(script) });
    expect(await runnerFor(server.card).run(ordered().order)).toMatchObject({ kind: 'ended', ...end });
  });

  test('what can’t be reached, or leads elsewhere, has not begun, and gets no key', async () => {
    const stranger: string[] = [];
    const elsewhere = createServer((request, response) => {
      stranger.push(String(request.headers.authorization));
      response.end();
    });
    elsewhere.listen(0, '127.0.0.1');
    await once(elsewhere, 'listening');
    const { port } = elsewhere.address() as AddressInfo;
    await writeFile(join(home, 'key'), 'sesame', { mode: 0o600 });
    const executor = scripted(async () => undefined);
    await using server = await foreignServer({ version, executor, elsewhere: `http://127.0.0.1:${port}/rpc` });
    const away = await runnerFor(server.card, 'key').run(ordered().order);
    expect(away).toMatchObject({ kind: 'not-started', problem: expect.stringContaining('leads away') });
    const gone = await runnerFor('http://127.0.0.1:1/card.json').run(ordered().order);
    expect(gone).toMatchObject({ kind: 'not-started', again: false });
    const unreadable = await runnerFor(server.card, 'no-such-key').run(ordered().order);
    expect(unreadable).toMatchObject({ kind: 'not-started', problem: expect.stringContaining('no-such-key') });
    expect(stranger).toEqual([]);
    elsewhere.close();
    elsewhere.closeAllConnections();
  });
});
