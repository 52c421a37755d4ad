import type { OpenClawPluginApi } from 'openclaw/plugin-sdk/plugin-entry';
import { FederationError } from '#src/core/errors.ts';
import type { SharedProvider } from '#src/plugin/models/providers.ts';

export interface Credentials {
  /** What a request to that provider proves itself by. Throws UPSTREAM_FAILED where OpenClaw has no key for it. */
  headers(provider: Pick<SharedProvider, 'id' | 'keyAs'>): Promise<Readonly<Record<string, string>>>;
}

type Runtime = Pick<OpenClawPluginApi, 'runtime'>;
type Config = NonNullable<Parameters<Runtime['runtime']['modelAuth']['resolveApiKeyForProvider']>[0]['cfg']>;

/** The keys that OpenClaw itself would use, resolved by it for each request: none is kept here. */
export function credentialsOf({ runtime }: Runtime): Credentials {
  return {
    async headers({ id, keyAs }): Promise<Record<string, string>> {
      if (keyAs === null) return {};
      const key = await keyOf(runtime, id);
      return keyAs === 'bearer' ? { authorization: `Bearer ${key}` } : { 'x-api-key': key };
    },
  };
}

async function keyOf({ modelAuth, config }: Runtime['runtime'], provider: string): Promise<string> {
  // It only reads it; its type does not say so.
  const cfg = config.current() as Config;
  const found = await modelAuth.resolveApiKeyForProvider({ provider, cfg }).catch(() => null);
  const key = found?.apiKey;
  if (found === null || key === undefined || !/^[\x21-\x7e]+$/.test(key)) {
    throw noKey(`OpenClaw has no key for ${provider}`, 'openclaw models status');
  }
  if (found.mode === 'oauth' || found.mode === 'aws-sdk') {
    throw noKey(`${provider} uses a login (${found.mode}), and not a key`, 'share a provider that has a key');
  }
  return key;
}

function noKey(message: string, hint: string): FederationError {
  return new FederationError('UPSTREAM_FAILED', message, { hint });
}
