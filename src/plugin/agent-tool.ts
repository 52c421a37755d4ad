import type { AnyAgentTool, OpenClawPluginApi } from 'openclaw/plugin-sdk/plugin-entry';
import { z } from 'zod';
import { harmless } from '#src/adapters/terminal.ts';
import { FederationError } from '#src/core/errors.ts';
import type { Approvals } from '#src/plugin/approvals.ts';
import type { ToolContext } from '#src/plugin/asker.ts';
import { askerOfTool, isNobody } from '#src/plugin/asker.ts';
import type { Answer, Attached, Attachment, ClusterTool } from '#src/plugin/call.ts';
import { handoffWay, parentOf } from '#src/plugin/handoff-way.ts';
import type { PluginHub } from '#src/plugin/hub.ts';
import { oneLine } from '#src/plugin/quoted.ts';
import { paced } from '#src/plugin/progress.ts';

type SaveMedia = OpenClawPluginApi['runtime']['channel']['media']['saveMediaBuffer'];
type Outcome = Awaited<ReturnType<AnyAgentTool['execute']>>;

export interface AgentToolParts {
  readonly hub: PluginHub;
  /** Path of a key in the home of this node’s worker daemon, where that is not the usual one. */
  readonly workerKeyFile: string | undefined;
  readonly approvals: Approvals;
  /** Puts a file where OpenClaw sends it from. */
  readonly saveMedia: SaveMedia;
}

/** A tool as OpenClaw takes it, for the turn that `context` is of. */
export function agentTool(tool: ClusterTool, context: ToolContext, parts: AgentToolParts): AnyAgentTool {
  return {
    name: tool.name,
    label: tool.label,
    description: tool.description,
    parameters: jsonSchema(tool.parameters),
    async execute(callId, given, signal, onUpdate) {
      const asker = askerOfTool(context);
      const progress = paced((text) => onUpdate?.(update(callId, text)));
      try {
        const parameters = readParameters(tool, given);
        const wish = tool.wish(parameters, asker);
        const until = signal ?? new AbortController().signal;
        const answer = await tool.run(parameters, {
          hub: parts.hub.as(asker),
          handoffs: handoffWay(parts.hub, parts.workerKeyFile, asker),
          approved: wish === null ? null : await parts.approvals.take({ asker, id: callId, wish }, until),
          signal: until,
          progress: progress.say,
          attach: (file) => attach(file, context, parts.saveMedia),
        });
        return outcomeOf(answer, isSearched(callId));
      } catch (error) {
        const isPart = tool.handsOn === true && parentOf(asker) !== null;
        return refusalOf(isNobody(asker) && !isPart ? ofNobody(error) : error);
      } finally {
        progress.stop();
      }
    },
  };
}

/** Throws USAGE with the first thing that does not fit. */
export function readParameters(tool: ClusterTool, given: unknown): unknown {
  const { success, data, error } = tool.parameters.safeParse(given);
  if (success) return data;
  throw new FederationError('USAGE', `${tool.name}: ${z.prettifyError(error)}`);
}

/** What a model is told of parameters, without the words of a schema that some providers refuse. */
function jsonSchema(parameters: z.ZodType): AnyAgentTool['parameters'] {
  const known = SCHEMAS.get(parameters);
  if (known !== undefined) return known;
  const { $schema: _, ...schema } = z.toJSONSchema(parameters, {
    io: 'input',
    override: ({ jsonSchema: part }) => void delete part.propertyNames,
  });
  SCHEMAS.set(parameters, schema);
  return schema;
}

/** OpenClaw makes all tools anew for each call of one. */
const SCHEMAS = new WeakMap<z.ZodType, AnyAgentTool['parameters']>();

/**
 * OpenClaw’s tool search hands the answer of a tool on as JSON: a picture would be a million letters to the model, and none
 * of it seen.
 */
function isSearched(callId: string): boolean {
  return callId.startsWith('tool_search');
}

function outcomeOf({ text, images = [], details }: Answer, isJson: boolean): Outcome {
  const unseen = '[a picture can’t be shown by way of the tool search]';
  if (isJson && images.length > 0) return { content: [{ type: 'text', text: `${text}\n${unseen}` }], details };
  const pictures = images.map((image) => ({ type: 'image' as const, ...image }));
  return { content: [{ type: 'text', text }, ...pictures], details };
}

function update(id: string, text: string): Outcome {
  const progress = { text, visibility: 'channel' as const, privacy: 'public' as const, id };
  return { content: [{ type: 'text', text }], details: {}, progress };
}

/**
 * A name that fits two machines is no failure but a question, which the agent puts to the person. Everything else is
 * thrown, so that no failure can be taken for an answer.
 */
function refusalOf(error: unknown): Outcome {
  if (!(error instanceof FederationError)) throw error;
  if (error.code === 'NODE_AMBIGUOUS') {
    const question = oneLine(error.message);
    const text = `Nothing was done: ${question}. Ask the user which of them is meant, then use its id.`;
    return { content: [{ type: 'text', text }], details: { question } };
  }
  throw new Error(failureText(error), { cause: error });
}

/** Why a turn that looks like the owner’s is none. */
function ofNobody(error: unknown): unknown {
  if (!(error instanceof FederationError) || error.code !== 'FORBIDDEN') return error;
  const problem =
    'only the owner may steer machines from a chat, and no person wrote this: it is the turn of a sub-agent, an ' +
    'automation or a webhook, or one without a sender';
  return new FederationError('FORBIDDEN', problem, {
    hint: 'the owner says it in the chat themselves, or on the master: manage-federation',
    cause: error,
  });
}

/** What is wrong and what to do about it, in two lines. */
export function failureText({ message, hint }: FederationError): string {
  return harmless(hint === undefined ? message : `${message}\n  try: ${hint}`);
}

async function attach(
  { name, type, data, text }: Attachment,
  { delivery }: ToolContext,
  saveMedia: SaveMedia,
): Promise<Attached> {
  const { path } = await saveMedia(data, type, 'outbound', data.length, name);
  if (delivery === undefined) return { inChat: false, path };
  await delivery.send({ text, mediaUrl: path });
  return { inChat: true, path };
}
