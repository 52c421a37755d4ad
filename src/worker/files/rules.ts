import { realpath } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { FileAccess, FileSettings } from '#src/core/file-policy.ts';
import { denialsOf, judgePath, NEVER, rootsOf, withHome } from '#src/core/file-policy.ts';
import type { ExecSettings } from '#src/core/policy.ts';
import { denied } from '#src/worker/files/failure.ts';

/** The settings of this node that its files are judged by. */
export interface FilePolicy {
  readonly files: FileSettings;
  readonly exec: Pick<ExecSettings, 'mode'>;
  /** Of the user that the worker runs as. */
  readonly home: string;
  /** Files and folders that no setting opens: what this node and its gateway know each other by. */
  readonly own: readonly string[];
}

/** What the gateway of this node knows others by, where its settings are not in their usual folder. */
export function gatewaySecrets(settingsFile: string | undefined): readonly string[] {
  if (settingsFile === undefined) return [];
  const file = resolve(settingsFile);
  return [file, ...['credentials', 'identity', 'devices'].map((name) => join(dirname(file), name))];
}

/** Where folders really are may change at any time: these are for one request. */
export interface Rules {
  /** Throws PATH_DENIED. For a path as it was asked for, `..` resolved. */
  checkAsked(path: string): void;
  /** Throws PATH_DENIED. `where`: where the kernel says that `path` is. */
  checkOpened(where: string, path: string): void;
}

/** Roots and patterns as they are written, and as they are when the symbolic links in them are followed. */
export async function rulesOf(policy: FilePolicy, access: FileAccess): Promise<Rules> {
  const { files, exec, home, own } = policy;
  const written = rootsOf(files, access, exec.mode).map((root) => withHome(root, home));
  const real = (await Promise.all(written.map(realFolder))).filter((root) => root !== null);
  const patterns = [...NEVER, ...own, ...denialsOf(files, access)].map((pattern) => withHome(pattern, home));
  const realPatterns = await Promise.all(patterns.map(realPattern));
  const deny = [...new Set([...patterns, ...realPatterns])];

  return {
    checkAsked(path) {
      const verdict = judgePath({ roots: [...new Set([...written, ...real])], deny }, path);
      if (verdict.kind !== 'allow') throw denied(path, verdict.rule);
    },
    checkOpened(where, path) {
      const verdict = judgePath({ roots: real, deny }, where);
      if (verdict.kind === 'allow') return;
      throw denied(path, where === path ? verdict.rule : `it leads to where it is not open (${verdict.rule})`);
    },
  };
}

/** Null where there is none. */
async function realFolder(path: string): Promise<string | null> {
  return realpath(path).catch(() => null);
}

/** A pattern whose folders, up to the first wildcard, are where they really are. */
async function realPattern(pattern: string): Promise<string> {
  if (!pattern.startsWith('/')) return pattern;
  const names = pattern.split('/');
  const wild = names.findIndex((name) => name.includes('*'));
  const fixed = wild < 0 ? names.length : wild;
  for (let upTo = fixed; upTo > 1; upTo -= 1) {
    const real = await realFolder(names.slice(0, upTo).join('/'));
    if (real !== null) return join(real, ...names.slice(upTo));
  }
  return pattern;
}
