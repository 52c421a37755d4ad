import type { ModelApi, OfferedModel } from '#src/core/models/catalog.ts';
import { isModelId } from '#src/core/models/name.ts';
import type { NamedModel, SharedUpstream } from '#src/core/models/share.ts';
import { matchesWord } from '#src/core/wildcard.ts';

/** What a model server says of one of its models. What it does not say is not there. */
export interface ToldModel extends Omit<Partial<OfferedModel>, 'id' | 'upstream' | 'api' | 'concurrency'> {
  readonly name: string;
}

/** Models that one upstream is offered with at most, so that the offer of a node stays one that its hub takes. */
const MAX_MODELS = 1000;

export interface Offer {
  readonly models: readonly OfferedModel[];
  /** Names that can't be offered: no client could write them. */
  readonly unfit: readonly string[];
}

/** What an upstream is offered with. `told`: what its server says it has; null where that is not known. */
export function offerOf(upstream: SharedUpstream, told: readonly ToldModel[] | null): Offer {
  const api: ModelApi = 'source' in upstream ? 'openai' : upstream.api;
  const listed = upstream.models === 'ask' ? wanted(upstream, told ?? []) : named(upstream.models, told);
  const models = new Map<string, OfferedModel>();
  const unfit: string[] = [];
  for (const { as, ...model } of listed) {
    const id = as ?? model.name;
    if (!isModelId(id)) unfit.push(model.name);
    else if (!models.has(id) && models.size < MAX_MODELS) {
      models.set(id, { ...model, id, api, upstream: upstream.name, concurrency: upstream.concurrency });
    }
  }
  return { models: [...models.values()], unfit };
}

type Listed = ToldModel & { readonly as?: string | undefined };

function wanted({ only, except }: SharedUpstream, told: readonly ToldModel[]): readonly Listed[] {
  const fits = (patterns: readonly string[], name: string) => patterns.some((pattern) => matchesWord(pattern, name));
  return told.filter(({ name }) => fits(only, name) && !fits(except, name));
}

/** Those that are named are there whatever the server says; what it says of them fills what is not written. */
function named(models: readonly NamedModel[], told: readonly ToldModel[] | null): readonly Listed[] {
  const known = new Map((told ?? []).map((model) => [model.name, model]));
  return models.map((model) => ({ ...known.get(model.name), ...written(model) }));
}

/** Without what was left out, which would hide what the server says. */
function written(model: NamedModel): NamedModel {
  return Object.fromEntries(Object.entries(model).filter(([, value]) => value !== undefined)) as unknown as NamedModel;
}
