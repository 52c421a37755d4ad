import { harmless } from '#src/adapters/terminal.ts';
import { FederationError } from '#src/core/errors.ts';
import type { Credentials } from '#src/plugin/models/credentials.ts';
import type { ProviderNotShared, Providers, SharedModel, SharedProvider } from '#src/plugin/models/providers.ts';

export interface ModelShares {
  readonly object: 'list';
  readonly data: readonly { readonly id: string }[];
  readonly not_shared: readonly ProviderNotShared[];
}

/** What is shared, as OpenAI’s clients list models, with what is known of each; and what is not, and why. */
export async function listOf({ shared, notShared }: Providers, credentials: Credentials): Promise<ModelShares> {
  const withoutKey: ProviderNotShared[] = [];
  const lists = await Promise.all(
    shared.map(async (provider) => {
      try {
        await credentials.headers(provider);
      } catch (error) {
        if (!(error instanceof FederationError)) throw error;
        withoutKey.push({ id: provider.id, reason: `can’t be used: ${error.message}` });
        return [];
      }
      return provider.models.map((model) => entryOf(provider, model));
    }),
  );
  return { object: 'list', data: lists.flat(), not_shared: [...notShared, ...withoutKey] };
}

/** A line for each model, and for each provider that is left out. */
export function sharesText({ data, not_shared: notShared }: ModelShares): string {
  const lines = [...data.map(({ id }) => id), ...notShared.map(({ id, reason }) => `not shared: ${id} ${reason}`)];
  if (lines.length === 0) return 'No provider is configured in this OpenClaw.';
  return harmless(lines.map((line) => line.replaceAll('\n', ' ')).join('\n'));
}

function entryOf({ id: provider, endpoints }: SharedProvider, model: SharedModel) {
  const { id, contextWindow, maxTokens, reasoning, input, cost } = model;
  return {
    id: `${provider}/${id}`,
    object: 'model',
    created: 0,
    owned_by: 'openclaw',
    ...(endpoints === null ? {} : { endpoints }),
    ...(contextWindow === undefined ? {} : { context_window: contextWindow }),
    ...(maxTokens === undefined ? {} : { max_output_tokens: maxTokens }),
    ...(reasoning === undefined ? {} : { reasoning }),
    ...(input === undefined ? {} : { input_modalities: input }),
    ...(cost === undefined ? {} : { cost }),
  };
}
