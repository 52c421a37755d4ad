import type { ServerResponse } from 'node:http';
import { setInterval as every } from 'node:timers/promises';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import { failure } from '#src/hub/api/answers.ts';
import type { ApiEnvironment } from '#src/hub/api/principal.ts';
import type { CommandApprovals } from '#src/hub/approvals/command-approvals.ts';
import type { Approvals } from '#src/hub/enrolment/approval.ts';
import type { NodeChanges } from '#src/hub/fleet/node-changes.ts';
import type { JudgedRequest, Requests } from '#src/hub/enrolment/requests.ts';
import { requestView } from '#src/hub/views.ts';
import type { CommandApprovalState } from '#src/protocol/action.ts';

const followEvents = createRoute({
  method: 'get',
  path: '/events',
  summary:
    'What happens from now on, as server-sent events: `pairing-request`, `command-approval`, `policy`, and `node` with ' +
    'the id of one of which something is another now; a chat hears of the first two; ends when the hub stops',
  responses: {
    200: { description: 'The events', content: { 'text/event-stream': { schema: z.string() } } },
    default: failure,
  },
});

/** So that a client sees a hub that is gone, and the hub a client that is. */
const HEARTBEAT_MS = 15_000;
/** A client that takes nothing is let go: it comes back and looks for itself. */
const MAX_UNSENT_BYTES = 4 << 20;

export interface EventSources {
  readonly requests: Requests;
  readonly nodes: NodeChanges;
  readonly approvals: Approvals;
  readonly commandApprovals: Pick<CommandApprovals, 'changes'>;
  /** Aborted when the hub stops. */
  readonly signal: AbortSignal;
}

export function eventRoutes(sources: EventSources): OpenAPIHono<ApiEnvironment> {
  // One listener for each client: there may be more of them than Node takes for a leak.
  const { requests, nodes, approvals, commandApprovals } = sources;
  for (const changes of [requests.changes, nodes, approvals.changes, commandApprovals.changes])
    changes.setMaxListeners(0);
  const app = new OpenAPIHono<ApiEnvironment>();
  app.openAPIRegistry.registerPath(followEvents);
  app.get(followEvents.path, async (context) => {
    await sendEvents(context.env.outgoing, sources, context.get('principal').kind === 'plugin');
    return RESPONSE_ALREADY_SENT;
  });
  return app;
}

/** Resolves when the client went away or the hub stops. */
async function sendEvents(
  response: ServerResponse,
  { requests, nodes, approvals, commandApprovals, signal }: EventSources,
  isForChat: boolean,
): Promise<void> {
  const gone = new AbortController();
  response.on('close', () => gone.abort());
  // At once: a moment later the hub ends every connection, and what was not said then is cut.
  const end = () => response.end();
  signal.addEventListener('abort', end);
  const send = (text: string): void => {
    response.write(text);
    if (response.writableLength > MAX_UNSENT_BYTES) response.destroy();
  };
  const event = (name: string, data: object) => send(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
  const onRequest = (asked: JudgedRequest) => event('pairing-request', requestView(asked, isForChat));
  const onCommandApproval = (state: CommandApprovalState) => event('command-approval', state);
  const onNode = (id: string) => event('node', { id });
  const onPolicy = () => event('policy', approvals.status());
  requests.changes.on('request', onRequest);
  commandApprovals.changes.on('approval', onCommandApproval);
  if (!isForChat) {
    nodes.on('node', onNode);
    approvals.changes.on('policy', onPolicy);
  }
  try {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    // What it looks up after this is not older than what it will be told.
    send(': from here on\n\n');
    const over = AbortSignal.any([signal, gone.signal]);
    for await (const _ of every(HEARTBEAT_MS, undefined, { signal: over, ref: false })) send(': still here\n\n');
  } catch (error) {
    if (!signal.aborted && !gone.signal.aborted) throw error;
  } finally {
    requests.changes.off('request', onRequest);
    commandApprovals.changes.off('approval', onCommandApproval);
    nodes.off('node', onNode);
    approvals.changes.off('policy', onPolicy);
    signal.removeEventListener('abort', end);
    end();
  }
}
