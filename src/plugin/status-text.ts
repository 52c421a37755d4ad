import { harmless } from '#src/adapters/terminal.ts';
import type { Status } from '#src/protocol/hub-api/status.ts';

/** The hub in a few lines. */
export function statusText({ name, version, nodes, pending, jobs, gateway, lockdown }: Status): string {
  const counts = Object.entries(nodes)
    .filter(([, count]) => count > 0)
    .map(([state, count]) => `${count} ${state}`);
  const lines = [
    `${name} is the master, version ${version}`,
    `machines: ${counts.join(', ') || 'none'}`,
    `${jobs.running} running, ${pending} waiting to be let in`,
    ...(gateway.state === 'connected'
      ? []
      : [`the gateway is ${gateway.state}${gateway.problem ? `: ${gateway.problem}` : ''}`]),
    ...(lockdown === null
      ? []
      : [
          `locked down since ${lockdown.since}: nothing is run${lockdown.reason === null ? '' : ` (${lockdown.reason})`}`,
        ]),
  ];
  return harmless(lines.join('\n'));
}
