import { constants } from 'node:http2';
import type { Gateway } from '#src/adapters/openclaw/gateway.ts';
import type { Log } from '#src/adapters/log.ts';
import type { Store } from '#src/adapters/store/store.ts';
import { FederationError } from '#src/core/errors.ts';
import { isWithin } from '#src/core/json-extent.ts';
import type { Member } from '#src/core/member.ts';
import { runsPrograms } from '#src/core/node-command.ts';
import type { Asker } from '#src/core/policy.ts';
import type { PermitTarget, Permits } from '#src/hub/approvals/permits.ts';
import { deedRecord } from '#src/hub/approvals/deed-record.ts';
import { answerOf, bytesOf, linkOf, lost } from '#src/hub/fleet/ask-worker.ts';
import type { Fleet } from '#src/hub/fleet/fleet.ts';
import type { ToolNode } from '#src/hub/tools/tool-node.ts';
import type { UsedApproval } from '#src/protocol/approval.ts';
import { bounded } from '#src/protocol/tool-content.ts';
import type { ToolAnswer, ToolCall, ToolResult, toolRequestSchema } from '#src/protocol/tools.ts';
import { MAX_TOOL_ANSWER_BYTES, NODE_COMMAND, toolAnswerSchema } from '#src/protocol/tools.ts';
import type { z } from 'zod';

/** Tools of nodes: of members, and of those that run only OpenClaw’s own node host or app. */
export interface NodeTools {
  /**
   * Calls a tool of the node that `word` means; `signal`: nobody waits for it any more. Throws what a word that means no node does, LOCKED_DOWN, FORBIDDEN,
   * APPROVAL_NEEDED, APPROVAL_OVER, MACHINE_UNREACHABLE, LINK_LOST, TOOL_DENIED, TOOL_FAILED, GATEWAY_UNREACHABLE.
   */
  call(
    word: string,
    request: z.output<typeof toolRequestSchema>,
    asker: Asker,
    signal: AbortSignal,
  ): Promise<ToolResult>;
  /** Gives up what is under way: nobody hears of it any more, and what it does there is not known. */
  endAll(): void;
}

export interface NodeToolsOptions {
  readonly find: (word: string) => ToolNode;
  readonly fleet: Pick<Fleet, 'link'>;
  readonly permits: Pick<Permits, 'permit'>;
  readonly store: Pick<Store, 'commit' | 'commitSoon'>;
  /** Null on a federation without OpenClaw. */
  readonly gateway: Pick<Gateway, 'nodes' | 'invoke'> | null;
  readonly createId: () => string;
  readonly log: Log;
  /** For the node’s own word, on top of what the tool takes. */
  readonly travelMs?: number;
}

const TRAVEL_MS = 10_000;
/** Of any node, whatever it lets out itself. */
const MAX_OUTPUT_BYTES = 16 << 20;
/** Of an answer as JSON: far beyond what a tool says, and nothing that a parser would take long for. */
const ANSWER_BOUNDS = { depth: 100, values: 200_000 };

export function createNodeTools(options: NodeToolsOptions): NodeTools {
  const { find, fleet, permits, store, gateway, createId, log, travelMs = TRAVEL_MS } = options;
  const underWay = new Set<AbortController>();
  const onFault = (error: unknown): void => log.error('what became of a tool was not kept', { problem: String(error) });

  async function askWorker(
    member: Member,
    { tool, args, timeoutMs }: z.output<typeof toolRequestSchema>,
    asker: Asker,
    approval: UsedApproval | undefined,
    signal: AbortSignal,
  ): Promise<ToolAnswer> {
    const call: ToolCall = { asker, approval, tool, args, timeoutMs };
    const stream = linkOf(fleet, member).request({ ':method': 'POST', ':path': '/tools' }, { endStream: false });
    stream.end(JSON.stringify(call));
    // Of the whole answer, and not of its head alone.
    const over = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs + travelMs)]);
    const cut = (): void => stream.close(constants.NGHTTP2_CANCEL);
    over.addEventListener('abort', cut, { once: true });
    if (over.aborted) cut();
    try {
      await answerOf(stream, null);
      const answer = await bytesOf(stream, MAX_TOOL_ANSWER_BYTES);
      if (over.aborted) throw lost('it was given up');
      if (!isWithin(answer, ANSWER_BOUNDS)) throw lost('the node answered more than it may');
      return readAnswer(answer);
    } catch (error) {
      // What was cut may look like a strange refusal.
      if (!(error instanceof FederationError) || (error.code !== 'LINK_LOST' && !over.aborted)) throw error;
      const why = signal.aborted ? 'it was given up' : over.aborted ? 'the node did not answer in time' : error.message;
      // A command of a node host is run by the gateway, and only once the node has agreed.
      throw lost(tool.startsWith(NODE_COMMAND) ? `${why}; nothing ran` : `${why}; ${tool} may have run`, error);
    } finally {
      over.removeEventListener('abort', cut);
      if (!stream.closed) cut();
    }
  }

  /** A command of a node host, which the gateway runs as far as it was approved there. */
  async function runCommand(
    name: string,
    deviceId: string | null,
    { tool, args, timeoutMs }: z.output<typeof toolRequestSchema>,
    maxBytes: number,
    signal: AbortSignal,
  ): Promise<Pick<ToolResult, 'content' | 'bytes' | 'truncated'>> {
    const command = tool.slice(NODE_COMMAND.length);
    if (gateway === null)
      throw new FederationError('GATEWAY_UNREACHABLE', 'this hub has no OpenClaw gateway', {
        hint: 'set gateway.url on the master',
      });
    const node = deviceId === null ? undefined : gateway.nodes().get(deviceId);
    if (deviceId === null || node === undefined || !node.connected) {
      throw new FederationError('MACHINE_UNREACHABLE', `no node host of ${name} is connected to the gateway`, {
        hint: `manage-federation show ${name}`,
      });
    }
    if (!node.commands.includes(command)) {
      const known = node.commands.filter((one) => !runsPrograms(one)).join(', ');
      throw new FederationError('TOOL_DENIED', `${name} does not offer ${command}, or it is not approved`, {
        hint: known === '' ? `manage-federation show ${name}` : `it offers ${known}`,
      });
    }
    const payload = await unless(signal, gateway.invoke(deviceId, command, args, timeoutMs)).catch((cause: unknown) => {
      throw toolFailure(tool, cause);
    });
    if (!isReadable(payload)) {
      throw new FederationError('TOOL_FAILED', `${tool} ran and answered more than it may`, {
        hint: 'ask it for less',
      });
    }
    return bounded([{ type: 'json', value: payload ?? null }], maxBytes);
  }

  async function perform(
    node: ToolNode,
    request: z.output<typeof toolRequestSchema>,
    asker: Asker,
    approval: UsedApproval | undefined,
    signal: AbortSignal,
  ): Promise<Pick<ToolResult, 'content' | 'bytes' | 'truncated'>> {
    const { member } = node;
    if (member === null) return runCommand(node.name, node.id, request, MAX_OUTPUT_BYTES, signal);
    const answer = await askWorker(member, request, asker, approval, signal);
    if (answer.kind === 'agreed' && request.tool.startsWith(NODE_COMMAND)) {
      const { openclaw } = member;
      const deviceId = openclaw === null || openclaw.removing ? null : openclaw.deviceId;
      const maxBytes = Math.min(answer.maxOutputBytes, MAX_OUTPUT_BYTES);
      return runCommand(node.name, deviceId, request, maxBytes, signal);
    }
    if (answer.kind === 'result' && !request.tool.startsWith(NODE_COMMAND)) {
      // Counted here: how much it is, is not the node's to say.
      const kept = bounded(answer.content, MAX_OUTPUT_BYTES);
      return { ...kept, truncated: kept.truncated || answer.truncated };
    }
    throw lost('the node answered another call than this');
  }

  return {
    async call(word, request, asker, signal) {
      const node = find(word);
      refuseLight(node, request.tool);
      // Before an approval is used up by it.
      if (node.member !== null) linkOf(fleet, node.member);
      const { tool, args } = request;
      const action = { kind: 'tool', tool, args } as const;
      const { id, name, member } = node;
      const target: PermitTarget = { id, name, role: member?.role ?? 'worker', isLight: member === null };
      const permit = permits.permit({ asker, action, members: [target], approval: request.approval });
      const record = deedRecord({ id: createId(), asker, action, member: target, permit }, store, onFault);
      await record.begin();
      const ending = new AbortController();
      underWay.add(ending);
      try {
        const until = AbortSignal.any([signal, ending.signal]);
        const { content, bytes, truncated } = await perform(node, request, asker, permit.approvalFor(target), until);
        record.end({ bytes, truncated });
        return { node: node.name, id: node.id, tool, content, bytes, truncated };
      } catch (error) {
        record.failed(error);
        throw error;
      } finally {
        underWay.delete(ending);
      }
    },
    endAll() {
      for (const ending of underWay) ending.abort();
    },
  };
}

/** A node without a daemon of ours has nobody who would judge there: it takes what was approved at the gateway alone. */
function refuseLight({ name, member }: ToolNode, tool: string): void {
  if (member !== null) return;
  if (!tool.startsWith(NODE_COMMAND)) {
    throw new FederationError('TOOL_DENIED', `${name} runs OpenClaw’s own node host alone, which has no such tools`, {
      hint: 'call one of its commands: node:COMMAND',
    });
  }
  if (runsPrograms(tool.slice(NODE_COMMAND.length))) {
    throw new FederationError('TOOL_DENIED', `${name}: programs are not run there by a tool`, {
      hint: 'deploy it as a worker to run commands on it',
    });
  }
}

function readAnswer(answer: Buffer): ToolAnswer {
  try {
    return toolAnswerSchema.parse(JSON.parse(answer.toString('utf8')));
  } catch (cause) {
    throw lost('the node gave a strange answer to a tool’s call', cause);
  }
}

/** What was said by a node host has been parsed already, but is still to be written out and read again. */
function isReadable(payload: unknown): boolean {
  try {
    return isWithin(Buffer.from(JSON.stringify(payload ?? null)), ANSWER_BOUNDS);
  } catch (error) {
    // Deeper than can be written at all.
    if (error instanceof RangeError) return false;
    throw error;
  }
}

/** What `work` comes to, unless nobody waits for it any more. Throws LINK_LOST then. */
async function unless<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  const over = Promise.withResolvers<never>();
  const end = (): void => over.reject(lost('it was given up'));
  signal.addEventListener('abort', end, { once: true });
  if (signal.aborted) end();
  try {
    return await Promise.race([work, over.promise]);
  } finally {
    signal.removeEventListener('abort', end);
  }
}

function toolFailure(tool: string, cause: unknown): unknown {
  if (!(cause instanceof FederationError)) return cause;
  // It was asked: where nobody says how it went, it may have.
  if (cause.code === 'GATEWAY_UNREACHABLE' || cause.code === 'LINK_LOST') {
    return lost(`${cause.message}; ${tool} may have run`, cause);
  }
  if (cause.code !== 'OPENCLAW_REFUSED') return cause;
  return new FederationError('TOOL_FAILED', `${tool}: ${cause.message}`, { hint: 'look at its arguments', cause });
}
