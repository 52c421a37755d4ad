import type { Artifact, Message, Part, StreamResponse, Task } from '@a2a-js/sdk';
import { Role, TaskState } from '@a2a-js/sdk';
import { A2A_EXTENSION } from '#src/core/handoff/foreign.ts';
import type { Artefact, HandoffEvent, ToolDeed } from '#src/core/handoff/event.ts';
import type { HandoffState } from '#src/core/handoff/state.ts';
import { contextOf } from '#src/hub/a2a/wish.ts';
import type { HandoffView } from '#src/protocol/handoffs.ts';

/** The artifact that holds what the agent says; those of files are named as these are, with `file:` before it. */
const ANSWER = 'answer';

const STATES = {
  waiting: TaskState.TASK_STATE_SUBMITTED,
  placed: TaskState.TASK_STATE_SUBMITTED,
  started: TaskState.TASK_STATE_WORKING,
  completed: TaskState.TASK_STATE_COMPLETED,
  failed: TaskState.TASK_STATE_FAILED,
  cancelled: TaskState.TASK_STATE_CANCELED,
  // A2A has no words for these two; the metadata and the message of the status say which it is.
  expired: TaskState.TASK_STATE_FAILED,
  lost: TaskState.TASK_STATE_FAILED,
} as const satisfies Readonly<Record<HandoffState, TaskState>>;

export function taskStateOf(state: HandoffState): TaskState {
  return STATES[state];
}

/** When something of it was last another than before, as far as that is kept. */
export function changedAt({
  createdAt,
  startedAt,
  endedAt,
}: Pick<HandoffView, 'createdAt' | 'startedAt' | 'endedAt'>): string {
  return endedAt ?? startedAt ?? createdAt;
}

/** A handoff as A2A sees it. `filesUrl` is where the files of its answer are. */
export function taskOf(view: HandoffView, filesUrl: string): Task {
  const { id, state, seq, position, deadline, attempt, usage, cancelling } = view;
  const message = view.problem === null || state === 'completed' ? [] : [text(view.problem)];
  const answer = view.text === null || view.text === '' ? [] : [artifact(ANSWER, text(view.text))];
  return {
    id,
    contextId: contextOf(view),
    status: { ...statusOf(view, seq, message), state: STATES[state], timestamp: changedAt(view) },
    artifacts: [...answer, ...view.artefacts.map((file) => fileArtifact(file, filesUrl))],
    history: [],
    metadata: { [A2A_EXTENSION]: { seq, state, position, deadline, attempt, usage, cancelling } },
  };
}

/**
 * An event of a handoff as one or two of A2A: the last alone has the seq, so that whoever was cut off between them gets
 * both again. What is told twice replaces what was told before.
 */
export function updatesOf(event: HandoffEvent, view: HandoffView, filesUrl: string): StreamResponse[] {
  const ids = { taskId: view.id, contextId: contextOf(view) };
  const say = (part: Part, append: boolean, lastChunk: boolean, metadata?: Metadata): StreamResponse => ({
    payload: {
      $case: 'artifactUpdate',
      value: { ...ids, artifact: artifact(ANSWER, part), append, lastChunk, metadata },
    },
  });
  const stand = (state: HandoffState, parts: readonly Part[] = []): StreamResponse => ({
    payload: {
      $case: 'statusUpdate',
      value: {
        ...ids,
        status: { ...statusOf(view, event.seq, parts), state: STATES[state], timestamp: undefined },
        metadata: event.type === 'ended' ? endOf(event) : seqOf(event),
      },
    },
  });
  switch (event.type) {
    case 'started':
      // An empty answer to add to, in the place of one that another attempt began.
      return [say(text(''), false, false), stand('started')];
    case 'text':
      return [say(text(event.text), true, false, seqOf(event))];
    case 'tool':
      return [stand('started', [data(toolOf(event))])];
    case 'artefact': {
      const value = { ...ids, artifact: fileArtifact(event, filesUrl), append: false, lastChunk: true };
      return [{ payload: { $case: 'artifactUpdate', value: { ...value, metadata: seqOf(event) } } }];
    }
    case 'gap':
      return [stand('started', [text(`${event.events} events were not kept`)])];
    case 'restarted':
      return [stand('placed', [text('it is begun anew on another node; what came before is of no account')])];
    case 'ended': {
      const answer = event.text === '' ? [] : [say(text(event.text), false, true)];
      return [...answer, stand(event.outcome, event.problem === null ? [] : [text(event.problem)])];
    }
  }
}

/** The seq that an update carries; null for the first of two. */
export function seqIn(result: unknown): number | null {
  const { statusUpdate, artifactUpdate } = result as Readonly<Record<string, Updated | undefined>>;
  return (statusUpdate ?? artifactUpdate)?.metadata?.[A2A_EXTENSION]?.seq ?? null;
}

interface Updated {
  readonly metadata?: Readonly<Record<string, { readonly seq?: number } | undefined>>;
}

type Metadata = Record<string, object> | undefined;

function seqOf({ seq }: HandoffEvent): Metadata {
  return { [A2A_EXTENSION]: { seq } };
}

function endOf({ seq, outcome, usage }: HandoffEvent & { readonly type: 'ended' }): Metadata {
  return { [A2A_EXTENSION]: { seq, state: outcome, usage } };
}

/** What it does, and not what it read or wrote there: that is the node's, and who asks over A2A is none of ours. */
function toolOf({ call, name, phase, failed }: ToolDeed) {
  return { tool: { call, name, phase, failed } };
}

function statusOf(view: HandoffView, seq: number, parts: readonly Part[]): { message: Message | undefined } {
  if (parts.length === 0) return { message: undefined };
  return {
    message: {
      ...{ messageId: `${view.id}-${seq}`, taskId: view.id, contextId: contextOf(view), role: Role.ROLE_AGENT },
      ...{ parts: [...parts], metadata: undefined, extensions: [], referenceTaskIds: [] },
    },
  };
}

function artifact(artifactId: string, part: Part, name = ''): Artifact {
  return { artifactId, name, description: '', parts: [part], metadata: undefined, extensions: [] };
}

function fileArtifact({ name, size, sha256 }: Artefact, filesUrl: string): Artifact {
  const url = `${filesUrl}/${encodeURIComponent(name)}`;
  const part: Part = {
    content: { $case: 'url', value: url },
    metadata: undefined,
    filename: name,
    mediaType: 'application/octet-stream',
  };
  return { ...artifact(`file:${name}`, part, name), metadata: { [A2A_EXTENSION]: { size, sha256 } } };
}

function text(value: string): Part {
  return { content: { $case: 'text', value }, metadata: undefined, filename: '', mediaType: 'text/plain' };
}

function data(value: object): Part {
  return { content: { $case: 'data', value }, metadata: undefined, filename: '', mediaType: 'application/json' };
}
