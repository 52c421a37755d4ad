/** Names of models, the first of them where there are many. */
export function someOf(names: readonly string[]): string {
  if (names.length === 0) return 'no models';
  const some = names.slice(0, 5).join(', ');
  return names.length > 5 ? `${names.length} models: ${some} …` : some;
}
