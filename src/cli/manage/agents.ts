import { say } from '#src/adapters/terminal.ts';
import type { GlobalFlags } from '#src/cli/manage/context.ts';
import { hubOf } from '#src/cli/manage/context.ts';
import { printJson, printTable } from '#src/cli/print.ts';
import type { AgentView } from '#src/protocol/handoffs.ts';

/** `manage-federation agents`: who takes handoffs, and how much each has to do. */
export async function listAgents(flags: GlobalFlags): Promise<number> {
  const agents = await (await hubOf(flags)).ask<AgentView[]>('GET', '/agents');
  if (flags.json === true) printJson(agents);
  else if (agents.length === 0)
    say('no node that is online has an agent; it takes an OpenClaw gateway of its own there');
  else {
    // Those of one machine stay in their order: its name alone means the first.
    const sorted = agents.toSorted((a, b) => a.node.localeCompare(b.node, 'en', { numeric: true }));
    printTable(
      ['AGENT', 'WORKS ON', 'WAITING', 'TAGS', 'DESCRIPTION'],
      sorted.map(({ node, id, running, concurrency, waiting, tags, description }) => [
        `${node}/${id}`,
        `${running} of ${concurrency}`,
        String(waiting),
        tags.join(' ') || '-',
        description || '-',
      ]),
    );
  }
  return 0;
}
