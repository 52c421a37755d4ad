import { FederationError } from '#src/core/errors.ts';
import { DENIED } from '#src/core/file-denials.ts';
import type { Verdict } from '#src/core/policy.ts';
import { matchesWord } from '#src/core/wildcard.ts';

/** What a node’s own settings say of its files; they narrow what the table of consents allows and never widen it. */
export interface FileSettings {
  readonly read: FileRules;
  readonly write: FileRules;
  /** Bytes of one read or write. */
  readonly maxBytes: number;
}

interface FileRules {
  /** Folders, absolute or from `~`. Not given: DEFAULT_ROOTS where anything may run on this node, else none. */
  readonly roots?: readonly string[] | undefined;
  /** On top of what is denied anyhow. */
  readonly deny: readonly string[];
  /** Of what is denied anyhow, what is not to be. */
  readonly lift?: readonly string[] | undefined;
}

export type FileAccess = 'read' | 'write';

/**
 * A node that runs anything gives no more away by its files than by `cat`. One that runs only what is listed, or
 * nothing, has to say itself which of them are for others.
 */
const DEFAULT_ROOTS = { read: ['~', '/tmp', '/var/log'], write: ['~', '/tmp'] } as const;

export function rootsOf(
  files: FileSettings,
  access: FileAccess,
  execMode: 'full' | 'allowlist' | 'off',
): readonly string[] {
  return files[access].roots ?? (execMode === 'full' ? DEFAULT_ROOTS[access] : []);
}

/** Patterns of what is not open, those of the settings and those that stand for themselves. */
export function denialsOf(files: FileSettings, access: FileAccess): readonly string[] {
  const { deny, lift = [] } = files[access];
  return [...DENIED[access].filter((pattern) => !lift.includes(pattern)), ...deny];
}

/** Where no setting opens anything: a file there is no file, or stands for the machine itself. */
export const NEVER: readonly string[] = ['/proc', '/sys', '/dev'];

export function isRoot(text: string): boolean {
  return /^(?:\/|~$|~\/)/.test(text);
}

/** A pattern is absolute, starts with `~/`, or is one name, which is then denied in every folder. */
export function isDenyPattern(text: string): boolean {
  return text !== '' && (isRoot(text) || !text.includes('/'));
}

/**
 * The absolute path that a word means, as text: `..` and `.` are resolved, and nothing else is: what is not absolute
 * starts at `home`, the home of the worker’s user, as a command does. Throws USAGE for another user’s `~`, and for what
 * can be no file’s.
 */
export function absolutePath(path: string, home: string): string {
  if (/^~[^/]/.test(path)) {
    throw new FederationError('USAGE', `${path}: only ~/ is known, the home of the user that the worker runs as`, {
      hint: 'write the whole path',
    });
  }
  if (/(?:^|\/)\.{0,2}$/.test(path)) {
    throw new FederationError('USAGE', `${path}: a folder is no file`, { hint: 'name a file in it' });
  }
  return normal(path.startsWith('/') ? path : `${home}/${path.replace(/^~(?:\/|$)/, '')}`);
}

/** A root or an absolute pattern, with its `~`. */
export function withHome(text: string, home: string): string {
  return text === '~' || text.startsWith('~/') ? normal(`${home}/${text.slice(1)}`) : text;
}

function normal(path: string): string {
  const names: string[] = [];
  for (const name of path.split('/')) {
    if (name === '..') names.pop();
    else if (name !== '' && name !== '.') names.push(name);
  }
  return `/${names.join('/')}`;
}

/** Roots and patterns without `~`, for one kind of access. */
export interface PathRules {
  readonly roots: readonly string[];
  readonly deny: readonly string[];
}

/** Deny wins, for a folder and all below it; then the path has to be below a root. */
export function judgePath({ roots, deny }: PathRules, path: string): Verdict {
  const denied = deny.find((pattern) => isDenied(pattern, path));
  if (denied !== undefined) return { kind: 'deny', rule: `deny rule ${JSON.stringify(denied)}` };
  const root = roots.find((one) => isBelow(one, path));
  if (root !== undefined) return { kind: 'allow', rule: `root ${JSON.stringify(root)}` };
  const known = roots.length === 0 ? 'no folder of this node is open' : `open are ${roots.join(', ')}`;
  return { kind: 'deny', rule: known };
}

/** Byte for byte: a root that only looks the same is another. */
function isBelow(root: string, path: string): boolean {
  return path.startsWith(root.endsWith('/') ? root : `${root}/`);
}

/**
 * Whether a pattern means the path or a folder above it. Case and Unicode’s ways to write the same do not count here:
 * on some file systems they are the same file, and what is denied by mistake can be named.
 */
function isDenied(pattern: string, path: string): boolean {
  const names = folded(path).split('/').slice(1);
  if (!pattern.includes('/')) return names.some((name) => matchesWord(folded(pattern), name));
  const parts = folded(pattern)
    .split('/')
    .filter((part) => part !== '');
  let reached = new Set(afterAny(parts, 0));
  for (const name of names) {
    if (reached.has(parts.length)) return true;
    const next = [...reached].flatMap((at) => {
      if (parts[at] === '**') return afterAny(parts, at);
      return matchesWord(parts[at]!, name) ? afterAny(parts, at + 1) : [];
    });
    reached = new Set(next);
  }
  return reached.has(parts.length);
}

/** Positions in a pattern that are reached with `at`: `**` may also stand for no folder. */
function afterAny(parts: readonly string[], at: number): number[] {
  const reached = [at];
  while (parts[reached.at(-1)!] === '**') reached.push(reached.at(-1)! + 1);
  return reached;
}

function folded(text: string): string {
  return text.normalize('NFC').toLowerCase();
}
