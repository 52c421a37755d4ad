import { harmless } from '#src/adapters/terminal.ts';
import { isPicture, mimeOf } from '#src/plugin/media.ts';
import { oneLine, quoted } from '#src/plugin/quoted.ts';
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

/** Characters and bytes of pictures that a model is given of one answer. */
const MAX_WORDS = 64 * 1024;
const MAX_PICTURES = 5 << 20;

/** The answer of a tool: text, pictures, and what is neither as the JSON that it is, as much as a model can read. */
export function toolAnswer({ node, id, tool, content, truncated }: ToolResult): Answer {
  const words: string[] = [];
  const images: ImagePart[] = [];
  let pictureRoom = MAX_PICTURES;
  for (const part of content) {
    if (part.type === 'text') words.push(part.text);
    else if (part.type === 'json') words.push(JSON.stringify(part.value));
    else {
      const picture = pictureOf(part.data, pictureRoom);
      if (picture === null) words.push('[a picture that can’t be shown: it is too large, or none]');
      else images.push(picture.image);
      pictureRoom -= picture?.bytes ?? 0;
    }
  }
  const text = words.join('\n');
  const shown = quoted(harmless(text.slice(0, MAX_WORDS)));
  const isCut = truncated || text.length > MAX_WORDS;
  return {
    text: [
      oneLine(`${tool} on ${node} (${id.slice(0, 12)}):`),
      ...(shown === '' ? [] : [shown]),
      ...(isCut ? ['[… the rest was cut …]'] : []),
    ].join('\n'),
    images,
    details: { tool: { node, id, name: tool, truncated: isCut } },
  };
}

/** By what it is, and not by what the node calls it: a provider takes no transcript any more in which a picture is none. */
function pictureOf(base64: string, most: number): { image: ImagePart; bytes: number } | null {
  const data = Buffer.from(base64, 'base64');
  const mimeType = mimeOf(data);
  if (data.length > most || !isPicture(mimeType)) return null;
  return { image: { data: data.toString('base64'), mimeType }, bytes: data.length };
}
