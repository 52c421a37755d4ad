import { isUtf8 } from 'node:buffer';
import { createHash, randomUUID } from 'node:crypto';
import { z } from 'zod';
import { artefactBytes } from '#src/adapters/handoffs/artefact.ts';
import { FederationError } from '#src/core/errors.ts';
import type { Artefact } from '#src/core/handoff/event.ts';
import type { Answer, Call } from '#src/plugin/call.ts';
import { clusterTool } from '#src/plugin/call.ts';
import { runHandoff } from '#src/plugin/handoff.ts';
import { parentOf } from '#src/plugin/handoff-way.ts';
import { keptOutput } from '#src/plugin/kept-output.ts';
import { mimeOf } from '#src/plugin/media.ts';
import { oneLine, quoted } from '#src/plugin/quoted.ts';
import { askable, placeOf, targetParameter } from '#src/plugin/tools/target-agent.ts';
import { artefactNameSchema } from '#src/protocol/handoff-fields.ts';
import type { HandoffView } from '#src/protocol/handoffs.ts';
import { MAX_FILES } from '#src/protocol/handoffs.ts';

/** Bytes of an answer that the agent is given: more would fill its context. */
const KEPT_BYTES = 48 * 1024;
/** Longest file of an answer that is sent to a chat, and how many of them. */
const SAVED_BYTES = 10 << 20;
const MOST_SAVED = 10;
const MAX_SECONDS = 24 * 86_400;

const parameters = z.strictObject({
  target: targetParameter,
  task: z.string().min(1).describe('What is to be done there, whole: the agent knows nothing of this conversation'),
  context: z.string().optional().describe('What the agent should know beside it'),
  files: z
    .array(
      z.strictObject({
        name: artefactNameSchema.describe('A name without folders'),
        content: z.string(),
        encoding: z.enum(['utf8', 'base64']).default('utf8').describe('base64: `content` is that of bytes'),
      }),
    )
    .max(MAX_FILES)
    .default([])
    .describe('Files that go with it; 4 MiB of all. What is on that machine already is named in the task'),
  deadline: z.int().min(1).max(MAX_SECONDS).optional().describe('Seconds until it has to be over'),
});
type Wanted = z.output<typeof parameters>;

export const clusterHandoff = clusterTool({
  name: 'cluster_handoff',
  label: 'Hand work to an agent on a machine',
  description:
    'Hand a whole piece of work to the agent on another machine of the user (node of the federation): it works there with ' +
    'its own tools, files and model. Waits for its answer, which comes with | before each line; its files go to the chat.',
  parameters,
  handsOn: true,
  wish(said, asker) {
    const place = placeOf(said.target);
    // For a part of a handoff nobody can be asked, and in whose name it is the hub knows.
    if (place === null || parentOf(asker) !== null) return null;
    const { task, context = '' } = said;
    const files = filesOf(said).map(({ name, bytes }) => ({ name, size: bytes.length, sha256: sha256Of(bytes) }));
    return { targets: [place.node], action: { kind: 'handoff', agent: place.agent, task, context, files } };
  },
  content(said) {
    const files = filesOf(said);
    if (files.length === 0) return undefined;
    if (!files.every(({ bytes }) => isUtf8(bytes))) return null;
    return files.map(({ name, bytes }) => `${name}: ${bytes.toString('utf8')}`).join('\n');
  },
  async run(said, call) {
    const { hub, parent } = call.handoffs;
    const spoken = keptOutput(KEPT_BYTES);
    let place = said.target;
    const progress = (words: () => string): void => call.progress(() => `${place}: ${words()}`);
    const view = await runHandoff(
      hub,
      { ...orderOf(said, call), ...(parent === null ? {} : { parent }) },
      {
        event(event) {
          if (event.type === 'text') {
            spoken.push(Buffer.from(event.text));
            progress(() => spoken.lastLine());
          } else if (event.type === 'tool' && event.phase === 'start') progress(() => `uses ${oneLine(event.name)}`);
        },
        standing(now) {
          place = placeText(now);
          if (now.startedAt === null && now.endedAt === null) progress(() => waitingText(now));
        },
        away: (problem) => progress(() => `${problem}; it is asked again`),
      },
      call.signal,
    ).catch((error: unknown) => {
      throw askable(error, said.target);
    });
    return answerOf(view, spoken.text(), call);
  },
});

function filesOf({ files }: Wanted): { readonly name: string; readonly bytes: Buffer }[] {
  return files.map(({ name, content, encoding }) => ({ name, bytes: Buffer.from(content, encoding) }));
}

function sha256Of(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function orderOf(said: Wanted, { approved }: Call) {
  const { target, task, context = '', deadline } = said;
  const agent = placeOf(target)?.agent;
  return {
    key: randomUUID(),
    // The very node that was approved, where one had to be.
    target: approved === null ? target : `${approved.targets[0]}/${agent}`,
    task,
    context,
    files: filesOf(said).map(({ name, bytes }) => ({ name, content: bytes.toString('base64') })),
    deadline: deadline === undefined ? null : new Date(Date.now() + deadline * 1000).toISOString(),
    ...(approved === null ? {} : { approval: approved.id }),
  };
}

function placeText({ node, agent, target }: HandoffView): string {
  return node === null ? oneLine(target) : oneLine(agent === null ? node.name : `${node.name}/${agent}`);
}

function waitingText({ position, problem }: HandoffView): string {
  const where = position === null ? 'waits' : `waits, place ${position} in the queue`;
  return problem === null ? where : `${where}: ${oneLine(problem)}`;
}

async function answerOf(view: HandoffView, spoken: string, call: Call): Promise<Answer> {
  const { id, node, agent, state, artefacts } = view;
  const files = await Promise.all(artefacts.map((artefact, at) => fileText(view, artefact, at, call)));
  if (state !== 'completed') {
    const said = spoken === '' ? [] : [`so far:\n${quoted(spoken)}`];
    throw new FederationError('TOOL_FAILED', [endingOf(view), ...said, ...files].join('\n'));
  }
  const whole = keptOutput(KEPT_BYTES);
  whole.push(Buffer.from(view.text ?? ''));
  const text = quoted(whole.text() || spoken);
  return {
    text: [endingOf(view), ...(text === '' ? ['it said nothing'] : [text]), ...files].join('\n'),
    details: { handoff: { id, node: node?.name ?? null, nodeId: node?.id ?? null, agent, state, artefacts } },
  };
}

/** What each end means beside its own name. */
const MEANS: Readonly<Partial<Record<HandoffView['state'], string>>> = {
  lost: 'lost: it may have run, in whole or in part, and nobody knows how it ended; look before it is repeated',
  expired: 'its time was over',
};

/** How it ended, in one line: by whose hand, and how long it took. */
function endingOf(view: HandoffView): string {
  const { id, node, state, problem, startedAt, endedAt } = view;
  const where = node === null ? placeText(view) : `${placeText(view)} (${node.id.slice(0, 12)})`;
  const ms = startedAt === null || endedAt === null ? null : Date.parse(endedAt) - Date.parse(startedAt);
  const took = ms === null ? '' : `, ${(ms / 1000).toFixed(1)} s`;
  const why = problem === null ? '' : `: ${oneLine(problem)}`;
  return `${where}: ${MEANS[state] ?? state}${took}${why}${state === 'completed' ? '' : ` (handoff ${id})`}`;
}

async function fileText({ id }: HandoffView, artefact: Artefact, at: number, call: Call): Promise<string> {
  const { name, size, sha256 } = artefact;
  const what = oneLine(`file ${name} (${size} bytes, sha256 ${sha256})`);
  const fetch = `on the master: manage-federation handoff fetch ${id} --out-dir .`;
  if (size > SAVED_BYTES || at >= MOST_SAVED) return `${what} is kept; ${fetch}`;
  try {
    const chunks: Buffer[] = [];
    for await (const chunk of artefactBytes(call.handoffs.hub, id, artefact, call.signal)) chunks.push(chunk);
    const data = Buffer.concat(chunks);
    const { inChat, path } = await call.attach({ name, type: mimeOf(data, name), data, text: oneLine(name) });
    return inChat ? `${what} is in the chat now: do not send it again` : `${what} is here as ${path}`;
  } catch (error) {
    call.signal.throwIfAborted();
    if (!(error instanceof FederationError)) throw error;
    return oneLine(`${what} could not be had: ${error.message}; ${fetch}`);
  }
}
