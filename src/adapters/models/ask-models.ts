import { Agent, request } from 'undici';
import { guardedLookup } from '#src/adapters/models/guarded-lookup.ts';
import type { Family } from '#src/adapters/models/told.ts';
import { readModelList, readRunning } from '#src/adapters/models/told.ts';
import { FederationError } from '#src/core/errors.ts';
import type { ModelApi } from '#src/core/models/catalog.ts';
import type { ToldModel } from '#src/core/models/offer.ts';

/** A model server that is asked. */
export interface AskedServer {
  readonly api: ModelApi;
  readonly baseUrl: string;
  /** What it is asked with: its key. */
  readonly headers: Readonly<Record<string, string>>;
}

const ANSWER_MS = 15_000;
/** Those of hundreds of models with their descriptions take a tenth of it. */
const MAX_ANSWER_BYTES = 16 << 20;

/** A request to a server that stands still must not be kept by what is asked of another one. */
const agent = new Agent({ connect: { lookup: guardedLookup, timeout: 5000 }, connections: 2, pipelining: 1 });

/**
 * Which models a server has, and as far as it can tell, which are in memory. Redirects are not followed. Throws
 * UPSTREAM_FAILED with the reason, and the reason of `signal`.
 */
export async function askForModels(server: AskedServer, signal: AbortSignal): Promise<readonly ToldModel[]> {
  const path = server.api === 'anthropic' ? '/models?limit=1000' : '/models';
  const version: Record<string, string> = server.api === 'anthropic' ? { 'anthropic-version': '2023-06-01' } : {};
  const value = await getJson(`${server.baseUrl}${path}`, { ...version, ...server.headers }, signal);
  const told = readModelList(value);
  if (told === null) throw failed(`${server.baseUrl} answers, but not with a list of models`, BASE_URL_HINT);
  return await withMemory(told.models, told.family, server, signal);
}

/** What servers tell beside OpenAI's list, at the places that their own programs use. */
async function withMemory(
  models: readonly ToldModel[],
  family: Family,
  { baseUrl, headers }: AskedServer,
  signal: AbortSignal,
): Promise<readonly ToldModel[]> {
  const root = baseUrl.replace(/\/v1$/, '');
  const extra = async (path: string): Promise<unknown> => {
    try {
      return await getJson(`${root}${path}`, headers, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof FederationError) return null;
      throw error;
    }
  };
  if (family === 'ollama') {
    const running = readRunning(await extra('/api/ps'));
    if (running === null) return models;
    return models.map((model) => {
      const contextWindow = running.get(model.name);
      return { ...model, loaded: running.has(model.name), ...(contextWindow === undefined ? {} : { contextWindow }) };
    });
  }
  if (family === 'lm-studio') {
    const known = new Map(readModelList(await extra('/api/v0/models'))?.models.map((model) => [model.name, model]));
    return models.map((model) => ({ ...model, ...known.get(model.name) }));
  }
  return models;
}

const BASE_URL_HINT = 'a base URL ends with /v1 as a rule, as http://127.0.0.1:11434/v1';

async function getJson(url: string, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<unknown> {
  const late = AbortSignal.timeout(ANSWER_MS);
  const where = new URL(url).origin;
  try {
    const { statusCode, body } = await request(url, {
      dispatcher: agent,
      headers: { accept: 'application/json', ...headers },
      signal: AbortSignal.any([signal, late]),
    });
    const chunks: Buffer[] = [];
    let length = 0;
    for await (const chunk of body as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > MAX_ANSWER_BYTES) throw failed(`${where} answers with more than a list of models`, BASE_URL_HINT);
      chunks.push(chunk);
    }
    if (statusCode !== 200) throw refusedWith(where, statusCode);
    return parsed(Buffer.concat(chunks).toString('utf8'));
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof FederationError) throw error;
    throw late.aborted
      ? failed(`${where} does not answer`, 'look whether the model server stands still')
      : noWay(where, error);
  }
}

/** Not JSON is nothing that is known. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function refusedWith(where: string, status: number): FederationError {
  if (status === 401 || status === 403) {
    return failed(`${where} refuses the key (${status})`, 'mend what keyFile or keyEnvironment of this upstream names');
  }
  if (status >= 300 && status < 400) {
    return failed(`${where} sends elsewhere (${status}), which is not followed`, 'write the address that it sends to');
  }
  if (status === 404) return failed(`${where} has no list of models there (404)`, BASE_URL_HINT);
  return failed(`${where} answers ${status}`, 'look into the log of the model server');
}

function noWay(where: string, cause: unknown): FederationError {
  const { code } = cause as NodeJS.ErrnoException;
  if (code === 'ECONNREFUSED') return failed(`nothing listens at ${where}`, 'start the model server', cause);
  const problem = code ?? (cause instanceof Error ? cause.message : 'no connection');
  return failed(
    `${where} can’t be asked (${problem})`,
    'look at its address, and whether it is reachable from here',
    cause,
  );
}

function failed(message: string, hint: string, cause?: unknown): FederationError {
  return new FederationError('UPSTREAM_FAILED', message, { hint, ...(cause === undefined ? {} : { cause }) });
}
