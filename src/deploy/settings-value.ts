/** The value at a dotted path, or undefined where there is none. */
export function valueAt(settings: unknown, path: string): unknown {
  return valueIn(settings, path.split('.'));
}

export function valueIn(settings: unknown, words: readonly string[]): unknown {
  return words.reduce<unknown>((value, word) => (isMap(value) ? value[word] : undefined), settings);
}

export function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
