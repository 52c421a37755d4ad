import { FederationError } from '#src/core/errors.ts';

/** `self/…` is what a node says of itself: nobody sets it. */
const LABEL_KEY = /^(?!self\/)[a-z0-9]([a-z0-9._/-]{0,61}[a-z0-9])?$/;

/** Labels and groups that one node may have. */
export const MAX_LABELS = 64;
export const MAX_GROUPS = 64;
export const MAX_LABEL_VALUE = 256;

export function isLabelKey(value: string): boolean {
  return LABEL_KEY.test(value);
}

/**
 * What `key=value` sets, or `key-` takes away (null). A value is text without control characters, at most 256 of them.
 * Throws USAGE.
 */
export function parseLabelChange(text: string): readonly [key: string, value: string | null] {
  const at = text.indexOf('=');
  if (at === -1 && text.endsWith('-')) return [checkKey(text.slice(0, -1)), null];
  if (at <= 0) throw usage(`${JSON.stringify(text)} is neither KEY=VALUE nor KEY-`);
  const [key, value] = [text.slice(0, at), text.slice(at + 1)];
  if (!isLabelValue(value)) throw usage(`the value of ${JSON.stringify(key)} is over 256 characters or not one line`);
  return [checkKey(key), value];
}

export function isLabelValue(value: string): boolean {
  return value.length <= MAX_LABEL_VALUE && !/\p{Cc}/u.test(value);
}

function checkKey(key: string): string {
  if (isLabelKey(key)) return key;
  if (key.startsWith('self/')) {
    throw new FederationError('USAGE', `${key} is what a node says of itself`, {
      hint: `use another key, such as ${key.slice('self/'.length) || 'env'}`,
    });
  }
  throw usage(`${JSON.stringify(key)} is no label: 1 to 63 of a-z, 0-9 and ._/-`);
}

function usage(message: string): FederationError {
  return new FederationError('USAGE', message, {
    hint: 'manage-federation label NODE env=home, or env- to take it away',
  });
}
