import type { Verdict } from '#src/core/policy.ts';
import { matchesWord } from '#src/core/wildcard.ts';

/** What a node’s own settings say of its tools: `node:COMMAND`s and those of its own gateway. */
export interface ToolSettings {
  /** Patterns with `*`. Empty: none. */
  readonly allow: readonly string[];
  readonly deny: readonly string[];
  /** Bytes of one answer, as JSON. */
  readonly maxOutputBytes: number;
}

/** The verdict of a node’s own settings on one tool. Deny wins; an empty allow-list allows nothing. */
export function judgeTool({ allow, deny }: ToolSettings, tool: string): Verdict {
  const denied = deny.find((pattern) => matchesWord(pattern, tool));
  if (denied !== undefined) return { kind: 'deny', rule: `deny rule ${JSON.stringify(denied)}` };
  const allowed = allow.find((pattern) => isAllowed(pattern, tool));
  return allowed === undefined
    ? { kind: 'deny', rule: 'not on this node’s list of tools' }
    : { kind: 'allow', rule: `allow rule ${JSON.stringify(allowed)}` };
}

/** A wide pattern opens no more than it names: no node command by `*`, and none that runs programs by any `*` at all. */
function isAllowed(pattern: string, tool: string): boolean {
  if (pattern === tool) return true;
  if (tool.startsWith('node:system.run') || isNodeCommand(pattern) !== isNodeCommand(tool)) return false;
  return matchesWord(pattern, tool);
}

function isNodeCommand(tool: string): boolean {
  return tool.startsWith('node:');
}
