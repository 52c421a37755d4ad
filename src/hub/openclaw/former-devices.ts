import type { Log } from '#src/adapters/log.ts';
import type { Member } from '#src/core/member.ts';
import type { OpenClawNode } from '#src/core/openclaw-node.ts';
import type { MembershipKeeper } from '#src/hub/enrolment/membership.ts';
import type { OpenClawRecords } from '#src/hub/openclaw/records.ts';

export interface FormerDevicesOptions {
  readonly membership: Pick<MembershipKeeper, 'state' | 'changes'>;
  readonly records: OpenClawRecords;
  /** One decision after the other. */
  readonly inTurn: <T>(work: () => Promise<T>) => Promise<T>;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/**
 * Keeps the device of each member that is revoked as a revoked one: the member forgets it once the gateway has removed
 * it, and its key could ask there as one that nobody knows. Resolves when this is so of those that are revoked already.
 */
export async function barFormerDevices(options: FormerDevicesOptions): Promise<void> {
  const { membership, records, inTurn, log, signal } = options;

  async function bar(members: readonly Member[]): Promise<void> {
    const isBarred = ({ deviceId }: OpenClawNode) => typeof records.get(deviceId)?.revokedAt === 'number';
    const devices = members.flatMap(deviceOf).filter((node) => !isBarred(node));
    if (devices.length > 0) await inTurn(() => records.put(devices, []));
  }

  const onNode = (id: string): void => {
    const member = membership.state().members.get(id);
    if (member === undefined) return;
    bar([member]).catch((error: unknown) =>
      log.warn('the device of a revoked node was not kept as revoked', { node: id, problem: String(error) }),
    );
  };
  membership.changes.on('node', onNode);
  signal.addEventListener('abort', () => membership.changes.off('node', onNode));
  await bar([...membership.state().members.values()]);
}

function deviceOf({ name, tailnet, approvedAt, approvedBy, revokedAt, openclaw }: Member): OpenClawNode[] {
  if (revokedAt === null || openclaw === null) return [];
  const said = { platform: null, deviceFamily: null, rule: null, commands: null };
  // Its member's removal is under way already.
  return [{ deviceId: openclaw.deviceId, name, tailnet, approvedAt, approvedBy, ...said, removing: false, revokedAt }];
}
