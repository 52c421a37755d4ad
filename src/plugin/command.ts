import type { OpenClawPluginCommandDefinition, PluginCommandResult } from 'openclaw/plugin-sdk/plugin-entry';
import type { HubApi } from '#src/adapters/hub-api.ts';
import { visible } from '#src/core/action.ts';
import { FederationError } from '#src/core/errors.ts';
import { wantsText } from '#src/core/request-text.ts';
import { summaryText } from '#src/core/result-text.ts';
import { failureText } from '#src/plugin/agent-tool.ts';
import { askerOfCommand } from '#src/plugin/asker.ts';
import { block } from '#src/plugin/block.ts';
import { commandButton } from '#src/plugin/buttons.ts';
import type { PluginHub } from '#src/plugin/hub.ts';
import { statusText } from '#src/plugin/status-text.ts';
import type { JobView } from '#src/protocol/hub-api/job.ts';
import type { ApprovedView, PairingRequestView } from '#src/protocol/hub-api/pairing-request.ts';
import type { Status } from '#src/protocol/hub-api/status.ts';

export const COMMAND = 'federation';

const HELP = [
  '/federation status: the hub, and how many machines are online',
  '/federation pending: machines that want in, each with a button',
  '/federation approve ID: lets one in',
  '/federation reject ID: turns one away',
  '/federation jobs: what ran lately',
].join('\n');

type Handler = (hub: HubApi, word: string, channel: string) => Promise<PluginCommandResult>;

const HANDLERS: Readonly<Record<string, Handler>> = {
  status: async (hub) => told(statusText(await hub.ask<Status>('GET', '/status')).split('\n')),
  pending,
  approve,
  reject,
  jobs,
  help: async () => ({ text: HELP }),
};

/** `/federation …`: answers without the agent, the owner alone. */
export function federationCommand(hub: PluginHub): OpenClawPluginCommandDefinition {
  return {
    name: COMMAND,
    description: 'Machines of the federation: status, pending, approve, reject, jobs',
    acceptsArgs: true,
    requireAuth: true,
    // In a chat OpenClaw takes the owner alone for one who has it.
    requiredScopes: ['operator.admin'],
    async handler(context) {
      const [verb = 'status', ...words] = (context.args ?? '').split(/\s+/).filter((word) => word !== '');
      const handler = HANDLERS[verb.toLowerCase()] ?? HANDLERS['help']!;
      try {
        return await handler(hub.as(askerOfCommand(context)), words.join(' '), context.channel);
      } catch (error) {
        if (!(error instanceof FederationError)) throw error;
        return told(`error: ${failureText(error)}`.split('\n'));
      }
    },
  };
}

/** Machines and people chose words of it, whom a chat must not take for the writer of links, mentions and emphasis. */
function told(lines: readonly string[]): { text: string } {
  return { text: block(lines.map(visible)) };
}

/** More are for a terminal. */
const MOST = 10;

async function pending(hub: HubApi, _: string, channel: string): Promise<PluginCommandResult> {
  const requests = await hub.ask<PairingRequestView[]>('GET', '/pairing-requests');
  const waiting = requests.filter(({ rejected }) => !rejected);
  if (waiting.length === 0) return { text: 'Nobody waits to be let in.' };
  const shown = waiting.slice(0, MOST);
  const more = waiting.length > MOST ? ['', `and ${waiting.length - MOST} more: manage-federation pending`] : [];
  return {
    ...told([...shown.flatMap((request, at) => [...(at === 0 ? [] : ['']), ...requestLines(request)]), ...more]),
    presentation: { blocks: [{ type: 'buttons', buttons: shown.flatMap((request) => buttons(channel, request)) }] },
  };
}

function requestLines(request: PairingRequestView): string[] {
  const { id, name, fingerprint, address, tailnet, risks, held } = request;
  const machine =
    tailnet === null ? address : `${address}, ${tailnet.name} of ${tailnet.user ?? tailnet.tags.join(' ')}`;
  return [
    `${name} wants ${wantsText(request)}`,
    `fingerprint ${fingerprint}, id ${id.slice(0, 12)}, from ${machine}`,
    ...risks.map((risk) => `• ${risk}`),
    ...(held === null ? [] : [`held: ${held}`]),
  ];
}

/** Without --replace: what takes the place of another is decided on the master. */
function buttons(channel: string, { id, name }: PairingRequestView) {
  return [
    commandButton(channel, visible(`Approve ${name}`), 'approve', id),
    commandButton(channel, visible(`Reject ${name}`), 'reject', id),
  ];
}

async function approve(hub: HubApi, word: string): Promise<PluginCommandResult> {
  const { name, role, fingerprint } = await hub.ask<ApprovedView>('POST', pathOf(word, 'approve'), {});
  return told([`Approved ${name} as ${role} (${fingerprint}).`]);
}

async function reject(hub: HubApi, word: string): Promise<PluginCommandResult> {
  await hub.ask('POST', pathOf(word, 'reject'));
  return told([`Rejected ${word}.`]);
}

function pathOf(word: string, verb: 'approve' | 'reject'): string {
  if (word !== '') return `/pairing-requests/${encodeURIComponent(word)}/${verb}`;
  throw new FederationError('USAGE', `whom to ${verb}?`, { hint: '/federation pending' });
}

async function jobs(hub: HubApi): Promise<PluginCommandResult> {
  const ran = await hub.ask<JobView[]>('GET', `/jobs?limit=${MOST}`);
  if (ran.length === 0) return { text: 'Nothing ran yet.' };
  return told(ran.map(jobText));
}

/** Longest command line of one that is listed. */
const COMMAND_SHOWN = 80;

function jobText({ by, command, startedAt, endedAt, summary, results }: JobView): string {
  const where = results.length === 1 ? results[0]!.node : `${results.length} machines`;
  const how = endedAt === null ? 'runs' : summaryText(summary);
  const what = command.length > COMMAND_SHOWN ? `${command.slice(0, COMMAND_SHOWN)}…` : command;
  return `${startedAt.slice(0, 16).replace('T', ' ')} ${where}: ${what} → ${how} (${by})`;
}
