import type { ClientHttp2Stream, IncomingHttpHeaders } from 'node:http2';
import { constants } from 'node:http2';
import { z } from 'zod';
import type { ErrorCode } from '#src/core/errors.ts';
import { FederationError } from '#src/core/errors.ts';
import type { Member } from '#src/core/member.ts';
import type { Fleet } from '#src/hub/fleet/fleet.ts';
import type { Link } from '#src/link/accept.ts';

/** What a node may say why it does not do it. Any other word of its would pass for one of the hub's own. */
const REFUSALS = [
  ...['USAGE', 'FORBIDDEN', 'LOCKED_DOWN', 'PENDING_FULL', 'PAYLOAD_TOO_LARGE', 'STEP_FAILED', 'DISK_FULL'],
  ...['PATH_DENIED', 'PATH_NOT_FOUND', 'FILE_TOO_LARGE', 'FILE_CHANGED', 'TOOL_DENIED', 'TOOL_FAILED'],
  ...['GATEWAY_UNREACHABLE', 'OPENCLAW_REFUSED', 'MACHINE_UNSUPPORTED', 'EPOCH_STALE'],
  ...['AGENT_NOT_FOUND', 'HANDOFF_NOT_FOUND', 'HANDOFF_CONFLICT', 'QUEUE_FULL', 'DEADLINE_OVER'],
] as const satisfies readonly ErrorCode[];

/** Without its hint: what to do about it is never a node’s to say. */
const refusalSchema = z.object({ code: z.enum(REFUSALS), message: z.string() });
/** Of a path that is told, with what is wrong about it. */
const MAX_MESSAGE = 4500;
const MAX_REFUSAL_BYTES = 64 * 1024;

/** The link of a member. Throws MACHINE_UNREACHABLE. */
export function linkOf(fleet: Pick<Fleet, 'link'>, member: Member): Link {
  const link = fleet.link(member.id);
  if (link !== undefined) return link;
  throw new FederationError('MACHINE_UNREACHABLE', `${member.name} is not connected`, {
    hint: `manage-federation show ${member.name}`,
  });
}

/**
 * The head of what a node answers. Throws what the node says why it refuses, LINK_LOST where it says nothing within
 * `withinMs` of this call or its link ends.
 */
export async function answerOf(stream: ClientHttp2Stream, withinMs: number | null): Promise<IncomingHttpHeaders> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingHttpHeaders>();
  const onClose = (): void => reject(lost('the node went away before it answered'));
  const giveUp = (): void => {
    reject(lost('the node did not answer in time'));
    stream.close(constants.NGHTTP2_CANCEL);
  };
  // Also for the body of a refusal.
  const late = withinMs === null ? undefined : setTimeout(giveUp, withinMs);
  stream.once('response', resolve).once('close', onClose);
  try {
    const headers = await promise;
    const status = Number(headers[':status']);
    if (status >= 200 && status < 300) return headers;
    throw refusalOf(await bytesOf(stream, MAX_REFUSAL_BYTES));
  } catch (error) {
    stream.close(constants.NGHTTP2_CANCEL);
    throw error;
  } finally {
    clearTimeout(late);
    stream.off('close', onClose);
  }
}

/** A whole body that is not to be long. Throws LINK_LOST where it is, or breaks off. */
export async function bytesOf(stream: ClientHttp2Stream, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > maxBytes) throw lost('the node answered more than it may');
      chunks.push(chunk);
    }
  } catch (cause) {
    if (cause instanceof FederationError) throw cause;
    throw lost('the node’s answer broke off', cause);
  }
  return Buffer.concat(chunks);
}

/** Nobody knows what became of something on its way: the node is to be looked at. */
export function lost(message: string, cause?: unknown): FederationError {
  return new FederationError('LINK_LOST', message, {
    hint: 'look at the node before you do it again: manage-federation list',
    ...(cause === undefined ? {} : { cause }),
  });
}

function refusalOf(body: Buffer): FederationError {
  try {
    const { code, message } = refusalSchema.parse(JSON.parse(body.toString('utf8')));
    return new FederationError(code, oneLine(message), { hint: HINTS[code] ?? 'these are the node’s own words' });
  } catch (cause) {
    return new FederationError('STEP_FAILED', 'the node failed at it and does not say why', {
      hint: 'its log says more: journalctl -u openclaw-worker',
      cause,
    });
  }
}

/** What to do about it, in the hub’s words. */
const HINTS: Readonly<Partial<Record<ErrorCode, string>>> = {
  FORBIDDEN: 'ask the owner of this federation',
  LOCKED_DOWN: 'manage-federation lockdown --lift',
  PENDING_FULL: 'try again in a moment',
  DISK_FULL: 'make room there',
  PATH_DENIED: 'worker.files in the settings of that node says what is open',
  FILE_CHANGED: 'read it again, and decide anew',
  TOOL_DENIED: 'worker.tools in the settings of that node says what may be called',
  TOOL_FAILED: 'look at its arguments',
  GATEWAY_UNREACHABLE: 'worker.tools.gatewaySettings in the settings of that node names its openclaw.json',
};

/** What a node chose: it can’t pass for more than one sentence, or turn the text around it. */
function oneLine(said: string): string {
  return said.slice(0, MAX_MESSAGE).replace(UNSEEN, '\ufffd');
}

const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;
