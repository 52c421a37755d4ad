/** The value at a dotted path, or undefined where there is none. */
export function valueAt(settings: unknown, path: string): unknown {
  return valueIn(settings, path.split('.'));
}

export function valueIn(settings: unknown, words: readonly string[]): unknown {
  return words.reduce<unknown>((value, word) => (isMap(value) ? value[word] : undefined), settings);
}

/** The list at a dotted path; null where something else is, or nothing. */
export function listAt(settings: unknown, path: string): readonly unknown[] | null {
  const value = valueAt(settings, path);
  return Array.isArray(value) ? (value as readonly unknown[]) : null;
}

export function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
