/**
 * Session of a handoff in the gateway of the node that works on it, which is its own and nobody else's:
 * `agent:AGENT:handoff:ID`, in small letters as the gateway keeps it.
 */
export function handoffSession(agent: string, id: string): string {
  return `agent:${agent}:handoff:${id}`.toLowerCase();
}

/** Id of the handoff that a session belongs to; null for any other session. */
export function handoffOfSession(session: string): string | null {
  return /^agent:[^:]+:handoff:([0-9a-z]{26})$/i.exec(session)?.[1]?.toUpperCase() ?? null;
}
