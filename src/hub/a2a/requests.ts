import type { AgentCard, SendMessageRequest, StreamResponse, Task } from '@a2a-js/sdk';
import { TaskNotCancelableError, UnsupportedOperationError } from '@a2a-js/sdk/errors';
import type { A2ARequestHandler } from '@a2a-js/sdk/server';
import { FederationError } from '#src/core/errors.ts';
import { isOver } from '#src/core/handoff/state.ts';
import type { Asker } from '#src/core/policy.ts';
import { askerText } from '#src/core/policy.ts';
import type { Conversations } from '#src/hub/a2a/conversations.ts';
import { malformed, notPushed, refusalFor } from '#src/hub/a2a/refusal.ts';
import { pageOf } from '#src/hub/a2a/task-list.ts';
import { taskOf, updatesOf } from '#src/hub/a2a/task.ts';
import { wishOf } from '#src/hub/a2a/wish.ts';
import type { HandoffDesk, HandoffHead } from '#src/hub/handoffs/desk.ts';
import type { HandoffView } from '#src/protocol/handoffs.ts';

/** One request of a program for one agent. */
export interface A2aRequest {
  readonly desk: HandoffDesk;
  readonly conversations: Conversations;
  readonly asker: Asker;
  /** `node/agent` */
  readonly target: string;
  readonly card: AgentCard;
  readonly filesUrl: (id: string) => string;
  /** Seq after which the program wants to hear; null where it named none. */
  readonly after: number | null;
  /** Aborted when the program is gone, or the hub stops. */
  readonly signal: AbortSignal;
}

/** What A2A offers of the handoffs that the program itself asked of this agent; it sees no others. */
export function requestHandler(request: A2aRequest): A2ARequestHandler {
  const { desk, conversations, asker, target, card, filesUrl, after, signal } = request;
  const isOwn = (view: HandoffHead): boolean => view.asker === askerText(asker) && view.target === target;
  const task = (view: HandoffView): Task => taskOf(view, filesUrl(view.id));

  async function own(id: string): Promise<HandoffView> {
    const view = await desk.get(id, asker);
    if (isOwn(view)) return view;
    throw new FederationError('HANDOFF_NOT_FOUND', 'there is no such task');
  }

  async function begin({ message }: SendMessageRequest): Promise<HandoffView> {
    if (message === undefined) throw malformed('params.message: there is none');
    if (message.taskId !== '') {
      await own(message.taskId);
      throw new UnsupportedOperationError('a task takes one message: send another without a taskId');
    }
    if (message.parts.some(({ content }) => content?.$case === 'url')) {
      throw malformed('nothing is fetched from a URL: send the content itself');
    }
    const wish = wishOf(message, target);
    const { view } = await conversations.once(askerText(asker), wish.key, () => desk.create(wish, asker));
    return view;
  }

  async function* told(view: HandoffView): AsyncGenerator<StreamResponse, void, undefined> {
    yield { payload: { $case: 'task', value: task(view) } };
    for await (const followed of await desk.follow(view.id, after ?? 0, asker, signal)) {
      if (followed.kind === 'event') yield* updatesOf(followed.event, view, filesUrl(view.id));
    }
  }

  async function ended(view: HandoffView): Promise<HandoffView> {
    for await (const followed of await desk.follow(view.id, view.seq, asker, signal)) {
      if (followed.kind === 'standing' && isOver(followed.view.state)) break;
    }
    return desk.get(view.id, asker);
  }

  const noPush = (): Promise<never> => Promise.reject(notPushed());

  return {
    getAgentCard: () => Promise.resolve(card),
    getAuthenticatedExtendedAgentCard: () =>
      Promise.reject(new UnsupportedOperationError('there is no other card than the public one')),
    sendMessage: (wanted) =>
      refusing(async () => {
        const view = await begin(wanted);
        return task(wanted.configuration?.returnImmediately === true ? view : await ended(view));
      }),
    sendMessageStream: (wanted) => refusingStream(async () => told(await begin(wanted))),
    getTask: ({ id }) => refusing(async () => task(await own(id))),
    listTasks: (wanted) =>
      refusing(async () => {
        const { page, ...counts } = pageOf(desk.heads(asker).filter(isOwn), wanted);
        const tasks = (await Promise.all(page.map(({ id }) => desk.get(id, asker)))).map(task);
        return { ...counts, tasks: wanted.includeArtifacts === true ? tasks : tasks.map(withoutArtifacts) };
      }),
    cancelTask: ({ id }) =>
      refusing(async () => {
        const view = await own(id);
        if (view.state === 'cancelled') return task(view);
        if (isOver(view.state)) throw new TaskNotCancelableError('the task is over');
        return task(await desk.cancel(id, asker));
      }),
    resubscribe: ({ id }) =>
      refusingStream(async () => {
        const view = await own(id);
        // Whoever says what it has already gets the rest also afterwards.
        if (isOver(view.state) && after === null) throw new UnsupportedOperationError('the task is over: get it');
        return told(view);
      }),
    createTaskPushNotificationConfig: noPush,
    getTaskPushNotificationConfig: noPush,
    listTaskPushNotificationConfigs: noPush,
    deleteTaskPushNotificationConfig: noPush,
  };
}

async function refusing<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw refusalFor(error);
  }
}

async function* refusingStream(
  begin: () => Promise<AsyncGenerator<StreamResponse, void, undefined>>,
): AsyncGenerator<StreamResponse, void, undefined> {
  try {
    yield* await begin();
  } catch (error) {
    throw refusalFor(error);
  }
}

function withoutArtifacts(task: Task): Task {
  return { ...task, artifacts: [] };
}
