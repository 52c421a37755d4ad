import { say } from '#src/adapters/terminal.ts';
import type { GlobalFlags } from '#src/cli/manage/context.ts';
import { hubOf } from '#src/cli/manage/context.ts';
import { placeText } from '#src/cli/manage/handoff/words.ts';
import { ago, printJson, printTable } from '#src/cli/print.ts';
import type { HandoffListed } from '#src/protocol/handoffs.ts';

/** `manage-federation handoff list` */
export async function listHandoffs(flags: GlobalFlags & { readonly limit: number }): Promise<number> {
  const handoffs = await (await hubOf(flags)).ask<HandoffListed[]>('GET', `/handoffs?limit=${flags.limit}`);
  if (flags.json === true) printJson(handoffs);
  else if (handoffs.length === 0) say('no handoffs yet; who takes them: manage-federation agents');
  else {
    printTable(
      ['HANDOFF', 'STATE', 'TO', 'BEGUN', 'BY', 'TASK'],
      handoffs.map((view) => [
        view.id,
        view.position === null ? view.state : `${view.state}, place ${view.position}`,
        placeText(view),
        ago(view.createdAt),
        view.asker,
        view.task,
      ]),
    );
  }
  return 0;
}
