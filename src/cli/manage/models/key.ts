import { say } from '#src/adapters/terminal.ts';
import type { GlobalFlags } from '#src/cli/manage/context.ts';
import { hubOf } from '#src/cli/manage/context.ts';
import { parseDuration } from '#src/cli/manage/duration.ts';
import { ago, printJson, printTable } from '#src/cli/print.ts';
import { FederationError } from '#src/core/errors.ts';
import { budgetText } from '#src/core/models/key.ts';
import { checkNodeName } from '#src/core/node.ts';
import type { ModelKeyCreate, ModelKeyCreated, ModelKeyView } from '#src/protocol/model-keys.ts';

export interface KeyFlags extends GlobalFlags {
  readonly models?: string;
  readonly agents?: string;
  readonly budget?: readonly string[];
  readonly rpm?: number;
  readonly ttl?: string;
}

/**
 * `manage-federation models key create NAME`: the key is alone on standard output, so that a script can take it; what it
 * is good for is said on standard error.
 */
export async function createKey(name: string, flags: KeyFlags): Promise<number> {
  const wanted: ModelKeyCreate = {
    name: checkNodeName(name),
    ...(flags.models === undefined ? {} : { models: listed(flags.models) }),
    ...(flags.agents === undefined ? {} : { agents: listed(flags.agents) }),
    budgets: (flags.budget ?? []).map(budgetOf),
    rpm: flags.rpm ?? null,
    ttlSeconds: flags.ttl === undefined ? null : parseDuration(flags.ttl, '--ttl') / 1000,
  };
  const key = await (await hubOf(flags)).ask<ModelKeyCreated>('POST', '/models/keys', wanted);
  if (flags.json === true) {
    printJson(key);
    return 0;
  }
  // Past what keeps secrets off the terminal: this one is shown on purpose, this once.
  process.stdout.write(`${key.secret}\n`);
  const until = key.expiresAt === null ? 'until it is revoked' : `and expires ${ago(key.expiresAt)}`;
  const models = key.models.length === 0 ? [] : [`models ${key.models.join(', ')} (${limitsOf(key)})`];
  const agents = key.agents.length === 0 ? [] : [`agents ${key.agents.join(', ')}`];
  say(`for ${[...models, ...agents].join(' and ')}, ${until}; it is not shown again`);
  if (models.length > 0) say('models: its API key at the base URL http://HUB:PORT/v1');
  if (agents.length > 0) say('agents: its bearer token at http://HUB:PORT/a2a/NODE/AGENT/.well-known/agent-card.json');
  say('manage-federation status names the hub');
  return 0;
}

/** `manage-federation models key list` */
export async function listKeys(flags: GlobalFlags): Promise<number> {
  const keys = await (await hubOf(flags)).ask<ModelKeyView[]>('GET', '/models/keys');
  if (flags.json === true) printJson(keys);
  else if (keys.length === 0)
    say('no program has a key for models; make one: manage-federation models key create NAME');
  else {
    printTable(
      ['NAME', 'ID', 'MODELS', 'AGENTS', 'LIMITS', 'TODAY', 'THIS MONTH', 'EXPIRES', 'MADE BY'],
      keys.map((key) => [
        key.name,
        key.id.slice(0, 12),
        key.models.join(', ') || '-',
        key.agents.join(', ') || '-',
        limitsOf(key),
        spentText(key.spent.day),
        spentText(key.spent.month),
        key.expiresAt === null ? 'never' : ago(key.expiresAt),
        key.createdBy,
      ]),
    );
  }
  return 0;
}

/** `manage-federation models key revoke NAME` */
export async function revokeKey(word: string, flags: GlobalFlags): Promise<number> {
  const path = `/models/keys/${encodeURIComponent(word)}/revoke`;
  const key = await (await hubOf(flags)).ask<ModelKeyView>('POST', path);
  if (flags.json === true) printJson(key);
  else say(`revoked the key ${key.name} (${key.id.slice(0, 12)}); it lets nothing in any more`);
  return 0;
}

function listed(text: string): string[] {
  return text.split(',').map((pattern) => pattern.trim());
}

function limitsOf({ budgets, rpm }: Pick<ModelKeyView, 'budgets' | 'rpm'>): string {
  const limits = [...budgets.map(budgetText), ...(rpm === null ? [] : [`${rpm} requests a minute`])];
  return limits.length === 0 ? 'without limits' : limits.join(', ');
}

function spentText({ tokens, requests }: ModelKeyView['spent']['day']): string {
  return `${requests} requests, ${tokens} tokens`;
}

const FACTORS: Readonly<Record<string, number>> = { '': 1, k: 1000, m: 1_000_000, g: 1_000_000_000 };

/** `100k tokens/day`, `500requests/month`, `2m tokens/total` */
function budgetOf(text: string): NonNullable<ModelKeyCreate['budgets']>[number] {
  const match = /^(\d{1,12})([kmg]?)\s*(tokens|requests)\/(day|month|total)$/i.exec(text.trim());
  const [, count = '', factor = '', unit = '', per = ''] = match ?? [];
  const amount = Number(count) * (FACTORS[factor.toLowerCase()] ?? 1);
  if (match !== null && amount >= 1 && amount <= 1_000_000_000_000) {
    return { amount, unit: unit.toLowerCase() as 'tokens', per: per.toLowerCase() as 'day' };
  }
  throw new FederationError('USAGE', `--budget: ${JSON.stringify(text)} is no budget`, {
    hint: '--budget 100ktokens/day, --budget 500requests/month, --budget 2mtokens/total',
  });
}
