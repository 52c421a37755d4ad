import type { Log } from '#src/adapters/log.ts';
import type { Gateway } from '#src/adapters/openclaw/gateway.ts';
import type { Store } from '#src/adapters/store/store.ts';
import type { Settings } from '#src/core/settings.ts';
import type { CommandApprovals } from '#src/hub/approvals/command-approvals.ts';
import { createCommandApprovals } from '#src/hub/approvals/command-approvals.ts';
import type { Permits } from '#src/hub/approvals/permits.ts';
import { createPermits } from '#src/hub/approvals/permits.ts';
import type { Enrolment } from '#src/hub/enrolment/enrolment.ts';
import type { JudgedRequest } from '#src/hub/enrolment/requests.ts';
import type { NodeFiles } from '#src/hub/files/files.ts';
import { createNodeFiles } from '#src/hub/files/files.ts';
import type { Fleet } from '#src/hub/fleet/fleet.ts';
import { chooseTargets, findMember } from '#src/hub/fleet/targets.ts';
import { createId } from '#src/hub/jobs/job-id.ts';
import type { Jobs } from '#src/hub/jobs/jobs.ts';
import { createJobs } from '#src/hub/jobs/jobs.ts';
import type { Unresolved } from '#src/hub/jobs/unresolved.ts';
import { createUnresolved } from '#src/hub/jobs/unresolved.ts';
import type { NodeTools } from '#src/hub/tools/tools.ts';
import { createNodeTools } from '#src/hub/tools/tools.ts';
import { lightNode, toolNode } from '#src/hub/tools/tool-node.ts';
import type { OpenClawNodeView } from '#src/protocol/hub-api/openclaw-node.ts';

/** What is done on nodes at once, and who may do it. */
export interface Deeds {
  readonly commandApprovals: CommandApprovals;
  readonly permits: Permits;
  readonly unresolved: Unresolved;
  readonly jobs: Jobs;
  readonly tools: NodeTools;
  readonly files: NodeFiles;
}

export interface DeedsOptions {
  readonly settings: Settings;
  readonly store: Store;
  readonly gateway: Gateway | null;
  readonly enrolment: Enrolment;
  readonly fleet: Fleet;
  /** Who waits for approval. */
  readonly requests: () => readonly JudgedRequest[];
  readonly openClawNodes: () => readonly OpenClawNodeView[];
  /** Why nothing may be done now; null where it may. */
  readonly denied: () => string | null;
  readonly log: Log;
  readonly signal: AbortSignal;
}

export async function openDeeds(options: DeedsOptions): Promise<Deeds> {
  const { settings, store, gateway, enrolment, fleet, requests, openClawNodes, denied, log, signal } = options;
  const members = () => enrolment.members();
  const unresolved = await createUnresolved({
    ...{ store, fleet, signal },
    formerId: (nodeId) => enrolment.member(nodeId)?.formerId ?? null,
    log: log.child('jobs'),
  });
  const commandApprovals = createCommandApprovals({ store, createId, lifeMs: settings.hub.approvalSeconds * 1000 });
  const permits = createPermits({
    approvals: commandApprovals,
    targets: (words) => chooseTargets([...members()], words, fleet, requests),
    lightNode: (word) => lightNode([...members()], openClawNodes(), word),
    isOnline: (nodeId) => fleet.link(nodeId) !== undefined || gateway?.nodes().get(nodeId)?.connected === true,
    denied,
  });
  const jobs = createJobs({
    ...{ store, fleet, members, permits, requests, denied },
    broadcastTimeoutMs: settings.hub.broadcastTimeoutSeconds * 1000,
    onUnknown: (job) => unresolved.watch(job),
    log: log.child('jobs'),
  });
  const tools = createNodeTools({
    ...{ fleet, permits, store, createId, gateway },
    find: (word) => toolNode([...members()], openClawNodes(), requests, word),
    log: log.child('tools'),
  });
  const files = createNodeFiles({
    ...{ fleet, permits, store, createId },
    find: (word) => findMember([...members()], requests, word),
    log: log.child('files'),
  });
  return { commandApprovals, permits, unresolved, jobs, tools, files };
}
