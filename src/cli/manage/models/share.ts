import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Home } from '#src/adapters/home.ts';
import { homePath, openHome } from '#src/adapters/home.ts';
import { askForModels } from '#src/adapters/models/ask-models.ts';
import { keyHeaders, readUpstreamKey } from '#src/adapters/models/upstream-key.ts';
import { say } from '#src/adapters/terminal.ts';
import type { GlobalFlags } from '#src/cli/manage/context.ts';
import { shareFile } from '#src/cli/manage/models/share-file.ts';
import { someOf } from '#src/cli/manage/models/some-of.ts';
import { printJson } from '#src/cli/print.ts';
import { FederationError } from '#src/core/errors.ts';
import { offerOf } from '#src/core/models/offer.ts';
import type { SharedServer, SharedUpstream } from '#src/core/models/share.ts';

export interface ShareFlags extends GlobalFlags {
  readonly url?: string;
  readonly api?: 'openai' | 'anthropic';
  readonly keyFile?: string;
  readonly keyEnvironment?: string;
  readonly model?: readonly string[];
  readonly only?: readonly string[];
  readonly except?: readonly string[];
  readonly concurrency?: number;
  /** False: written also where the server does not answer now. */
  readonly check: boolean;
}

/** What is known of servers by their names. */
const KNOWN: Readonly<Record<string, { readonly baseUrl: string; readonly api?: 'anthropic'; readonly key?: true }>> = {
  ollama: { baseUrl: 'http://127.0.0.1:11434/v1' },
  'lm-studio': { baseUrl: 'http://127.0.0.1:1234/v1' },
  vllm: { baseUrl: 'http://127.0.0.1:8000/v1' },
  'llama.cpp': { baseUrl: 'http://127.0.0.1:8080/v1' },
  openrouter: { baseUrl: 'https://openrouter.ai/api/v1', key: true },
  openai: { baseUrl: 'https://api.openai.com/v1', key: true },
  anthropic: { baseUrl: 'https://api.anthropic.com/v1', api: 'anthropic', key: true },
};

/** `manage-federation models share NAME`: writes it into models.yaml of this machine's node, which takes it over by itself. */
export async function share(name: string, flags: ShareFlags): Promise<number> {
  const home = await workerHome(flags);
  const entry = entryOf(name, flags);
  const file = await shareFile(home);
  const upstream = file.put(entry);
  const models = await namesOf(upstream, home, flags);
  await file.save();
  if (flags.json === true) printJson({ name, file: file.path, models });
  else {
    say(`${file.path}: shares ${name}${models === null ? '' : `, which has ${someOf(models)}`}`);
    say('the node’s worker daemon takes it over in a moment; look: manage-federation models list');
  }
  return 0;
}

/** `manage-federation models unshare NAME` */
export async function unshare(name: string, flags: GlobalFlags): Promise<number> {
  const home = await workerHome(flags);
  const file = await shareFile(home);
  file.remove(name);
  await file.save();
  if (flags.json === true) printJson({ name, file: file.path });
  else say(`${file.path}: ${name} is not shared any more`);
  return 0;
}

/** Where the worker daemon of this machine has its files. Throws NOT_FOUND where there is none. */
async function workerHome({ home }: GlobalFlags): Promise<Home> {
  const isNamed = (home ?? process.env['OPENCLAW_FEDERATION_HOME'] ?? '') !== '';
  const path = isNamed ? homePath(home) : join(homedir(), '.openclaw-worker');
  if (existsSync(join(path, 'node.key'))) return openHome(path);
  // The master of a federation on one machine has that of its own node in it.
  const nested = join(path, 'worker');
  const node = existsSync(join(nested, 'node.key')) ? nested : '~/.openclaw-worker';
  throw new FederationError('NOT_FOUND', `${path} is no home of a worker daemon`, {
    hint: isNamed
      ? `name that of a node: --home ${node}`
      : 'run it on the machine that has the models, or name its node’s home: --home',
  });
}

function entryOf(name: string, flags: ShareFlags): Record<string, unknown> {
  const known = KNOWN[name];
  const baseUrl = flags.url ?? known?.baseUrl;
  const own = {
    ...(flags.only === undefined ? {} : { only: flags.only }),
    ...(flags.except === undefined ? {} : { except: flags.except }),
    ...(flags.concurrency === undefined ? {} : { concurrency: flags.concurrency }),
    ...(flags.model === undefined ? {} : { models: flags.model.map(modelOf) }),
  };
  const { keyFile, keyEnvironment } = flags;
  if (name === 'openclaw' && flags.url === undefined) {
    if (keyFile !== undefined || keyEnvironment !== undefined || flags.api !== undefined) {
      throw new FederationError('USAGE', 'OpenClaw asks its providers with the keys that it has', {
        hint: 'models share openclaw',
      });
    }
    return { name, source: 'openclaw', ...own };
  }
  if (baseUrl === undefined) {
    throw new FederationError('USAGE', `where ${name} is, is not known`, {
      hint: `models share ${name} --url http://127.0.0.1:8000/v1; known are ${[...Object.keys(KNOWN), 'openclaw'].join(', ')}`,
    });
  }
  if (known?.key === true && flags.url === undefined && keyFile === undefined && keyEnvironment === undefined) {
    throw new FederationError('USAGE', `${name} wants a key`, {
      hint: `install -m 600 /dev/stdin ~/.openclaw-worker/${name}.key, then models share ${name} --key-file ~/.openclaw-worker/${name}.key`,
    });
  }
  const api = flags.api ?? known?.api;
  return {
    ...{ name, ...(api === undefined ? {} : { api }), baseUrl },
    ...(keyFile === undefined ? {} : { keyFile: resolve(keyFile) }),
    ...(keyEnvironment === undefined ? {} : { keyEnvironment }),
    ...own,
  };
}

/** `Qwen/Qwen3-32B-AWQ=qwen3-32b`: what its server calls it, and what the federation does. */
function modelOf(text: string): string | { readonly name: string; readonly as: string } {
  const at = text.lastIndexOf('=');
  return at > 0 ? { name: text.slice(0, at), as: text.slice(at + 1) } : text;
}

/** What is offered by it; null where that can't be told from here. Throws what is wrong with its key and its server. */
async function namesOf(upstream: SharedUpstream, home: Home, { check }: ShareFlags): Promise<readonly string[] | null> {
  if ('source' in upstream) return null;
  const { keyEnvironment } = upstream;
  const isElsewhere = keyEnvironment !== undefined && (process.env[keyEnvironment] ?? '') === '';
  if (isElsewhere) say(`${keyEnvironment} is not set here: whether its key is right, the worker daemon will tell`);
  const headers = isElsewhere ? null : keyHeaders(upstream.api, await readUpstreamKey(upstream, home.path));
  if (upstream.models !== 'ask') return idsOf(upstream, null);
  if (headers === null || !check) return null;
  return idsOf(upstream, await told(upstream, headers));
}

async function told(server: SharedServer, headers: Readonly<Record<string, string>>) {
  try {
    return await askForModels({ ...server, headers }, new AbortController().signal);
  } catch (error) {
    if (!(error instanceof FederationError)) throw error;
    const hint = `${error.hint ?? 'look at the server'}; or share it as it is: --no-check`;
    throw new FederationError(error.code, error.message, { hint, cause: error });
  }
}

function idsOf(upstream: SharedServer, models: Parameters<typeof offerOf>[1]): readonly string[] {
  return offerOf(upstream, models).models.map(({ id }) => id);
}
