import type { ModelApi } from '#src/core/models/catalog.ts';

/** Whether the path of a request is the model proxy's. */
export function isModelUrl(url: string): boolean {
  return url.startsWith('/v1/') || url === '/v1' || url.startsWith('/v1?');
}

/** The path without its query. */
export function endpointOf(url: string): string {
  const query = url.indexOf('?');
  return query === -1 ? url : url.slice(0, query);
}

/** What nearly all requests ask, which need no look at each character. */
const USUAL: ReadonlySet<string> = new Set([
  ...['/v1/chat/completions', '/v1/completions', '/v1/responses', '/v1/embeddings', '/v1/messages'],
]);

/** Escapes of what needs none, so that a path would have two spellings, and of what ends or leads out of a part. */
const NEEDLESS = /%(?:00|2[5def]|3\d|4[1-9a-f]|5[0-9acf]|6[1-9a-f]|7[0-9ae])/i;

/**
 * Whether a path stays below `/v1/` however a server reads it: at an upstream there may be more behind its other paths
 * than was shared, such as Ollama's `/api/delete`.
 */
export function isPlainEndpoint(endpoint: string): boolean {
  if (USUAL.has(endpoint)) return true;
  if (!/^\/v1\/[!-~]*$/.test(endpoint) || /[\\#]/.test(endpoint) || NEEDLESS.test(endpoint)) return false;
  // What is behind a semicolon are parameters of the part to some servers.
  return endpoint.split('/').every((part) => !/^\.{1,2}(?:;|$)/.test(part));
}

/** Whose words an error at this path is said in. */
export function apiOf(endpoint: string): ModelApi {
  return /^\/v1\/(?:messages|complete)(?:\/|$)/.test(endpoint) ? 'anthropic' : 'openai';
}

/** Endpoints that can't do without a model. */
const MODEL_ENDPOINTS =
  /^\/v1\/(?:chat\/completions|completions|responses|embeddings|messages(?:\/count_tokens)?|rerank|moderations|audio\/(?:speech|transcriptions|translations)|images\/generations)$/;

/** Endpoints whose model may be left to the upstream. */
const IMAGE_ENDPOINTS = /^\/v1\/images\/(?:edits|variations)$/;

/**
 * Whether a request asks a model something. Behind other paths there is what belongs to the account at the upstream:
 * files, stored answers, paid jobs; a `model` in the body says nothing there.
 */
export function asksModel(method: string, endpoint: string): boolean {
  return method === 'POST' && (MODEL_ENDPOINTS.test(endpoint) || IMAGE_ENDPOINTS.test(endpoint));
}

/** Whether a POST there has to name a model. */
export function needsModel(endpoint: string): boolean {
  return MODEL_ENDPOINTS.test(endpoint);
}

/** The path at the upstream whose base URL ends with `basePath`, which stands for our `/v1`. */
export function upstreamPath(basePath: string, url: string): string {
  return `${basePath}${url.slice('/v1'.length)}`;
}

/** Of `/v1/models/{id}`, whose slashes may be written as they are or as %2F; null for every other path. */
export function modelIdIn(endpoint: string): string | null {
  if (!endpoint.startsWith('/v1/models/')) return null;
  try {
    return decodeURIComponent(endpoint.slice('/v1/models/'.length));
  } catch {
    return null;
  }
}
