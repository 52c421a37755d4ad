import { masterText } from '#src/cli/deploy/master-address.ts';
import { fingerprint } from '#src/core/node.ts';
import type { Facts } from '#src/deploy/facts.ts';
import type { Wanted } from '#src/deploy/wanted.ts';

export type DeploymentResult = MasterResult | NodeResult;

interface MasterResult {
  readonly name: string | null;
  /** Full name in the tailnet. */
  readonly dnsName: string | null;
  readonly addresses: readonly string[];
  readonly port: number;
}

interface NodeResult {
  readonly name: string | null;
  readonly id: string | null;
  /** What a person compares where the node waits for approval. */
  readonly fingerprint: string | null;
  /** `member`, `waiting`, or how else the link stands; null where no worker daemon runs. */
  readonly link: string | null;
  readonly hub: string;
}

/** What has come of a deployment. */
export function deploymentResult({ tailscale, worker }: Facts, { master, port }: Wanted): DeploymentResult {
  if (master === null) {
    const { dnsName, addresses } = tailscale;
    return { name: worker?.name ?? null, dnsName, addresses, port };
  }
  const id = worker?.id ?? null;
  return {
    name: worker?.name ?? null,
    id,
    fingerprint: id === null ? null : fingerprint(id),
    link: worker?.link ?? null,
    hub: worker?.hub ?? masterText(master),
  };
}

/** The same in words, with what to do next. */
export function resultLines(facts: Facts, wanted: Wanted): string[] {
  const { tailscale, worker } = facts;
  const { master, port, telegram } = wanted;
  if (master === null) {
    const host = tailscale.dnsName ?? tailscale.addresses[0];
    const places = [tailscale.dnsName, ...tailscale.addresses].filter((place) => place !== null);
    return [
      `the master runs: ${places.length === 0 ? 'reached on this machine only' : places.join(', ')}, port ${port}`,
      'next, on another machine:',
      `  deploy-federation worker ${host === undefined ? 'MASTER' : masterText({ host, port })}`,
      'or from here, where ssh reaches it:',
      '  deploy-federation worker --ssh USER@HOST',
      'on this machine:',
      '  manage-federation token create    a token that lets it in without waiting',
      '  manage-federation pending         the nodes that wait for approval',
      ...(telegram === null ? [] : ['at Telegram, to the bot: which machines are there?']),
    ];
  }
  const name = worker?.name ?? 'this node';
  if (worker?.link === 'member') return [`${name} is a member of ${masterText(master)}`];
  if (worker?.link === 'waiting') {
    return [
      `${name} waits for approval; its fingerprint is ${fingerprint(worker.id)}`,
      `on ${masterText(master)}:`,
      `  manage-federation approve ${name}`,
    ];
  }
  return [`${name} is deployed; its link to ${masterText(master)} is ${worker?.link ?? 'not known'}`];
}
