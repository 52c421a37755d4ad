import type { GlobalFlags } from '#src/cli/manage/context.ts';
import { hubOf } from '#src/cli/manage/context.ts';
import { sayLockdown } from '#src/cli/manage/lockdown.ts';
import { NODE_HOST_WORDS, openClawText } from '#src/cli/manage/node-words.ts';
import { ago, printJson, printTable, shortId } from '#src/cli/print.ts';
import { say } from '#src/adapters/terminal.ts';
import type { NodeView } from '#src/protocol/hub-api/node.ts';
import type { OpenClawNodeView } from '#src/protocol/hub-api/openclaw-node.ts';

/** `manage-federation list`: the members, then OpenClaw's own nodes. */
export async function listNodes(flags: GlobalFlags): Promise<number> {
  const hub = await hubOf(flags);
  const nodes = await hub.ask<NodeView[]>('GET', '/nodes');
  const others = await hub.ask<OpenClawNodeView[]>('GET', '/openclaw-nodes');
  await sayLockdown(hub);
  if (flags.json) {
    printJson([
      ...nodes.map(({ openclaw, ...node }) => ({ ...node, openclaw })),
      ...others.map(({ id, name, ...node }) => ({ id, name, role: 'node-host', ...node })),
    ]);
  } else if (nodes.length + others.length === 0) say('no nodes yet; on the master: manage-federation token create');
  else {
    const rows = [...nodes.map(memberRow), ...others.map(openClawRow)];
    const isMarked = nodes.some(({ groups, labels }) => groups.length > 0 || Object.keys(labels).length > 0);
    const head = ['NAME', 'ROLE', 'STATE', 'OPENCLAW', 'VERSION', 'SEEN', 'ID', 'GROUPS AND LABELS'];
    const shown = (row: readonly string[]): readonly string[] => (isMarked ? row : row.slice(0, -1));
    printTable(shown(head), rows.map(shown));
  }
  return 0;
}

function memberRow(node: NodeView): string[] {
  return [
    node.name,
    node.role,
    node.drained ? `${node.state}, drained` : node.state,
    NODE_HOST_WORDS[node.openclaw.nodeHost],
    node.version,
    ago(node.lastSeenAt),
    shortId(node.id),
    marksText(node),
  ];
}

function openClawRow(node: OpenClawNodeView): string[] {
  return [
    node.name,
    'node-host',
    node.state,
    openClawText(node),
    node.version ?? '-',
    node.lastSeenAt === null ? '-' : ago(node.lastSeenAt),
    shortId(node.id),
    '',
  ];
}

/** `@rack1 gpu=yes` */
function marksText({ groups, labels }: NodeView): string {
  return [
    ...groups.map((group) => `@${group}`),
    ...Object.entries(labels).map(([key, value]) => `${key}=${value}`),
  ].join(' ');
}
