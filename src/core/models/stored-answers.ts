/** Where an answer is kept that an upstream can be asked for again, as `/v1/responses/{id}`. */
export interface StoredAnswers {
  /** `place`: what a header would pin. Whoever says an id second does not take it over. */
  made(consumer: string, id: string, place: string): void;
  /** Of the answer that a path names, to the consumer who had it made; null for every other. */
  placeOf(consumer: string, endpoint: string): string | null;
}

/** Answers that are remembered, the latest. */
const MAX_ANSWERS = 10_000;
const LIFE_MS = 24 * 3600_000;

/** `now`: monotonic milliseconds. */
export function createStoredAnswers(now: () => number = () => performance.now()): StoredAnswers {
  const answers = new Map<string, { readonly place: string; readonly at: number }>();
  const keyOf = (consumer: string, id: string): string => `${consumer} ${id}`;
  const isOver = (at: number): boolean => now() - at >= LIFE_MS;

  return {
    made(consumer, id, place) {
      const key = keyOf(consumer, id);
      const known = answers.get(key);
      if (known !== undefined && !isOver(known.at)) return;
      answers.delete(key);
      answers.set(key, { place, at: now() });
      const [oldest] = answers.keys();
      if (answers.size > MAX_ANSWERS && oldest !== undefined) answers.delete(oldest);
    },
    placeOf(consumer, endpoint) {
      const id = /^\/v1\/responses\/([\w.-]{1,200})(?:\/(?:cancel|input_items))?$/.exec(endpoint)?.[1];
      const known = id === undefined ? undefined : answers.get(keyOf(consumer, id));
      return known === undefined || isOver(known.at) ? null : known.place;
    },
  };
}

/** Whether what answers there may be asked for again. */
export function makesStored(method: string, endpoint: string): boolean {
  return method === 'POST' && endpoint === '/v1/responses';
}

/** Id of a stored answer by its first bytes, whole or as events: what they name first. */
export function storedId(head: string): string | null {
  return /"id"\s*:\s*"([\w.-]{1,200})"/.exec(head)?.[1] ?? null;
}
