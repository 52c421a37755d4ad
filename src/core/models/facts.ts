import type { ModelCost, ModelFacts, ModelInput, OfferedModel } from '#src/core/models/catalog.ts';

/**
 * What holds wherever a model is asked: the smallest of what nodes say of its sizes, the highest of the costs, and of
 * the rest what all have. A node that says nothing of something leaves it to the others.
 */
export function mergeFacts(offered: readonly OfferedModel[]): ModelFacts {
  const facts = {
    endpoints: common(offered.map(({ endpoints }) => endpoints)),
    contextWindow: least(offered.map(({ contextWindow }) => contextWindow)),
    maxTokens: least(offered.map(({ maxTokens }) => maxTokens)),
    cost: dearest(known(offered.map(({ cost }) => cost))),
    reasoning: everywhere(known(offered.map(({ reasoning }) => reasoning))),
    input: common<ModelInput>(offered.map(({ input }) => input)),
    description: known(offered.map(({ description }) => description))[0],
  };
  return Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined));
}

/** Whether any has it in memory; null where none tells. */
export function isLoaded(offered: readonly OfferedModel[]): boolean | null {
  const told = known(offered.map(({ loaded }) => loaded ?? undefined));
  return told.length === 0 ? null : told.includes(true);
}

function known<T>(values: readonly (T | undefined)[]): readonly T[] {
  return values.filter((value) => value !== undefined);
}

function least(values: readonly (number | undefined)[]): number | undefined {
  const told = known(values);
  return told.length === 0 ? undefined : told.reduce((a, b) => Math.min(a, b));
}

function dearest(costs: readonly ModelCost[]): ModelCost | undefined {
  if (costs.length === 0) return undefined;
  return costs.reduce((a, b) => ({
    input: Math.max(a.input, b.input),
    output: Math.max(a.output, b.output),
    cacheRead: Math.max(a.cacheRead, b.cacheRead),
    cacheWrite: Math.max(a.cacheWrite, b.cacheWrite),
  }));
}

function everywhere(values: readonly boolean[]): boolean | undefined {
  return values.length === 0 ? undefined : !values.includes(false);
}

function common<T>(lists: readonly (readonly T[] | undefined)[]): readonly T[] | undefined {
  const [first, ...others] = known(lists);
  return first?.filter((value) => others.every((other) => other.includes(value)));
}
