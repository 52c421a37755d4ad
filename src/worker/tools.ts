import type { ServerHttp2Stream } from 'node:http2';
import type { OwnGateway } from '#src/adapters/openclaw/own-gateway.ts';
import { FederationError } from '#src/core/errors.ts';
import type { ToolSettings } from '#src/core/tool-policy.ts';
import { judgeTool } from '#src/core/tool-policy.ts';
import { bounded } from '#src/protocol/tool-content.ts';
import type { ToolAnswer, ToolCall, ToolContent } from '#src/protocol/tools.ts';
import { MAX_TOOL_CALL_BYTES, NODE_COMMAND, toolCallSchema, toolContentSchema } from '#src/protocol/tools.ts';
import { answerJson } from '#src/worker/answer.ts';
import type { Consent } from '#src/worker/consent.ts';

/** The tools of this node, as far as others may call them. */
export interface Tools {
  /** Takes a request of POST /tools. Throws FederationError before an answer has begun. */
  call(stream: ServerHttp2Stream): Promise<void>;
  /** Denies everything new, until it is lifted. */
  lockDown(on: boolean): void;
}

export interface ToolsOptions {
  readonly consent: Consent;
  /** Asked anew for each call. */
  readonly settings: () => ToolSettings;
  readonly gateway: OwnGateway;
}

export function createTools({ consent, settings, gateway }: ToolsOptions): Tools {
  let lockedDown = false;

  function demand({ asker, approval, tool, args }: ToolCall): void {
    if (lockedDown)
      throw new FederationError('LOCKED_DOWN', 'the federation is locked down', {
        hint: 'manage-federation lockdown --lift',
      });
    const wanted = { asker, approval, action: { kind: 'tool', tool, args } } as const;
    const consented = consent.judge(wanted);
    if (consented.kind !== 'allow')
      throw new FederationError('FORBIDDEN', consented.rule, { hint: 'ask the owner of this federation' });
    const { kind, rule } = judgeTool(settings(), tool);
    if (kind !== 'allow') {
      throw new FederationError('TOOL_DENIED', `${tool}: ${rule}`, {
        hint: 'worker.tools in the settings of that node says what may be called',
      });
    }
    consent.take(wanted);
  }

  async function answerTo(call: ToolCall): Promise<ToolAnswer> {
    const { maxOutputBytes } = settings();
    if (call.tool.startsWith(NODE_COMMAND)) return { kind: 'agreed', maxOutputBytes };
    const output = await gateway.invokeTool(call.tool, call.args, call.timeoutMs);
    return { kind: 'result', ...bounded(contentOf(output), maxOutputBytes) };
  }

  return {
    async call(stream) {
      const call = await readCall(stream);
      demand(call);
      answerJson(stream, 200, await answerTo(call));
    },
    lockDown: (on) => void (lockedDown = on),
  };
}

async function readCall(stream: ServerHttp2Stream): Promise<ToolCall> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_TOOL_CALL_BYTES)
      throw new FederationError('PAYLOAD_TOO_LARGE', 'the call is too long', { hint: 'make its arguments shorter' });
    chunks.push(chunk);
  }
  try {
    return toolCallSchema.parse(JSON.parse(Buffer.concat(chunks).toString('utf8')));
  } catch (cause) {
    throw new FederationError('USAGE', 'the call of a tool does not fit', { hint: 'see /api/v1/openapi.json', cause });
  }
}

/** What a tool of OpenClaw answers, part by part; what is not of that form comes as the JSON that it is. */
function contentOf(output: unknown): readonly ToolContent[] {
  const parts = isRecord(output) && Array.isArray(output['content']) ? (output['content'] as unknown[]) : null;
  if (parts === null) return [{ type: 'json', value: output ?? null }];
  const content = parts.map((part): ToolContent => {
    const known = toolContentSchema.safeParse(part);
    return known.success && known.data.type !== 'json' ? known.data : { type: 'json', value: part };
  });
  const details = isRecord(output) ? output['details'] : undefined;
  return isNothing(details) ? content : [...content, { type: 'json', value: { details } }];
}

function isNothing(details: unknown): boolean {
  return details === undefined || details === null || (isRecord(details) && Object.keys(details).length === 0);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
