import type { Gateway } from '#src/adapters/openclaw/gateway.ts';
import type { GatewayNode } from '#src/adapters/openclaw/gateway-node.ts';
import { FederationError } from '#src/core/errors.ts';
import type { Member } from '#src/core/member.ts';
import { fingerprint } from '#src/core/node.ts';
import { findNode } from '#src/core/selector.ts';
import { shellWord } from '#src/core/shell-word.ts';
import { createAnswering } from '#src/hub/enrolment/answering.ts';
import type { Fleet } from '#src/hub/fleet/fleet.ts';
import { offersNodeHost } from '#src/hub/openclaw/gateway.ts';
import type { JudgedRequest } from '#src/hub/enrolment/requests.ts';
import { findMember } from '#src/hub/fleet/targets.ts';
import type { OpenClawNodeView } from '#src/protocol/hub-api/openclaw-node.ts';
import type { Readiness } from '#src/protocol/hub-api/readiness.ts';

/** How far nodes that were let in are on their way to be usable. */
export interface Readinesses {
  /**
   * Of a member or one of OpenClaw's own nodes, by name, id, unique id prefix or fingerprint; of a member also by its
   * device. Throws NODE_AMBIGUOUS, or NODE_NOT_FOUND, which tells of one that waits for approval or was revoked.
   */
  of(word: string): Promise<Readiness>;
}

export interface ReadinessParts {
  readonly members: () => Iterable<Member>;
  readonly waiting: () => readonly JudgedRequest[];
  readonly openClawNodes: () => readonly OpenClawNodeView[];
  readonly fleet: Pick<Fleet, 'state'>;
  readonly quarantine: (member: Member) => string | null;
  /** Null on a federation without OpenClaw. */
  readonly gateway: Gateway | null;
  /** Of the hub. */
  readonly signal: AbortSignal;
}

type Step = Readiness['steps'][number];

export function createReadinesses({
  members,
  waiting,
  openClawNodes,
  fleet,
  quarantine,
  gateway,
  signal,
}: ReadinessParts): Readinesses {
  const answering = gateway === null ? null : createAnswering(gateway, signal);

  /** Why it does not answer; null where it does, or offers nothing that can be asked without doing anything. */
  async function silence(deviceId: string, node: GatewayNode): Promise<string | null> {
    return answering === null || !node.commands.includes('system.which') ? null : await answering.silence(deviceId);
  }

  async function commands(name: string, deviceId: string, node: GatewayNode | undefined): Promise<Step> {
    if (node?.connected !== true || node.commands.length === 0) {
      return waits('commands', 'OpenClaw to list its commands', atGateway(node, name));
    }
    const problem = await silence(deviceId, node);
    return problem === null
      ? done('commands')
      : waits('commands', `an answer of its commands: ${problem}`, check(name));
  }

  function link(member: Member): Step {
    const state = fleet.state(member);
    if (state === 'online') return done('linked');
    if (state === 'suspect') return waits('linked', 'a sign of life on its link', daemon(member.name));
    const doubt = state === 'quarantined' ? quarantine(member) : null;
    if (doubt !== null) return waits('linked', `a decision on its identity: ${doubt}`, PENDING);
    return waits('linked', 'its worker daemon to connect', daemon(member.name));
  }

  async function ofMember(member: Member): Promise<Readiness> {
    const { name } = member;
    const steps = [done('admitted'), link(member)];
    if (gateway !== null && offersNodeHost(member)) {
      const device = member.openclaw?.removing === false ? member.openclaw.deviceId : null;
      const node = device === null ? undefined : gateway.nodes().get(device);
      const isThere = node?.connected === true;
      const what = node === undefined ? 'its node host to join OpenClaw' : 'its node host to connect to OpenClaw';
      const away = gatewayAway(gateway);
      const nodeHost = isThere ? done('node-host') : (away?.('node-host') ?? waits('node-host', what, check(name)));
      steps.push(nodeHost, await commands(name, device ?? '', node));
    }
    return readiness('member', member, steps);
  }

  async function ofOpenClaw(seen: OpenClawNodeView): Promise<Readiness> {
    const { id, name } = seen;
    const node = gateway?.nodes().get(id);
    const away = gateway === null ? null : gatewayAway(gateway);
    if (away !== null) return readiness('openclaw', seen, [away('device')]);
    const steps = [device(seen, node), reconnection(seen, node), surface(name, node), await commands(name, id, node)];
    return readiness('openclaw', seen, steps);
  }

  /** The one that a word means, be it a member or not; a former member is told by what it throws. */
  function find(word: string): Member | OpenClawNodeView {
    const current = [...members()].filter(({ revokedAt }) => revokedAt === null);
    const ours = current.map((member) => ({ ...named(member), keyId: member.openclaw?.deviceId ?? member.id, member }));
    const others = openClawNodes().map((node) => ({ ...named(node), member: node }));
    try {
      return findNode([...ours, ...others], word).member;
    } catch (error) {
      if (!(error instanceof FederationError) || error.code !== 'NODE_NOT_FOUND') throw error;
      return findMember([...members()], waiting, word);
    }
  }

  return {
    async of(word) {
      const found = find(word);
      return 'role' in found ? await ofMember(found) : await ofOpenClaw(found);
    },
  };
}

function readiness(kind: Readiness['kind'], { id, name }: { id: string; name: string }, steps: Step[]): Readiness {
  return { id, name, fingerprint: fingerprint(id), kind, usable: steps.every((step) => step.done), steps };
}

function device({ name, state }: OpenClawNodeView, node: GatewayNode | undefined): Step {
  if (state === 'removing') return waits('device', 'nothing: it was revoked, and the gateway removes it', STATUS);
  if (node?.paired === true) return done('device');
  return waits('device', 'the gateway to know its device', `on ${name}: restart openclaw node run, which asks again`);
}

function reconnection({ name, platform }: OpenClawNodeView, node: GatewayNode | undefined): Step {
  if (node?.connected === true) return done('reconnected');
  const isApp = /^(?:ios|ipados|android)/i.test(platform ?? '');
  const run = isApp ? 'open OpenClaw' : 'restart openclaw node run, which gives up once it was refused';
  return waits('reconnected', 'it to connect again', `on ${name}: ${run}`);
}

function surface(name: string, node: GatewayNode | undefined): Step {
  const state = node?.approvalState ?? 'unknown';
  // By what was approved before it can be called, whatever more it asks for.
  if (state === 'approved' || state === 'pending-reapproval') return done('surface');
  if (state === 'pending-approval') return waits('surface', 'an approval of its commands', approval(name));
  return waits('surface', 'it to say which commands it offers', null);
}

/** The step that can't be looked at while the gateway is not connected; null while it is. */
function gatewayAway(gateway: Gateway): ((step: Step['step']) => Step) | null {
  const { state, problem } = gateway.status();
  if (state === 'connected') return null;
  return (step) => waits(step, `the OpenClaw gateway: ${problem ?? 'it is not connected'}`, STATUS);
}

function atGateway(node: GatewayNode | undefined, name: string): string {
  return node?.approvalState.startsWith('pending') === true ? approval(name) : check(name);
}

function done(step: Step['step']): Step {
  return { step, done: true, waitsFor: null, run: null };
}

function waits(step: Step['step'], waitsFor: string, run: string | null): Step {
  return { step, done: false, waitsFor, run };
}

const STATUS = 'on the master: manage-federation status';
const PENDING = 'on the master: manage-federation pending';

function approval(name: string): string {
  return `on the master: manage-federation approve ${shellWord(name)}`;
}

function check(name: string): string {
  return `on ${name}: deploy-federation doctor`;
}

/** One that was started by hand has no service, and nothing of it was deployed that a doctor could look at. */
function daemon(name: string): string {
  return `on ${name}: is its worker daemon running? systemctl status openclaw-worker, or federation-worker`;
}

function named({ id, name }: { id: string; name: string }): { readonly id: string; readonly name: string } {
  return { id, name };
}
