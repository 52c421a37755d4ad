import type { OpenClawPluginApi } from 'openclaw/plugin-sdk/plugin-entry';
import { askForModels } from '#src/adapters/models/ask-models.ts';
import { FederationError } from '#src/core/errors.ts';
import type { ToldModel } from '#src/core/models/offer.ts';
import type { OpenClawModel } from '#src/core/models/openclaw-provider.ts';
import { OPENCLAW_PROVIDER, openclawModel } from '#src/core/models/openclaw-provider.ts';
import { listedFor } from '#src/plugin/models/catalog-life.ts';
import { credentialsOf } from '#src/plugin/models/credentials.ts';

type Provider = Parameters<OpenClawPluginApi['registerProvider']>[0];
type Config = Parameters<NonNullable<Provider['prepareDynamicModel']>>[0]['config'];
type Configured = NonNullable<NonNullable<NonNullable<Config>['models']>['providers']>[string];

/** How long what the model proxy lists is taken for how it is. */
const FRESH_MS = 10_000;
const ANSWER_MS = 4000;

const CHAT = '/v1/chat/completions';
const MESSAGES = '/v1/messages';

/**
 * What OpenClaw is told of a model of the federation that is to be used: how much it takes, answers and costs. Its
 * settings say where the model proxy is; without that this tells nothing, and without this models are used all the same.
 */
export function federationProvider(api: OpenClawPluginApi): Provider {
  const credentials = credentialsOf(api);
  let known: { readonly models: Promise<readonly ToldModel[]>; readonly url: string; readonly at: number } | null =
    null;

  /** None where the model proxy does not answer: OpenClaw says so when one is used. */
  async function ask(url: string): Promise<readonly ToldModel[]> {
    try {
      const headers = await credentials.headers({ id: OPENCLAW_PROVIDER, keyAs: 'bearer' });
      return await askForModels({ api: 'openai', baseUrl: url, headers }, AbortSignal.timeout(ANSWER_MS));
    } catch (error) {
      if (error instanceof FederationError || (error as Error).name === 'TimeoutError') return [];
      throw error;
    }
  }

  function models({ baseUrl }: Configured): Promise<readonly ToldModel[]> {
    const url = baseUrl.replace(/\/+$/, '');
    if (known === null || known.url !== url || performance.now() - known.at > FRESH_MS) {
      known = { models: ask(url), url, at: performance.now() };
    }
    return known.models;
  }

  return {
    id: OPENCLAW_PROVIDER,
    label: 'OpenClaw Federation',
    auth: [],
    // oxlint-disable-next-line typescript/no-deprecated -- what is to follow it is not read for chats yet
    catalog: {
      order: 'late',
      async run({ config, providerIds }) {
        const configured = configuredIn(config);
        if (configured === null || providerIds?.includes(OPENCLAW_PROVIDER) === false) return null;
        const told = await listedFor(configured.baseUrl, () => models(configured));
        const rows = told.filter(isForChats).map((model) => rowOf(model, configured));
        const listed = new Set(configured.models.map(({ id }) => id));
        return {
          provider: { ...configured, models: [...configured.models, ...rows.filter(({ id }) => !listed.has(id))] },
        };
      },
    },
    async prepareDynamicModel({ config, modelId }) {
      const configured = configuredIn(config);
      if (configured === null) return undefined;
      const model = (await models(configured)).find(({ name }) => name === modelId);
      if (model === undefined || !isForChats(model)) return undefined;
      return { ...rowOf(model, configured), provider: OPENCLAW_PROVIDER };
    },
  };
}

function configuredIn(config: Config): Configured | null {
  return config?.models?.providers?.[OPENCLAW_PROVIDER] ?? null;
}

function isForChats({ endpoints }: ToldModel): boolean {
  return endpoints === undefined || endpoints.includes(CHAT) || endpoints.includes(MESSAGES);
}

interface Row extends OpenClawModel {
  readonly api: 'openai-completions' | 'anthropic-messages';
  readonly baseUrl: string;
}

/** A model that only speaks Anthropic’s language is asked in it; Anthropic’s clients add `/v1` themselves. */
function rowOf({ name, ...facts }: ToldModel, { baseUrl }: Configured): Row {
  const model = openclawModel(name, facts);
  const isAnthropic = facts.endpoints?.includes(MESSAGES) === true && !facts.endpoints.includes(CHAT);
  return isAnthropic
    ? { ...model, api: 'anthropic-messages', baseUrl: baseUrl.replace(/\/v1\/*$/, '') }
    : { ...model, api: 'openai-completions', baseUrl };
}
