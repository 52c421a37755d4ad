import type { Deployed } from '#src/deploy/doctor/deployed.ts';
import type { MachineFinding } from '#src/deploy/doctor/finding.ts';
import { asRoot } from '#src/deploy/as-root.ts';
import type { Facts } from '#src/deploy/facts.ts';
import { unitIn } from '#src/deploy/facts.ts';

/** Whether another program has a port that one of ours needs: one that listens while ours does not run. */
export function checkPorts(facts: Facts, deployed: Deployed): MachineFinding[] {
  const taken = portsOf(facts, deployed).filter(
    ({ port, isOurs }) => !isOurs && facts.ports.some((one) => one.port === port),
  );
  if (taken.length === 0) return [];
  return taken.map(({ port, whose }) => ({
    check: `port ${port}`,
    state: 'fail',
    found: `another program listens there, which ${whose} needs`,
    why: `${whose} can’t start, or can’t be reached`,
    mend: asRoot(facts, `ss -ltnp "sport = :${port}"`),
  }));
}

interface Port {
  readonly port: number;
  readonly whose: string;
  readonly isOurs: boolean;
}

function portsOf(facts: Facts, { isMaster, wanted, master, worker }: Deployed): Port[] {
  const { place, gateway } = facts;
  const runs = (name: string): boolean => unitIn(facts, { name, scope: place.scope })?.active === true;
  const hub: Port = {
    port: master?.settings.settings?.hub.port ?? wanted.port,
    whose: 'the hub',
    isOurs: runs('federation-hub.service'),
  };
  const carrier: Port = {
    port: worker.settings.settings?.nodeHost.carrierPort ?? 0,
    whose: 'the node host',
    isOurs: runs('openclaw-worker.service'),
  };
  const gatewayPort: Port = {
    port: gateway.port,
    whose: 'OpenClaw’s gateway',
    isOurs: gateway.unit !== null || runs('openclaw-gateway.service'),
  };
  const hasNodeHost = worker.settings.settings?.nodeHost.enabled === true;
  return [
    ...(isMaster ? [hub] : []),
    ...(hasNodeHost ? [carrier] : []),
    ...(isMaster && !wanted.light ? [gatewayPort] : []),
  ];
}
