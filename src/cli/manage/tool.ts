import { harmless, say } from '#src/adapters/terminal.ts';
import type { GlobalFlags } from '#src/cli/manage/context.ts';
import { hubOf } from '#src/cli/manage/context.ts';
import { deedExitCode } from '#src/cli/manage/deed.ts';
import { parseDuration } from '#src/cli/manage/duration.ts';
import { printJson } from '#src/cli/print.ts';
import { FederationError } from '#src/core/errors.ts';
import type { ToolContent, ToolRequest, ToolResult } from '#src/protocol/tools.ts';

export interface ToolFlags extends GlobalFlags {
  readonly timeout?: string;
}

const TIMEOUT_MS = 60_000;
/** For the node and the hub, on top of what the tool takes. */
const TRAVEL_MS = 20_000;

/** `manage-federation tool NODE TOOL [JSON]` */
export async function callTool(
  node: string,
  tool: string,
  text: string | undefined,
  flags: ToolFlags,
): Promise<number> {
  const timeoutMs = flags.timeout === undefined ? TIMEOUT_MS : parseDuration(flags.timeout, '--timeout');
  const request: ToolRequest = { tool, args: argsOf(text), timeoutMs };
  const hub = await hubOf(flags);
  const path = `/nodes/${encodeURIComponent(node)}/tool`;
  const { json = false } = flags;
  const call = async (): Promise<number> => {
    const result = await hub.ask<ToolResult>('POST', path, request, undefined, timeoutMs + TRAVEL_MS);
    if (json) printJson(result);
    else for (const part of result.content) print(part);
    return 0;
  };
  return deedExitCode(call, { json });
}

function argsOf(text = '{}'): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // Said below.
  }
  throw new FederationError('USAGE', 'the arguments of a tool are a JSON object', { hint: `'{"name": "value"}'` });
}

function print(part: ToolContent): void {
  switch (part.type) {
    case 'text':
      process.stdout.write(`${harmless(part.text)}\n`);
      return;
    case 'json':
      process.stdout.write(`${harmless(JSON.stringify(part.value, null, 2))}\n`);
      return;
    case 'image':
      say(`an image, ${part.mimeType}, ${Buffer.from(part.data, 'base64').length} bytes: --json shows it`);
  }
}
