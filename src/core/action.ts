import type { Role } from '#src/core/node.ts';
import { shellWord } from '#src/core/shell-word.ts';

/** What somebody wants done on a node. Everything that makes it another deed is part of it, and nothing else. */
export type Action = ExecAction | ReadAction | WriteAction | ToolAction | HandoffAction | MessageAction;

export interface ExecAction {
  readonly kind: 'exec';
  /** A time limit may stand beside these: it makes no other command of it. */
  readonly command: {
    readonly argv?: readonly string[] | undefined;
    readonly shell?: string | undefined;
    readonly cwd?: string | undefined;
    readonly env?: Readonly<Record<string, string>> | undefined;
  };
}

export interface ReadAction {
  readonly kind: 'read';
  readonly path: string;
}

export interface WriteAction {
  readonly kind: 'write';
  readonly path: string;
  /** Of the new content, hex. */
  readonly sha256: string;
  /** Bytes. */
  readonly size: number;
  /** Permissions that are asked for; not given: the worker’s own choice. */
  readonly mode?: number | undefined;
}

export interface ToolAction {
  readonly kind: 'tool';
  /** An OpenClaw tool of the node’s own gateway, or `node:COMMAND` of its node host. */
  readonly tool: string;
  /** JSON. */
  readonly args: Readonly<Record<string, unknown>>;
}

export interface HandoffAction {
  readonly kind: 'handoff';
  readonly agent: string;
  readonly task: string;
  /** What the agent is told beside it; may be empty. */
  readonly context: string;
  readonly files: readonly { readonly name: string; readonly size: number; readonly sha256: string }[];
}

export interface MessageAction {
  readonly kind: 'message';
  readonly agent: string;
  readonly message: string;
}

/**
 * The one text of an action: JSON without blanks, keys sorted by their UTF-16 units, nothing that is undefined. Two
 * actions are the same where their texts are; what an approval is bound to is the SHA-256 of its UTF-8 bytes.
 */
export function actionText(action: Action): string {
  if (action.kind !== 'exec') return canonical(action);
  const { argv, shell, cwd, env = {} } = action.command;
  return canonical({ kind: 'exec', command: { argv, shell, cwd, env } });
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value ?? null);
  const entries = Object.entries(value).filter(([, part]) => part !== undefined);
  const sorted = entries.toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `{${sorted.map(([key, part]) => `${JSON.stringify(key)}:${canonical(part)}`).join(',')}}`;
}

/** A question is one message of a chat; Telegram’s holds 4096 characters. */
const MAX_QUESTION = 3000;

/**
 * What a person is asked before an action, in one line and whole; null where it is too long for that: what can’t be shown
 * can’t be approved. Secrets are not cut from it: what stands in their place could hide something else.
 */
export function actionQuestion(
  action: Action,
  nodes: readonly { readonly name: string; readonly role: Role }[],
): string | null {
  const where = nodes.map(({ name, role }) => (role === 'worker' ? name : `${name} (${role})`)).join(', ');
  const text = visible(`on ${where}: ${deed(action)}`);
  return text.length > MAX_QUESTION ? null : text;
}

function deed(action: Action): string {
  switch (action.kind) {
    case 'exec': {
      const { argv = [], shell, cwd, env = {} } = action.command;
      const variables = Object.entries(env).map(([name, value]) => `${name}=${shellWord(value)}`);
      const where = cwd === undefined ? '' : ` in ${shellWord(cwd)}`;
      const by = variables.length === 0 ? '' : ` with ${variables.join(' ')}`;
      return `run${where}${by}: ${shell ?? argv.map(shellWord).join(' ')}`;
    }
    case 'read':
      return `read the file ${shellWord(action.path)}`;
    case 'write': {
      const { path, size, sha256, mode } = action;
      const permissions = mode === undefined ? '' : `, mode ${mode.toString(8).padStart(4, '0')}`;
      return `write ${size} bytes to the file ${shellWord(path)} (sha256 ${sha256}${permissions})`;
    }
    case 'handoff': {
      const { agent, task, context, files } = action;
      const told = context === '' ? '' : ` and knows: ${context}`;
      const given = files.map(({ name, size, sha256 }) => `${shellWord(name)} (${size} bytes, sha256 ${sha256})`);
      return `have the agent ${agent} do: ${task}${told}${given.length === 0 ? '' : ` with ${given.join(', ')}`}`;
    }
    case 'message':
      return `tell the agent ${action.agent}: ${action.message}`;
    case 'tool':
      return `use the tool ${shellWord(action.tool)} with ${canonical(action.args)}`;
  }
}

/**
 * A text in one line, in which each character is seen, in the order in which it stands. What is not seen, looks like a
 * blank, turns a text around or is written from right to left is named, and so is what looks like such a name: no two
 * texts are shown alike.
 */
export function visible(text: string): string {
  return text
    .replace(/\u23ce|<(?=U\+)/g, named)
    .replaceAll('\n', '\u23ce')
    .replace(UNSEEN, named)
    .replace(FROM_RIGHT_TO_LEFT, named);
}

const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]|(?! )\p{Zs}/gu;
/** Letters, beside which a screen puts signs and numbers elsewhere than they stand: the blocks that Unicode keeps for them. */
const FROM_RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/gu;

function named(character: string): string {
  return `<U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}>`;
}
