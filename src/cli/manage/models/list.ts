import { say } from '#src/adapters/terminal.ts';
import type { GlobalFlags } from '#src/cli/manage/context.ts';
import { hubOf } from '#src/cli/manage/context.ts';
import { printJson, printTable } from '#src/cli/print.ts';
import type { ListedModelView } from '#src/protocol/models.ts';

/** `manage-federation models list` */
export async function listModels(flags: GlobalFlags & { readonly all?: boolean }): Promise<number> {
  const models = await (await hubOf(flags)).ask<ListedModelView[]>('GET', '/models');
  if (flags.json === true) {
    printJson(models);
    return 0;
  }
  const shown = flags.all === true ? models : models.filter(({ kind }) => kind !== 'pinned');
  if (shown.length === 0)
    say('no node shares a model; on a machine that has some: manage-federation models share ollama');
  else {
    printTable(
      ['MODEL', 'NODES', 'API', 'CONTEXT', 'IN MEMORY', 'MEANS'],
      shown.map(({ id, kind, model, nodes, apis, facts, loaded }) => [
        id,
        nodes.join(', ') || '-',
        apis.join(', '),
        facts.contextWindow === undefined ? '-' : String(facts.contextWindow),
        loaded === null ? '-' : loaded ? 'yes' : 'no',
        kind === 'route' ? model : '-',
      ]),
    );
  }
  return 0;
}
