import { say } from '#src/adapters/terminal.ts';
import type { GlobalFlags } from '#src/cli/manage/context.ts';
import { hubOf } from '#src/cli/manage/context.ts';
import { someOf } from '#src/cli/manage/models/some-of.ts';
import { printJson, printTable } from '#src/cli/print.ts';
import type { ListedModelView, WithheldModels } from '#src/protocol/models.ts';

/** `manage-federation models list` */
export async function listModels(flags: GlobalFlags & { readonly all?: boolean }): Promise<number> {
  const hub = await hubOf(flags);
  const models = await hub.ask<ListedModelView[]>('GET', '/models');
  if (flags.json === true) {
    printJson(models);
    return 0;
  }
  const shown = flags.all === true ? models : models.filter(({ kind }) => kind !== 'pinned');
  const withheld = await hub.ask<WithheldModels[]>('GET', '/models/withheld');
  if (shown.length === 0 && withheld.length === 0)
    say('no node shares a model; on a machine that has some: manage-federation models share ollama');
  else if (shown.length > 0) {
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
  for (const { node, models: ids } of withheld) {
    say(`${node} offers ${someOf(ids)} and may not; if it is to serve others: manage-federation models allow ${node}`);
  }
  return 0;
}
