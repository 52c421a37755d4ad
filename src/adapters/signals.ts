/** Aborts at the first SIGTERM or SIGINT. A second one takes its usual course and ends the process at once. */
export function stopSignal(): AbortSignal {
  const stopping = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => stopping.abort(name));
  return stopping.signal;
}
