/**
 * How A2A clients and servers of a federation name what A2A itself lacks: every event has a seq, `Last-Event-ID` brings
 * back what a cut stream did not, and a message may have a deadline.
 */
export const A2A_EXTENSION = 'urn:openclaw-federation:a2a:handoff:1';

/** Where a foreign agent may be: nobody reads along, or nobody is between. */
export function isForeignCard(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || url.username !== '' || url.password !== '') return false;
  return url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname));
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(host);
}
