import { say } from '#src/adapters/terminal.ts';
import type { GlobalFlags } from '#src/cli/manage/context.ts';
import { hubOf } from '#src/cli/manage/context.ts';
import { changeEach, sayChanges } from '#src/cli/manage/member.ts';
import { printJson, printTable } from '#src/cli/print.ts';
import { FederationError } from '#src/core/errors.ts';
import { isNodeName, nodeNameFrom } from '#src/core/node.ts';
import type { NodeView } from '#src/protocol/hub-api/node.ts';

/** `manage-federation group` */
export async function listGroups(flags: GlobalFlags): Promise<number> {
  const nodes = await (await hubOf(flags)).ask<NodeView[]>('GET', '/nodes');
  const members = nodes.filter(({ state }) => state !== 'revoked');
  const names = [...new Set(members.flatMap(({ groups }) => groups))].toSorted();
  const groups = names.map((group) => ({ group, nodes: members.filter((node) => node.groups.includes(group)) }));
  if (flags.json) {
    printJson(
      groups.map((one) => ({
        group: one.group,
        nodes: one.nodes.map(({ id, name, state, drained }) => ({ id, name, state, drained })),
      })),
    );
  } else if (groups.length === 0) say('no groups yet; make one: manage-federation group add GROUP NODE');
  else
    printTable(
      ['GROUP', 'NODES'],
      groups.map((one) => [`@${one.group}`, one.nodes.map(nodeText).join(', ')]),
    );
  return 0;
}

function nodeText({ name, state, drained }: NodeView): string {
  const words = [...(state === 'online' ? [] : [state]), ...(drained ? ['drained'] : [])];
  return words.length === 0 ? name : `${name} (${words.join(', ')})`;
}

/** `manage-federation group add GROUP NODE…` */
export async function addToGroup(group: string, words: readonly string[], flags: GlobalFlags): Promise<number> {
  const name = groupName(group);
  const changes = await changeEach(words, 'groups', { add: [name] }, flags);
  return sayChanges(changes, ({ groups }) => !groups.includes(name), flags, {
    done: `in @${name}; try: manage-federation exec @${name} -- uptime`,
    before: `in @${name} already`,
  });
}

/** `manage-federation group remove GROUP NODE…` */
export async function removeFromGroup(group: string, words: readonly string[], flags: GlobalFlags): Promise<number> {
  const name = groupName(group);
  const changes = await changeEach(words, 'groups', { remove: [name] }, flags);
  return sayChanges(changes, ({ groups }) => groups.includes(name), flags, {
    done: `not in @${name} any more`,
    before: `not in @${name} before either`,
  });
}

/** As it is typed elsewhere, with its @, or without. */
function groupName(text: string): string {
  const name = text.replace(/^@/, '');
  if (isNodeName(name)) return name;
  throw new FederationError('USAGE', `a group is named as a node is: 1 to 63 of a-z, 0-9 and -`, {
    hint: `manage-federation group add ${nodeNameFrom(name)} NODE`,
  });
}
