import { z } from 'zod';
import { clusterTool } from '#src/plugin/call.ts';
import type { Answer, Call } from '#src/plugin/call.ts';
import { readFile } from '#src/plugin/files.ts';
import type { FilePart } from '#src/plugin/files.ts';
import { asCode } from '#src/plugin/block.ts';
import { isPicture, mimeOf, textOf } from '#src/plugin/media.ts';
import { oneLine } from '#src/plugin/quoted.ts';
import { nodeParameter } from '#src/plugin/tools/node-parameter.ts';

/** Bytes that the agent is given of what is no picture, where it names no length. */
const READ_BYTES = 64 * 1024;
/** Longest part that it may ask for. */
const MAX_READ_BYTES = 512 * 1024;
/** Longest file that is sent to a chat, and longest picture that a model is shown. */
const ATTACHED_BYTES = 20 << 20;
const PICTURE_BYTES = 5 << 20;
/** Where a file says what it is. */
const MAGIC_BYTES = 16;

export const clusterRead = clusterTool({
  name: 'cluster_read',
  label: 'Read a file on a machine',
  description:
    'Read a file on another machine of the user (node of the federation), whole or a part of it: text as text, pictures as ' +
    'pictures, anything else as base64. The first line says which bytes these are, and how to read on; all below it is the ' +
    'file. With attach it is sent to the chat as a file instead.',
  parameters: z.strictObject({
    node: nodeParameter,
    path: z.string().min(1).max(4095).describe('Absolute path, or from the home of the user there; ~ is that home'),
    offset: z.int().default(0).describe('First byte; below zero it counts from the end: -4000 is the last 4000 bytes'),
    length: z.int().min(1).max(MAX_READ_BYTES).optional().describe(`Bytes at most; ${READ_BYTES} if not given`),
    attach: z.boolean().default(false).describe('Send the whole file to the chat as an attachment'),
  }),
  wish: ({ node, path }) => ({ targets: [node], action: { kind: 'read', path } }),
  async run({ node, path, offset, length, attach }, call) {
    if (attach) return attached(node, path, call);
    const part = await readFile(call, node, { path, offset, length: length ?? READ_BYTES });
    const isWhole = part.header.offset === 0;
    if (isWhole && length === undefined && isPicture(mimeOf(part.bytes.subarray(0, MAGIC_BYTES), path))) {
      return picture(path, part.header.size > part.bytes.length ? await whole(node, path, call) : part);
    }
    return textAnswer(path, part);
  },
});

function whole(node: string, path: string, call: Call, most = PICTURE_BYTES): Promise<FilePart> {
  return readFile(call, node, { path, offset: 0, length: most });
}

function fileDetails({ header, sha256 }: FilePart, type: string) {
  const { node, id, path, size, mtime, offset, length } = header;
  return { file: { node, id, path, size, mtime, offset, length, sha256, type } };
}

async function attached(node: string, path: string, call: Call): Promise<Answer> {
  const part = await whole(node, path, call, ATTACHED_BYTES);
  const type = mimeOf(part.bytes, path);
  const name = path.split('/').at(-1) ?? 'file';
  const details = fileDetails(part, type);
  if (part.header.size > part.bytes.length) {
    const text = `${path} on ${part.header.node} has ${part.header.size} bytes: too long to send to a chat (${ATTACHED_BYTES} at most)`;
    return { text, details };
  }
  const kept = await call.attach({
    name,
    type,
    data: part.bytes,
    text: `${asCode(name)} from ${asCode(part.header.node)}`,
  });
  const what = `${path} from ${part.header.node} (${part.bytes.length} bytes, ${type})`;
  const text = kept.inChat
    ? `${what} is in the chat now`
    : `${what} is kept on the master as ${kept.path}: there is no chat here`;
  return { text, details };
}

function picture(path: string, part: FilePart): Answer {
  const type = mimeOf(part.bytes, path);
  const details = fileDetails(part, type);
  if (part.header.size > part.bytes.length) {
    return {
      text: `${path} on ${part.header.node} is a picture of ${part.header.size} bytes: too large to be shown`,
      details,
    };
  }
  const images = [{ data: part.bytes.toString('base64'), mimeType: type }];
  return { text: `${path} on ${part.header.node}: ${type}, ${part.header.size} bytes`, images, details };
}

/** All that is ours stands in the first line: what a file holds can’t pass for it. */
function textAnswer(path: string, part: FilePart): Answer {
  const { header, bytes } = part;
  const end = header.offset + bytes.length;
  const left = header.size - end;
  const type = mimeOf(bytes, path);
  const text = textOf(bytes, left > 0);
  const first = [
    `${path} on ${header.node}: bytes ${header.offset} to ${end} of ${header.size}`,
    ...(left > 0 ? [`read on with offset ${end}`] : []),
    ...(text === null ? [`${type} as base64`] : []),
  ];
  return {
    text: `${oneLine(first.join(', '))}\n${text ?? bytes.toString('base64')}`,
    details: fileDetails(part, type),
  };
}
