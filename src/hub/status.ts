import type { Lockdown } from '#src/core/lockdown.ts';
import { fingerprint } from '#src/core/node.ts';
import type { Enrolment } from '#src/hub/enrolment/enrolment.ts';
import type { Fleet } from '#src/hub/fleet/fleet.ts';
import type { GatewayDesk } from '#src/hub/openclaw/gateway.ts';
import type { Jobs } from '#src/hub/jobs/jobs.ts';
import type { Requests } from '#src/hub/enrolment/requests.ts';
import type { Models } from '#src/hub/models/models.ts';
import type { TailnetListeners } from '#src/hub/listening/tailnet.ts';
import { lockdownView } from '#src/hub/views.ts';
import type { PolicyStatus } from '#src/protocol/hub-api/judgement.ts';
import type { Status } from '#src/protocol/hub-api/status.ts';

export interface StatusParts {
  readonly name: string;
  readonly version: string;
  readonly hubId: string;
  readonly epoch: number;
  readonly enrolment: Enrolment;
  readonly requests: Requests;
  readonly lockdown: () => Lockdown | null;
  readonly fleet: Fleet;
  readonly jobs: Jobs;
  readonly desk: GatewayDesk;
  /** Where the hub listens, known once it does. */
  readonly listening: () => readonly string[];
  /** Null until the hub listens. */
  readonly tailnet: () => TailnetListeners | null;
  readonly policy: () => PolicyStatus;
  readonly models: Pick<Models, 'offers' | 'problems'>;
}

/** The hub in numbers, now. */
export function hubStatus({
  hubId,
  enrolment,
  requests,
  lockdown,
  fleet,
  jobs,
  desk,
  listening,
  tailnet,
  policy,
  models,
  ...fixed
}: StatusParts): () => Status {
  const startedAt = new Date().toISOString();
  return () => {
    const nodes = { online: 0, suspect: 0, offline: 0, revoked: 0, quarantined: 0 };
    for (const member of enrolment.members()) if (!member.pruned) nodes[fleet.state(member)] += 1;
    const gateway = desk.status();
    return {
      ...fixed,
      pid: process.pid,
      fingerprint: fingerprint(hubId),
      startedAt,
      listening: [...listening(), ...(tailnet()?.listening() ?? [])],
      nodes,
      pending: requests.list().filter(({ request }) => !request.rejected).length,
      jobs: { running: jobs.running },
      gateway: gateway ?? { state: 'absent', url: null, version: null, problem: null },
      tailnet: tailnet()?.status() ?? { state: 'off', addresses: [], dnsName: null, problem: null },
      policy: policy(),
      models: modelsStatus(models, enrolment),
      lockdown: lockdownView(lockdown()),
    };
  };
}

/** Problems that are told at once: nodes must not fill a screen. */
const MAX_PROBLEMS = 50;

function modelsStatus(
  { offers, problems }: Pick<Models, 'offers' | 'problems'>,
  { members, member }: Pick<Enrolment, 'members' | 'member'>,
): NonNullable<Status['models']> {
  return {
    shared: [...offers.modelIds()].length,
    nodes: [...members()].filter(({ id }) => offers.of(id).length > 0).length,
    problems: [...withheldProblems({ offers }, { member }), ...problems.list()]
      .slice(0, MAX_PROBLEMS)
      .map(({ nodeId, problem }) => ({ node: member(nodeId)?.name ?? nodeId.slice(0, 12), problem })),
  };
}

/** Of each node that may not offer models and does. */
function withheldProblems({ offers }: Pick<Models, 'offers'>, { member }: Pick<Enrolment, 'member'>) {
  return offers.withheld().map(({ nodeId, models }) => {
    const name = member(nodeId)?.name ?? nodeId.slice(0, 12);
    return { nodeId, problem: `offers ${models.length} models and may not: manage-federation models allow ${name}` };
  });
}
