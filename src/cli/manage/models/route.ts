import { say } from '#src/adapters/terminal.ts';
import type { GlobalFlags } from '#src/cli/manage/context.ts';
import { hubOf } from '#src/cli/manage/context.ts';
import { ago, printEntries, printJson, printTable } from '#src/cli/print.ts';
import { FederationError } from '#src/core/errors.ts';
import type { ModelRouteSet, ModelRouteView, RouteExplanation } from '#src/protocol/models.ts';

export interface RouteFlags extends GlobalFlags {
  readonly to?: string;
  readonly node?: readonly string[];
  readonly label?: readonly string[];
  readonly remove?: boolean;
  readonly explain?: boolean;
}

/** `manage-federation models route [NAME]`: the owner's names for models, who would serve one, and a change of them. */
export async function route(name: string | undefined, flags: RouteFlags): Promise<number> {
  checkFlags(name, flags);
  const hub = await hubOf(flags);
  if (name === undefined) return printRoutes(await hub.ask('GET', '/models/routes'), flags);
  if (flags.remove === true) {
    const removed = await hub.ask<ModelRouteView>('POST', '/models/routes/remove', { alias: name });
    if (flags.json === true) printJson(removed);
    else say(`${removed.alias} is no name for ${removed.model} any more`);
    return 0;
  }
  if (flags.to === undefined) {
    const query = encodeURIComponent(name);
    return printExplanation(await hub.ask('GET', `/models/explanation?model=${query}`), flags);
  }
  const labels = Object.fromEntries((flags.label ?? []).map(labelOf));
  const wanted: ModelRouteSet = { alias: name, model: flags.to, nodes: [...(flags.node ?? [])], labels };
  const set = await hub.ask<ModelRouteView>('PUT', '/models/routes', wanted);
  if (flags.json === true) printJson(set);
  else say(`${set.alias} means ${set.model} ${whereOf(set)}`);
  return 0;
}

function checkFlags(name: string | undefined, { to, node, label, remove, explain }: RouteFlags): void {
  const wrong = (message: string): FederationError =>
    new FederationError('USAGE', message, { hint: 'manage-federation models route fast --to qwen3:8b --node box' });
  if (name === undefined && (to !== undefined || remove === true || explain === true)) {
    throw wrong('no name given');
  }
  if (to !== undefined && (remove === true || explain === true))
    throw wrong('--to changes a name: leave the other flag out');
  if (to === undefined && (node !== undefined || label !== undefined)) {
    throw wrong('--node and --label say where a name leads: give --to, too');
  }
}

function labelOf(text: string): readonly [string, string] {
  const at = text.indexOf('=');
  if (at > 0) return [text.slice(0, at), text.slice(at + 1)];
  throw new FederationError('USAGE', `--label: ${JSON.stringify(text)} is not KEY=VALUE`, { hint: '--label gpu=yes' });
}

function whereOf({ nodes, labels }: Pick<ModelRouteView, 'nodes' | 'labels'>): string {
  const having = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
  const where = nodes.length === 0 ? 'on every node that has it' : `on ${nodes.join(', ')}`;
  return having.length === 0 ? where : `${where}, of those with ${having.join(', ')}`;
}

function printRoutes(routes: readonly ModelRouteView[], flags: GlobalFlags): number {
  if (flags.json === true) printJson(routes);
  else if (routes.length === 0)
    say('no model has a name of yours; give one: manage-federation models route fast --to MODEL');
  else {
    printTable(
      ['NAME', 'MEANS', 'WHERE', 'SINCE', 'BY'],
      routes.map((one) => [one.alias, one.model, whereOf(one), ago(one.createdAt), one.createdBy]),
    );
  }
  return 0;
}

function printExplanation(explanation: RouteExplanation, flags: GlobalFlags): number {
  if (flags.json === true) printJson(explanation);
  else {
    printEntries(
      ['NODE', 'UPSTREAM', 'MODEL', 'VERDICT', 'BUSY', 'FIRST BYTE'],
      explanation.candidates.map((one) => ({
        row: [
          one.node,
          one.upstream,
          one.model,
          one.verdict,
          `${one.inFlight}/${one.concurrency}${one.waiting > 0 ? ` +${one.waiting}` : ''}`,
          one.firstByteMs === null ? '-' : `${Math.round(one.firstByteMs)} ms`,
        ],
        notes: [one.reason],
      })),
    );
  }
  return 0;
}
