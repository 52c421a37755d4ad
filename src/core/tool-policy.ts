import { canDoAnything } from '#src/core/node-command.ts';
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
  const denied = deny.find((pattern) => isDenied(pattern, tool));
  if (denied !== undefined) return { kind: 'deny', rule: `deny rule ${JSON.stringify(denied)}` };
  const allowed = allow.find((pattern) => isAllowed(pattern, tool));
  return allowed === undefined
    ? { kind: 'deny', rule: 'not on this node’s list of tools' }
    : { kind: 'allow', rule: `allow rule ${JSON.stringify(allowed)}` };
}

/** Names by which OpenClaw runs the same tool. Source: TOOL_NAME_ALIASES of its tool policy. */
const SAME: readonly (readonly string[])[] = [
  ['bash', 'exec'],
  ['apply-patch', 'apply_patch'],
  ['cron', 'automations'],
];

/** Generous, as letters and other names of the same tool do not count for OpenClaw either. */
function isDenied(pattern: string, tool: string): boolean {
  const name = tool.toLowerCase();
  const names = SAME.find((same) => same.includes(name)) ?? [name];
  return names.some((one) => matchesWord(pattern.toLowerCase(), one));
}

/**
 * A wide pattern opens no more than it names: no node command by `*`, and nothing that can do anything at all by any `*`:
 * that has to be written out.
 */
function isAllowed(pattern: string, tool: string): boolean {
  if (pattern === tool) return true;
  if (isNodeCommand(pattern) !== isNodeCommand(tool) || isHeldBack(tool)) return false;
  return matchesWord(pattern, tool);
}

/** Tools of OpenClaw that run programs, change files, steer a machine or set other agents going. */
const POWERFUL: ReadonlySet<string> = new Set([
  ...['exec', 'bash', 'process', 'spawn', 'shell', 'terminal', 'portal', 'code_execution', 'computer', 'mobile_ui'],
  ...['write', 'edit', 'apply_patch', 'apply-patch', 'fs_write', 'fs_delete', 'fs_move', 'browser'],
  ...['gateway', 'plugins', 'nodes', 'openclaw', 'cron', 'automations', 'sessions_spawn', 'sessions_send'],
  ...['subagents', 'spawn_agent', 'message'],
]);

function isHeldBack(tool: string): boolean {
  if (isNodeCommand(tool)) return canDoAnything(tool.slice(NODE_PREFIX.length));
  const name = tool.toLowerCase();
  return POWERFUL.has(name) || /^(?:conversations|cluster)_/.test(name);
}

const NODE_PREFIX = 'node:';

function isNodeCommand(tool: string): boolean {
  return tool.startsWith(NODE_PREFIX);
}
