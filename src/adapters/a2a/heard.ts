import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Artifact, Message, Part, StreamResponse, Task } from '@a2a-js/sdk';
import { TaskState } from '@a2a-js/sdk';
import { A2A_EXTENSION } from '#src/core/handoff/foreign.ts';
import { isArtefactName } from '#src/core/handoff/event.ts';
import type { RunEnd, RunEvent } from '#src/core/handoff/runner.ts';

/** Of everything that a run says. */
const MAX_TEXT = 16 << 20;
const MAX_FILES = 100;
/** Of all files of an answer; a node keeps no more of a whole handoff. */
const MAX_FILE_BYTES = 64 << 20;
const MAX_ARTIFACTS = 200;
const MAX_ARTIFACT_ID = 200;
/** Files elsewhere that are named. */
const MAX_PROBLEMS = 10;

/** What was heard of a task so far, from however many streams. */
export interface Heard {
  taskId(): string | null;
  /** Of the last update that had one. */
  seq(): number | null;
  take(update: StreamResponse): void;
  /** As it was asked for: it has all, but not what was said in between. */
  takeTask(task: Task): void;
  /** Writes the files that came, and says how it ended; null where it has not. */
  end(): Promise<(RunEnd & { readonly kind: 'ended' }) | null>;
  /** What it wants from whoever asked, in words; null where it wants nothing. */
  wants(): string | null;
}

const OUTCOMES: ReadonlyMap<TaskState, 'completed' | 'failed' | 'cancelled'> = new Map([
  [TaskState.TASK_STATE_COMPLETED, 'completed'],
  [TaskState.TASK_STATE_FAILED, 'failed'],
  [TaskState.TASK_STATE_REJECTED, 'failed'],
  [TaskState.TASK_STATE_CANCELED, 'cancelled'],
]);
const WANTING = [TaskState.TASK_STATE_INPUT_REQUIRED, TaskState.TASK_STATE_AUTH_REQUIRED];

/**
 * `out`: where files of the answer go. `isLate`: somebody else heard the beginning, so that what is said is not told
 * again, and only the whole answer at the end.
 */
export function createHeard(out: string, onEvent: (event: RunEvent) => void, isLate = false): Heard {
  const texts = new Map<string, string>();
  const files = new Map<string, Buffer>();
  const problems = new Set<string>();
  let ended: (RunEnd & { readonly kind: 'ended' }) | null = null;
  let fileBytes = 0;
  let id: string | null = null;
  let seq: number | null = null;
  let state = TaskState.TASK_STATE_UNSPECIFIED;
  let word = '';
  let isStarted = false;
  let size = 0;

  function start(): void {
    if (!isStarted) onEvent({ type: 'started' });
    isStarted = true;
  }

  function keepText(artifact: string, text: string, append: boolean): void {
    const before = texts.get(artifact) ?? '';
    const now = append ? before + text : text;
    if (!texts.has(artifact) && texts.size >= MAX_ARTIFACTS) return;
    size += now.length - before.length;
    if (size > MAX_TEXT) {
      problems.add('the agent said more than is kept');
      size -= now.length - before.length;
      return;
    }
    texts.set(artifact, now);
    // What is told whole at the end was told before, as a rule.
    const fresh = now.startsWith(before) ? now.slice(before.length) : now;
    if (fresh !== '') onEvent(isLate ? { type: 'alive' } : { type: 'text', text: fresh });
  }

  function keepArtifact({ artifactId, parts }: Artifact, append: boolean): void {
    const text = textOf(parts);
    const artifact = artifactId.slice(0, MAX_ARTIFACT_ID);
    if (text !== '' || (!append && texts.has(artifact))) keepText(artifact, text, append);
    for (const part of parts) keepFile(part);
  }

  function keepFile({ content, filename }: Part): void {
    if (content?.$case === 'url' && problems.size < MAX_PROBLEMS) {
      problems.add(`a file of the answer is elsewhere and was not fetched: ${cut(content.value, 200)}`);
    }
    if (content?.$case !== 'raw') return;
    const name = isArtefactName(filename) ? filename : `file-${files.size + 1}`;
    const bytes = fileBytes + content.value.length - (files.get(name)?.length ?? 0);
    if ((files.size >= MAX_FILES && !files.has(name)) || bytes > MAX_FILE_BYTES) {
      problems.add('the answer has more files than are kept');
      return;
    }
    fileBytes = bytes;
    files.set(name, content.value);
  }

  function stand(status: Task['status']): void {
    state = status?.state ?? state;
    if (status?.message !== undefined) word = textOf(status.message.parts);
    if (state !== TaskState.TASK_STATE_SUBMITTED) start();
    onEvent({ type: 'alive' });
  }

  function reply({ parts }: Message): void {
    start();
    keepArtifact({ artifactId: '', parts } as unknown as Artifact, false);
    state = TaskState.TASK_STATE_COMPLETED;
  }

  function takeTask(task: Task): void {
    id ??= task.id;
    stand(task.status);
    for (const artifact of task.artifacts) keepArtifact(artifact, false);
  }

  return {
    taskId: () => id,
    seq: () => seq,
    take({ payload }) {
      switch (payload?.$case) {
        case 'task':
          takeTask(payload.value);
          break;
        case 'message':
          reply(payload.value);
          break;
        case 'statusUpdate':
          seq = seqOf(payload.value.metadata) ?? seq;
          stand(payload.value.status);
          break;
        case 'artifactUpdate':
          seq = seqOf(payload.value.metadata) ?? seq;
          start();
          if (payload.value.artifact !== undefined) keepArtifact(payload.value.artifact, payload.value.append);
          break;
        case undefined:
      }
    },
    takeTask,
    async end() {
      const outcome = OUTCOMES.get(state);
      if (outcome === undefined) return null;
      if (ended !== null) return ended;
      start();
      for (const [name, bytes] of files) await writeFile(join(out, name), bytes, { flag: 'wx', mode: 0o600 });
      const said = [...texts.values()].filter((text) => text !== '').join('\n\n');
      const text = said === '' && outcome === 'completed' ? word : said;
      const why = outcome === 'completed' ? [] : [word || `the agent says no more than ${TaskState[state]}`];
      const problem = [...why, ...problems].join('; ');
      ended = { kind: 'ended', outcome, text, problem: problem === '' ? null : problem, usage: null, media: [] };
      return ended;
    },
    wants: () => (WANTING.includes(state) ? word || 'something' : null),
  };
}

function cut(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length).toWellFormed()}…`;
}

function seqOf(metadata: Record<string, unknown> | undefined): number | null {
  const said = metadata?.[A2A_EXTENSION] as { readonly seq?: unknown } | undefined;
  return typeof said?.seq === 'number' && Number.isSafeInteger(said.seq) ? said.seq : null;
}

function textOf(parts: readonly Part[]): string {
  return parts
    .flatMap(({ content }) => {
      if (content?.$case === 'text') return [String(content.value)];
      return content?.$case === 'data' ? [JSON.stringify(content.value)] : [];
    })
    .join('');
}
