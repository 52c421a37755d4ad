/** Longest id of a model, in characters. */
export const MAX_MODEL_ID = 200;

/**
 * What a client may write for a model: ASCII, so that it fits a header, and nothing that a shell, a terminal or a table
 * takes for more than itself. Slashes and colons are usual: `meta-llama/Llama-3.3-70B`, `qwen3:8b`, `@cf/meta/llama`.
 */
const MODEL_ID = /^[A-Za-z0-9@~/_.][A-Za-z0-9@~/_.:+=,-]*$/;

/** One part of a path of the link, and never `.` or `..`. */
const UPSTREAM_NAME = /^[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?$/;

export function isModelId(value: string): boolean {
  return value.length <= MAX_MODEL_ID && MODEL_ID.test(value);
}

/** Whether `value` may name an upstream of a node: 1 to 63 of a-z, 0-9 and ._- */
export function isUpstreamName(value: string): boolean {
  return UPSTREAM_NAME.test(value);
}
