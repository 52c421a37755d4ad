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
   * Calls a tool of the node that `word` means. Throws what a word that means no node does, LOCKED_DOWN, FORBIDDEN,
   * APPROVAL_NEEDED, APPROVAL_OVER, MACHINE_UNREACHABLE, LINK_LOST, TOOL_DENIED, TOOL_FAILED, GATEWAY_UNREACHABLE.
   */
  call(word: string, request: z.output<typeof toolRequestSchema>, asker: Asker): Promise<ToolResult>;
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
}

/** For the node's own word, on top of what the tool takes. */
const TRAVEL_MS = 10_000;
/** Of any node, whatever it lets out itself. */
const MAX_OUTPUT_BYTES = 16 << 20;
/** Of an answer as JSON: far beyond what a tool says, and nothing that a parser would take long for. */
const ANSWER_BOUNDS = { depth: 100, values: 200_000 };

export function createNodeTools(options: NodeToolsOptions): NodeTools {
  const { find, fleet, permits, store, gateway, createId, log } = options;
  const onFault = (error: unknown): void => log.error('what became of a tool was not kept', { problem: String(error) });

  async function askWorker(
    member: Member,
    { tool, args, timeoutMs }: z.output<typeof toolRequestSchema>,
    asker: Asker,
    approval: UsedApproval | undefined,
  ): Promise<ToolAnswer> {
    const call: ToolCall = { asker, approval, tool, args, timeoutMs };
    const stream = linkOf(fleet, member).request({ ':method': 'POST', ':path': '/tools' }, { endStream: false });
    stream.end(JSON.stringify(call));
    await answerOf(stream, timeoutMs + TRAVEL_MS);
    const answer = await bytesOf(stream, MAX_TOOL_ANSWER_BYTES);
    if (!isWithin(answer, ANSWER_BOUNDS)) throw lost('the node answered more than it may');
    try {
      return toolAnswerSchema.parse(JSON.parse(answer.toString('utf8')));
    } catch (cause) {
      throw lost('the node gave a strange answer to a tool’s call', cause);
    }
  }

  /** A command of a node host, which the gateway runs as far as it was approved there. */
  async function runCommand(
    name: string,
    deviceId: string | null,
    { tool, args, timeoutMs }: z.output<typeof toolRequestSchema>,
    maxBytes: number,
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
    const payload = await gateway.invoke(deviceId, command, args, timeoutMs).catch((cause: unknown) => {
      throw toolFailure(tool, cause);
    });
    return bounded([{ type: 'json', value: payload ?? null }], maxBytes);
  }

  async function perform(
    node: ToolNode,
    request: z.output<typeof toolRequestSchema>,
    asker: Asker,
    approval: UsedApproval | undefined,
  ): Promise<Pick<ToolResult, 'content' | 'bytes' | 'truncated'>> {
    const { member } = node;
    if (member === null) return runCommand(node.name, node.id, request, MAX_OUTPUT_BYTES);
    const answer = await askWorker(member, request, asker, approval);
    if (answer.kind === 'agreed' && request.tool.startsWith(NODE_COMMAND)) {
      const { openclaw } = member;
      const deviceId = openclaw === null || openclaw.removing ? null : openclaw.deviceId;
      return runCommand(node.name, deviceId, request, Math.min(answer.maxOutputBytes, MAX_OUTPUT_BYTES));
    }
    if (answer.kind === 'result' && !request.tool.startsWith(NODE_COMMAND)) {
      // Counted here: how much it is, is not the node's to say.
      const kept = bounded(answer.content, MAX_TOOL_ANSWER_BYTES);
      return { ...kept, truncated: kept.truncated || answer.truncated };
    }
    throw lost('the node answered another call than this');
  }

  return {
    async call(word, request, asker) {
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
      try {
        const { content, bytes, truncated } = await perform(node, request, asker, permit.approvalFor(target));
        record.end({ bytes, truncated });
        return { node: node.name, id: node.id, tool, content, bytes, truncated };
      } catch (error) {
        record.failed(error);
        throw error;
      }
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

function toolFailure(tool: string, cause: unknown): unknown {
  if (!(cause instanceof FederationError) || cause.code !== 'OPENCLAW_REFUSED') return cause;
  return new FederationError('TOOL_FAILED', `${tool}: ${cause.message}`, { hint: 'look at its arguments', cause });
}
