import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { clusterTool } from '#src/plugin/call.ts';
import { writeFile } from '#src/plugin/files.ts';
import { oneLine } from '#src/plugin/quoted.ts';
import { nodeParameter } from '#src/plugin/tools/node-parameter.ts';

/** Characters of what a model writes in one call. */
const MAX_CONTENT = 4 << 20;

const parameters = z.strictObject({
  node: nodeParameter,
  path: z.string().min(1).max(4095).describe('Absolute path, or from the home of the user there; ~ is that home'),
  content: z.string().max(MAX_CONTENT).describe('The whole new content'),
  encoding: z.enum(['utf8', 'base64']).default('utf8').describe('base64: `content` is that of bytes'),
  mode: z
    .string()
    .regex(/^0?[0-7]{3}$/)
    .optional()
    .describe('Permissions such as 755; as before if not given'),
  if: z
    .string()
    .regex(/^(?:absent|[0-9a-f]{64})$/)
    .optional()
    .describe('Write only if the file is absent, or still has this SHA-256 (from cluster_read)'),
});

export const clusterWrite = clusterTool({
  name: 'cluster_write',
  label: 'Write a file on a machine',
  description:
    'Write a file on another machine of the user (node of the federation): the whole content, in one step, so that nobody ' +
    'sees half of it. Returns its size and SHA-256, and that of what was there before.',
  parameters,
  wish(said) {
    const { bytes, sha256 } = contentOf(said);
    const mode = said.mode === undefined ? {} : { mode: Number.parseInt(said.mode, 8) };
    return { targets: [said.node], action: { kind: 'write', path: said.path, sha256, size: bytes.length, ...mode } };
  },
  content(said) {
    const { bytes } = contentOf(said);
    return isUtf8(bytes) ? bytes.toString('utf8') : null;
  },
  async run(said, call) {
    const { path, mode } = said;
    const written = await writeFile(call, said.node, { path, ...contentOf(said), mode, condition: said.if });
    const before = written.created ? 'new' : `before: ${written.previous ?? 'too long to be hashed'}`;
    return {
      text: oneLine(`${written.path} on ${written.node}: ${written.size} bytes, sha256 ${written.sha256}, ${before}`),
      details: { file: written },
    };
  },
});

function contentOf({ content, encoding }: z.output<typeof parameters>): { bytes: Buffer; sha256: string } {
  const bytes = Buffer.from(content, encoding);
  return { bytes, sha256: createHash('sha256').update(bytes).digest('hex') };
}
