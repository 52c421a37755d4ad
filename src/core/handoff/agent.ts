/** An agent that takes handoffs: one of a node's own OpenClaw, or one elsewhere that the node speaks for. */
export interface OfferedAgent {
  /** As its node knows it. */
  readonly id: string;
  readonly description: string;
  readonly tags: readonly string[];
  /** Handoffs that it works on at once. */
  readonly concurrency: number;
}

/** Letters, digits, `-`, `_` and `.`: it stands in session keys, in file names and on command lines. */
export function isAgentId(text: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/.test(text);
}

export function isAgentTag(text: string): boolean {
  return /^[a-z0-9][a-z0-9_.-]{0,62}$/.test(text);
}
