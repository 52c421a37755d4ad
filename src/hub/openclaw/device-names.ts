import type { Log } from '#src/adapters/log.ts';
import type { Gateway } from '#src/adapters/openclaw/gateway.ts';
import type { Member } from '#src/core/member.ts';
import type { MembershipKeeper } from '#src/hub/enrolment/membership.ts';

export interface DeviceNamesOptions {
  readonly gateway: Gateway | null;
  readonly membership: MembershipKeeper;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/**
 * Keeps the gateway's name of each member's device that of the member: an agent calls a node as the operator does. Once
 * for a name and a connection to the gateway: one that won't take it is not asked on and on.
 */
export function followDeviceNames({ gateway, membership, log, signal }: DeviceNamesOptions): void {
  if (gateway === null) return;
  /** By device: the name that the gateway was told. */
  const told = new Map<string, string>();

  function renameAll(asked: Gateway): void {
    if (asked.status().state !== 'connected') return told.clear();
    for (const member of membership.state().members.values()) rename(asked, member);
  }

  function rename(asked: Gateway, { name, openclaw, revokedAt }: Member): void {
    if (openclaw === null || openclaw.removing || revokedAt !== null) return;
    const { deviceId } = openclaw;
    const node = asked.nodes().get(deviceId);
    // The gateway names only what has an approved surface.
    if (node?.approvalState !== 'approved' || node.displayName === name || told.get(deviceId) === name) return;
    told.set(deviceId, name);
    asked.renameNode(deviceId, name).then(
      () => log.info('the gateway knows a device by another name', { device: deviceId, name }),
      (error: unknown) =>
        log.warn('a device keeps its name at the gateway', { device: deviceId, problem: String(error) }),
    );
  }

  const onNode = (id: string): void => {
    const member = membership.state().members.get(id);
    if (member !== undefined && gateway.status().state === 'connected') rename(gateway, member);
  };
  const forget = gateway.onChange(() => renameAll(gateway));
  membership.changes.on('node', onNode);
  signal.addEventListener('abort', () => {
    forget();
    membership.changes.off('node', onNode);
  });
}
