import { z } from 'zod';
import { FederationError } from '#src/core/errors.ts';
import type { Answer, Call } from '#src/plugin/call.ts';
import { asCode } from '#src/plugin/block.ts';
import { clusterTool } from '#src/plugin/call.ts';
import { mimeOf, pictureType } from '#src/plugin/media.ts';
import { useTool } from '#src/plugin/node-tool.ts';
import { nodeParameter } from '#src/plugin/tools/node-parameter.ts';
import type { ToolResult } from '#src/protocol/tools.ts';

/** A camera may have to wake up first. */
const TIMEOUT_MS = 60_000;
/** Pixels that a chat shows and a model sees; so it stays far below what a node lets out of a tool. */
const SIZE = { maxWidth: 1600, quality: 0.8 };

const parameters = z.strictObject({
  node: nodeParameter,
  screen: z.int().min(0).max(15).optional().describe('Which screen; 0, the first, if not given'),
  camera: z
    .enum(['front', 'back', 'default'])
    .optional()
    .describe('Take a photo with this camera instead of a picture of the screen'),
});
type Wanted = z.output<typeof parameters>;

export const clusterScreenshot = clusterTool({
  name: 'cluster_screenshot',
  label: 'Screenshot or photo of a machine',
  description:
    'Take a screenshot of another machine of the user (macbook, laptop, phone, desktop), or a photo with its camera, and ' +
    'send the picture to the chat.',
  parameters,
  wish: (wanted) => ({ targets: [wanted.node], action: { kind: 'tool', ...request(wanted) } }),
  async run(wanted, call) {
    const result = await useTool(call, wanted.node, { ...request(wanted), timeoutMs: TIMEOUT_MS });
    const picture = pictureOf(result);
    const name = `${result.node}-${wanted.camera === undefined ? 'screen' : 'camera'}`;
    return answer(result, name, picture, call);
  },
});

/** The commands of OpenClaw’s own nodes. */
function request({ camera, screen }: Wanted): { tool: string; args: Record<string, unknown> } {
  if (camera === undefined) {
    return { tool: 'node:screen.snapshot', args: { screenIndex: screen ?? 0, ...SIZE, format: 'jpeg' } };
  }
  const facing = camera === 'default' ? {} : { facing: camera };
  return { tool: 'node:camera.snap', args: { ...facing, ...SIZE, format: 'jpg' } };
}

interface Picture {
  readonly data: Buffer;
  readonly type: string;
  readonly width: number | null;
  readonly height: number | null;
}

const payloadSchema = z.object({
  base64: z.base64().min(1),
  format: z.string().max(16),
  width: z.number().optional().catch(undefined),
  height: z.number().optional().catch(undefined),
});

/** Throws TOOL_FAILED where the node sent something else than a picture. */
function pictureOf({ node, tool, content }: ToolResult): Picture {
  const [value] = content.flatMap((part) => (part.type === 'json' ? [part.value] : []));
  const parsed = payloadSchema.safeParse(value);
  const data = Buffer.from(parsed.data?.base64 ?? '', 'base64');
  const type = mimeOf(data);
  // What it says and what it sent have to agree: a chat is sent nothing else as a picture.
  if (!parsed.success || pictureType(parsed.data.format) !== type) {
    throw new FederationError('TOOL_FAILED', `${node} answered ${tool} with something else than a picture`);
  }
  const { width = null, height = null } = parsed.data;
  return { data, type, width, height };
}

async function answer({ node, id }: ToolResult, name: string, picture: Picture, call: Call): Promise<Answer> {
  const { data, type, width, height } = picture;
  const file = `${name}.${type.split('/')[1]}`;
  const { inChat, path } = await call.attach({ name: file, type, data, text: asCode(file) });
  const size = width === null || height === null ? '' : `, ${width} × ${height}`;
  const where = inChat ? 'it is in the chat now: do not send it again' : `kept on the master as ${path}`;
  return {
    text: `${file} of ${node} (${id.slice(0, 12)})${size}; ${where}`,
    images: [{ data: data.toString('base64'), mimeType: type }],
    details: { picture: { node, id, type, width, height, bytes: data.length, inChat } },
  };
}
