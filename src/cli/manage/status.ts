import { hubOf } from '#src/cli/manage/context.ts';
import type { GlobalFlags } from '#src/cli/manage/context.ts';
import { LIFT, lockdownText } from '#src/cli/manage/lockdown.ts';
import { ago, printFacts, printJson } from '#src/cli/print.ts';
import type { Status } from '#src/protocol/hub-api/status.ts';

/** `manage-federation status` */
export async function showStatus(flags: GlobalFlags): Promise<number> {
  const status = await (await hubOf(flags)).ask<Status>('GET', '/status');
  if (flags.json) printJson(status);
  else printFacts(statusFacts(status));
  return 0;
}

function statusFacts({ nodes, gateway, tailnet, policy, lockdown, ...status }: Status): [string, string][] {
  const present = Object.entries(nodes).filter(([, count]) => count > 0);
  return [
    ['hub', `${status.name}, version ${status.version}, process ${status.pid}, started ${ago(status.startedAt)}`],
    ['fingerprint', status.fingerprint],
    ['listens on', status.listening.join(', ')],
    ...(tailnet.state === 'off' ? [] : [['tailnet', tailnetText(tailnet)] satisfies [string, string]]),
    ...(lockdown === null ? [] : [['lockdown', `${lockdownText(lockdown)}  (${LIFT})`] satisfies [string, string]]),
    ['nodes', present.map(([state, count]) => `${count} ${state}`).join(', ') || 'none'],
    ['pending', `${status.pending}${status.pending > 0 ? '  (manage-federation pending)' : ''}`],
    ...(policy.state === 'none' ? [] : [['policy', policyText(policy)] satisfies [string, string]]),
    ['jobs', `${status.jobs.running} running`],
    ...modelsFacts(status.models),
    ['gateway', gatewayText(gateway)],
  ];
}

function modelsFacts(models: Status['models']): [string, string][] {
  if (models === undefined || (models.shared === 0 && models.problems.length === 0)) return [];
  const shared = `${models.shared} shared by ${models.nodes} ${models.nodes === 1 ? 'node' : 'nodes'}`;
  return [
    ['models', shared],
    ...models.problems.map(({ node, problem }): [string, string] => ['', `${node}: ${problem}`]),
  ];
}

function tailnetText({ state, addresses, dnsName, problem }: Status['tailnet']): string {
  const reason = problem === null ? '' : `: ${problem}`;
  if (state === 'absent') return `not there${reason}`;
  if (addresses.length === 0) return `${state}${reason}  (tailscale status)`;
  return `${dnsName ?? 'no name'}, ${addresses.join(', ')}${reason}`;
}

function policyText({ state, mode, rules, problem }: Status['policy']): string {
  const loaded = `${rules} ${rules === 1 ? 'rule' : 'rules'}, ${mode === 'warn' ? 'only said and not done (mode is warn)' : 'enforced'}`;
  if (state !== 'broken') return loaded;
  return `broken: ${problem}; ${rules === 0 ? 'nobody is approved' : `in use are those from before: ${loaded}`}`;
}

function gatewayText({ state, url, version, problem }: Status['gateway']): string {
  if (state === 'absent') return 'none (light federation)';
  if (state === 'connected') return `OpenClaw ${version ?? ''} at ${url}`;
  return `not connected: ${problem}`;
}
