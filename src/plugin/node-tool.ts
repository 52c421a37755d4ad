import { harmless } from '#src/adapters/terminal.ts';
import type { Answer, Call, ImagePart } from '#src/plugin/call.ts';
import type { ToolRequest, ToolResult } from '#src/protocol/tools.ts';

/** What the way to the tool may take beside the tool itself. */
const WAY_MS = 15_000;

/** Uses a tool of a node. Throws what the hub answers: TOOL_DENIED, TOOL_FAILED and so on. */
export function useTool(
  { hub, approved, signal }: Call,
  node: string,
  request: ToolRequest & { timeoutMs: number },
): Promise<ToolResult> {
  const path = `/nodes/${encodeURIComponent(approved?.targets[0] ?? node)}/tool`;
  const approval = approved === null ? {} : { approval: approved.id };
  return hub.ask<ToolResult>('POST', path, { ...request, ...approval }, signal, request.timeoutMs + WAY_MS);
}

/** The answer of a tool as it is: text, pictures, and what is neither as the JSON that it is. */
export function toolAnswer({ node, id, tool, content, truncated }: ToolResult): Answer {
  const words: string[] = [];
  const images: ImagePart[] = [];
  for (const part of content) {
    if (part.type === 'text') words.push(harmless(part.text));
    else if (part.type === 'json') words.push(harmless(JSON.stringify(part.value, null, 2)));
    else images.push({ data: part.data, mimeType: part.mimeType });
  }
  const cut = truncated ? ['[… the rest was cut …]'] : [];
  return {
    text: [`${tool} on ${node} (${id.slice(0, 12)}):`, ...words, ...cut].join('\n'),
    images,
    details: { tool: { node, id, name: tool, truncated } },
  };
}
