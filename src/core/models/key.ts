import { matchesWord } from '#src/core/wildcard.ts';

/** Who asks for a model. */
export type Consumer =
  | { readonly kind: 'operator'; readonly name: string }
  | { readonly kind: 'node'; readonly id: string; readonly name: string }
  | { readonly kind: 'key'; readonly id: string; readonly name: string };

export const BUDGET_UNITS = ['tokens', 'requests'] as const;
export type BudgetUnit = (typeof BUDGET_UNITS)[number];
/** Days and months are those of UTC. */
export const BUDGET_PERIODS = ['day', 'month', 'total'] as const;
export type BudgetPeriod = (typeof BUDGET_PERIODS)[number];

export interface ModelBudget {
  readonly amount: number;
  readonly unit: BudgetUnit;
  readonly per: BudgetPeriod;
}

/** What the hub keeps of a key for programs that use models or agents: never the secret, only its hash. */
export interface ModelKey {
  /** SHA-256 of the secret, hex. */
  readonly id: string;
  readonly name: string;
  /** What may be written as `model`; `*` stands for any part. */
  readonly models: readonly string[];
  /** Agents that it reaches over A2A, as `src/core/handoff/reach.ts` reads them; a key from before there were any has none. */
  readonly agents?: readonly string[] | undefined;
  /** All of them hold. */
  readonly budgets: readonly ModelBudget[];
  /** Requests in a minute; null: as many as come. */
  readonly rpm: number | null;
  /** Milliseconds since the epoch, as all times here. */
  readonly createdAt: number;
  readonly createdBy: string;
  readonly expiresAt: number | null;
  readonly revokedAt: number | null;
}

export type Spent = Readonly<Record<BudgetUnit, number>>;

/** What a key used in the day and the month of its last request, and altogether. */
export interface Spending {
  /** Of the key. */
  readonly id: string;
  /** `2026-11-21` */
  readonly day: string;
  readonly ofDay: Spent;
  readonly ofMonth: Spent;
  readonly total: Spent;
}

const NOTHING: Spent = { tokens: 0, requests: 0 };

export function dayOf(now: number): string {
  return new Date(now).toISOString().slice(0, 10);
}

export function nothingSpent(id: string): Spending {
  return { id, day: '', ofDay: NOTHING, ofMonth: NOTHING, total: NOTHING };
}

/** What was spent in the period that runs now. */
export function spentIn(spending: Spending, per: BudgetPeriod, now: number): Spent {
  if (per === 'total') return spending.total;
  const today = dayOf(now);
  if (per === 'day') return spending.day === today ? spending.ofDay : NOTHING;
  return spending.day.slice(0, 7) === today.slice(0, 7) ? spending.ofMonth : NOTHING;
}

export function spend(spending: Spending, spent: Spent, now: number): Spending {
  const plus = (before: Spent): Spent => ({
    tokens: before.tokens + spent.tokens,
    requests: before.requests + spent.requests,
  });
  return {
    id: spending.id,
    day: dayOf(now),
    ofDay: plus(spentIn(spending, 'day', now)),
    ofMonth: plus(spentIn(spending, 'month', now)),
    total: plus(spending.total),
  };
}

/**
 * The first budget that has no room for one more request. `isSpent`: there is nothing left; else what is left is held
 * for requests that are under way. A request that is alone with a rest of its budget is let in, however much it takes.
 */
export function lackingBudget(
  { budgets }: Pick<ModelKey, 'budgets'>,
  spending: Spending,
  reserved: Spent,
  wanted: Spent,
  now: number,
): { readonly budget: ModelBudget; readonly isSpent: boolean } | null {
  for (const budget of budgets) {
    const { amount, unit, per } = budget;
    const spent = spentIn(spending, per, now)[unit];
    if (spent >= amount) return { budget, isSpent: true };
    if (reserved[unit] > 0 && spent + reserved[unit] + wanted[unit] > amount) return { budget, isSpent: false };
  }
  return null;
}

/** Whether the key is for what a client wrote as `model`. What names none is for keys that are for all. */
export function isForModel({ models }: Pick<ModelKey, 'models'>, model: string): boolean {
  return models.some((pattern) => matchesWord(pattern, model));
}

export function isGood({ revokedAt, expiresAt }: ModelKey, now: number): boolean {
  return revokedAt === null && (expiresAt === null || now < expiresAt);
}

/** `100000 tokens a day`, `500 requests in all` */
export function budgetText({ amount, unit, per }: ModelBudget): string {
  return `${amount} ${unit} ${per === 'total' ? 'in all' : `a ${per}`}`;
}
