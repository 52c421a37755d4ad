import type { ToolContent, ToolResult } from '#src/protocol/tools.ts';
import { MAX_TOOL_PARTS } from '#src/protocol/tools.ts';

/**
 * Content of which the JSON is not longer than `maxBytes`, but for a part of text at its end that says where it was cut.
 * Text is cut where it has to be, anything else is left out whole, and with it all that follows, also what is more than
 * MAX_TOOL_PARTS.
 */
export function bounded(
  content: readonly ToolContent[],
  maxBytes: number,
): Pick<ToolResult, 'content' | 'bytes' | 'truncated'> {
  const sizes = content.map(sizeOf);
  const bytes = sizes.reduce((sum, size) => sum + size, 0);
  if (bytes <= maxBytes && content.length <= MAX_TOOL_PARTS) return { content: [...content], bytes, truncated: false };
  const kept: ToolContent[] = [];
  let left = maxBytes;
  for (const [at, part] of content.slice(0, MAX_TOOL_PARTS - 2).entries()) {
    const size = sizes[at]!;
    if (size > left) {
      if (part.type === 'text') kept.push({ type: 'text', text: textWithin(part.text, left) });
      break;
    }
    kept.push(part);
    left -= size;
  }
  const limits = `${maxBytes} bytes in ${MAX_TOOL_PARTS} parts`;
  const mark = `[cut: this node lets out ${limits} of a tool’s answer, and this one has ${bytes} in ${content.length}]`;
  return { content: [...kept, { type: 'text', text: mark }], bytes, truncated: true };
}

function sizeOf(part: ToolContent): number {
  return Buffer.byteLength(JSON.stringify(part));
}

/** The longest beginning of a text that fits, in whole characters. */
function textWithin(text: string, maxBytes: number): string {
  let [low, high] = [0, Math.min(text.length, maxBytes)];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (sizeOf({ type: 'text', text: text.slice(0, middle) }) <= maxBytes) low = middle;
    else high = middle - 1;
  }
  return text.slice(0, low).replace(/[\ud800-\udbff]$/, '');
}
