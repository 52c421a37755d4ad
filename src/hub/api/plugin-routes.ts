const WORD = '[^/]+';

/**
 * All that the gateway's plugin reaches: what the owner may do from a chat. Whatever is not here is refused, also what
 * is open to everybody elsewhere.
 */
const ROUTES: readonly (readonly [method: string, path: string])[] = [
  ['GET', 'status'],
  ['GET', 'nodes'],
  ['GET', `nodes/${WORD}`],
  ['GET', 'jobs'],
  ['GET', `jobs/${WORD}`],
  ['GET', 'pairing-requests'],
  ['GET', 'openclaw-nodes'],
  ['GET', 'events'],
  ['POST', 'jobs'],
  ['POST', `jobs/${WORD}/cancel`],
  ['POST', `pairing-requests/${WORD}/approve`],
  ['POST', `pairing-requests/${WORD}/reject`],
  ['POST', 'verdicts'],
  ['POST', `command-approvals/${WORD}`],
  ['GET', `nodes/${WORD}/file`],
  ['PUT', `nodes/${WORD}/file`],
  ['POST', `nodes/${WORD}/tool`],
  ['GET', 'agents'],
  ['GET', 'handoffs'],
  ['GET', `handoffs/${WORD}`],
  ['GET', `handoffs/${WORD}/events`],
  ['GET', `handoffs/${WORD}/artefacts/${WORD}`],
  ['POST', 'handoffs'],
  ['DELETE', `handoffs/${WORD}`],
  ['GET', `messages/${WORD}`],
  ['POST', 'messages'],
];

const PATTERNS = ROUTES.map(([method, path]) => ({ method, path: new RegExp(`^/api/v1/${path}$`) }));

export function isForPlugin(method: string, path: string): boolean {
  return PATTERNS.some((route) => route.method === method && route.path.test(path));
}
