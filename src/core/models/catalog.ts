/** What a node says of one model that it shares; its hub takes it for no more than that node's word. */
export interface OfferedModel {
  /** What clients write. */
  readonly id: string;
  /** Name of the upstream on that node. */
  readonly upstream: string;
  /** What the upstream calls it. */
  readonly name: string;
  readonly api: ModelApi;
  /** Paths that it answers, as `/v1/chat/completions`, and what is below them; undefined where that is not known. */
  readonly endpoints?: readonly string[] | undefined;
  /** Tokens. */
  readonly contextWindow?: number | undefined;
  /** Tokens of an answer. */
  readonly maxTokens?: number | undefined;
  readonly cost?: ModelCost | undefined;
  readonly reasoning?: boolean | undefined;
  readonly input?: readonly ModelInput[] | undefined;
  readonly description?: string | undefined;
  /** Requests that its upstream works on at once: one number for all models of that upstream. */
  readonly concurrency: number;
  /** Whether it is in memory now; null or undefined where the upstream does not tell. */
  readonly loaded?: boolean | null | undefined;
}

export const MODEL_APIS = ['openai', 'anthropic'] as const;
export type ModelApi = (typeof MODEL_APIS)[number];

export const MODEL_INPUTS = ['text', 'image'] as const;
export type ModelInput = (typeof MODEL_INPUTS)[number];

/** Dollars for a million tokens. */
export interface ModelCost {
  readonly input: number;
  readonly output: number;
  readonly cacheRead: number;
  readonly cacheWrite: number;
}

/** What is known of a model wherever it runs: where nodes differ, what holds for all of them. */
export type ModelFacts = Partial<
  Pick<OfferedModel, 'endpoints' | 'contextWindow' | 'maxTokens' | 'cost' | 'reasoning' | 'input' | 'description'>
>;

/** One thing that a client may write as `model`. */
export interface ListedModel {
  readonly id: string;
  /** `model`: any node that has it; `pinned`: `node/model`; `route`: a name that the owner gave. */
  readonly kind: 'model' | 'pinned' | 'route';
  /** The model behind it, as those nodes offer it. */
  readonly model: string;
  /** Names of the nodes that have it and may be asked now. */
  readonly nodes: readonly string[];
  readonly apis: readonly ModelApi[];
  readonly facts: ModelFacts;
  /** Whether any of the nodes has it in memory; null where none tells. */
  readonly loaded: boolean | null;
}

/** A name that the owner gave: what it means, and which nodes may serve it. */
export interface ModelRoute {
  readonly alias: string;
  readonly model: string;
  /** Ids of the nodes that may serve it; none: every node that has it. */
  readonly nodes: readonly string[];
  /** Labels that such a node has, all of them. */
  readonly labels: Readonly<Record<string, string>>;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  readonly createdBy: string;
}

/** A model of a node that has a link now. */
export interface Offer {
  readonly nodeId: string;
  readonly offered: OfferedModel;
}
