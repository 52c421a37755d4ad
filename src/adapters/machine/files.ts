import { Readable } from 'node:stream';
import { perform } from '#src/adapters/machine/perform.ts';
import type { Command, Machine } from '#src/adapters/machine/machine.ts';

export interface FileState {
  readonly kind: 'file' | 'folder' | 'link' | 'other';
  /** Permission bits, without setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
}

export interface NewFile {
  readonly path: string;
  readonly content: string | Buffer;
  /** Of it the permission bits count, here and in all that takes one: nothing becomes setuid by us. */
  readonly mode: number;
  /** Null: whoever writes it. */
  readonly owner: { readonly uid: number; readonly gid: number } | null;
  /** Of its folder, where that has to be made; 0755 where nothing is said. */
  readonly folderMode?: number;
}

/** The files of a machine in the name of one of its users. All throw STEP_FAILED, DISK_FULL and what `run` throws. */
export interface Files {
  /** What is at a path, a link not followed; null where nothing is. */
  stat(path: string): Promise<FileState | null>;
  /** Null where there is no file; a link is followed. */
  read(path: string): Promise<Buffer | null>;
  /**
   * Replaces a file whole and durably: a reader sees the old one or the new one, and so does a power cut. Folders above
   * it are made.
   */
  write(file: NewFile): Promise<void>;
  /** This folder and those above it, as far as they are not there, uppermost first. */
  missingFolders(path: string): Promise<readonly string[]>;
  /** Makes a folder and those above it; `mode` is for itself alone, null leaves one that is there as it is. */
  makeFolder(path: string, mode: number | null): Promise<void>;
  /** Mode and owner of what is there; null leaves the owner. A link's owner is its own. */
  setMode(path: string, mode: number, owner: { readonly uid: number; readonly gid: number } | null): Promise<void>;
  /** Where a link points; null where there is none. */
  readLink(path: string): Promise<string | null>;
  /** Where all links on the way end; the path itself where it does not. */
  realPath(path: string): Promise<string>;
  /** Replaces what is there, unless it is a folder. Folders above it are made. */
  link(path: string, target: string): Promise<void>;
  /** Names in a folder; none where there is no folder. */
  list(path: string): Promise<readonly string[]>;
  /** A file or a link, and what a power cut has left of writing it; nothing may be there. */
  remove(path: string): Promise<void>;
  /** With all that is in it, and then those of `above` that are empty; nothing may be there. Refuses a link. */
  removeFolder(path: string, above?: readonly string[]): Promise<void>;
  /** Those that are empty; stops at the first that isn't. */
  removeEmpty(paths: readonly string[]): Promise<void>;
}

export function filesOf(machine: Machine, as: Command['as'], signal: AbortSignal): Files {
  async function script(
    what: string,
    text: string,
    words: readonly string[],
    input?: string | Readable,
  ): Promise<string> {
    const command: Command = { argv: ['sh', '-euc', text, 'sh', ...words], as, signal };
    const { stdout } = await perform(machine, input === undefined ? command : { ...command, input }, { what });
    return stdout;
  }

  return {
    async stat(path) {
      const answer = await script(`look at ${path}`, STAT, [path]);
      return answer === '' ? null : parseState(answer);
    },
    async read(path) {
      const answer = await script(`read ${path}`, READ, [path]);
      return answer === '' ? null : Buffer.from(answer.slice(1), 'base64');
    },
    async write({ path, content, mode, owner, folderMode = 0o755 }) {
      const ownerWord = owner === null ? '' : `${owner.uid}:${owner.gid}`;
      const words = [path, octal(mode), ownerWord, octal(folderMode)];
      await script(`write ${path}`, WRITE, words, typeof content === 'string' ? content : Readable.from([content]));
    },
    async missingFolders(path) {
      const missing = await script(`look at ${path}`, MISSING_FOLDERS, [path]);
      return missing.split('\0').slice(0, -1).toReversed();
    },
    async makeFolder(path, mode) {
      await script(`make ${path}`, MAKE_FOLDER, [path, mode === null ? '' : octal(mode)]);
    },
    async setMode(path, mode, owner) {
      const words = [path, octal(mode), owner === null ? '' : `${owner.uid}:${owner.gid}`];
      await script(`set the permissions of ${path}`, SET_MODE, words);
    },
    async readLink(path) {
      const answer = await script(`look at ${path}`, 'if [ -L "$1" ]; then readlink -- "$1"; fi', [path]);
      return answer === '' ? null : answer.slice(0, -1);
    },
    async realPath(path) {
      const found = await script(`look at ${path}`, 'readlink -f -- "$1" || true', [path]);
      return found === '' ? path : found.slice(0, -1);
    },
    async link(path, target) {
      await script(`link ${path}`, LINK, [path, target]);
    },
    async list(path) {
      const names = await script(`list ${path}`, LIST, [path]);
      return names.split('\0').slice(0, -1);
    },
    async remove(path) {
      await script(`remove ${path}`, REMOVE, [path]);
    },
    async removeFolder(path, above = []) {
      await script(`remove ${path}`, REMOVE_FOLDER, [path, ...above]);
    },
    async removeEmpty(paths) {
      await script('remove empty folders', REMOVE_EMPTY, paths);
    },
  };
}

const PERMISSIONS = 0o777;

function octal(mode: number): string {
  return (mode & PERMISSIONS).toString(8);
}

const STAT = `if [ -e "$1" ] || [ -L "$1" ]; then stat -c '%f %u %g %s' -- "$1"; fi`;

/** A colon, so that an empty file is something. */
const READ = 'if [ -e "$1" ]; then printf :; base64 <"$1"; fi';

/**
 * What is to take the place of a file lies beside it under this name: always the same, so that what a power cut leaves
 * there is overwritten the next time, or goes with the file.
 */
export const FRESH_SUFFIX = '.openclaw-federation-new';

/** The folder is synced too: a new name is durable only once its folder is. */
const WRITE = `umask 022
folder=\${1%/*}
if ! [ -d "$folder" ]; then
  mkdir -p -- "\${folder%/*}/"
  mkdir -m "$4" -- "$folder"
fi
umask 077
fresh=$1${FRESH_SUFFIX}
rm -f -- "$fresh"
trap 'rm -f -- "$fresh"' EXIT
set -C
cat >"$fresh"
if [ -n "$3" ]; then chown -h -- "$3" "$fresh"; fi
chmod -- "$2" "$fresh"
sync -- "$fresh"
mv -fT -- "$fresh" "$1"
sync -- "\${1%/*}/"`;

const MISSING_FOLDERS = `path=$1
while [ -n "$path" ] && ! [ -d "$path" ]; do
  printf '%s\\0' "$path"
  path=\${path%/*}
done`;

/** Whatever the umask of the login: others have to get through the folders above. */
const MAKE_FOLDER = `umask 022
mkdir -p -- "\${1%/*}/"
if [ -d "$1" ]; then if [ -n "$2" ]; then chmod -- "$2" "$1"; fi
else mkdir -m "\${2:-755}" -- "$1"; fi`;

const SET_MODE = `if [ -n "$3" ]; then chown -h -- "$3" "$1"; fi
chmod -- "$2" "$1"`;

const LINK = `umask 022
mkdir -p -- "\${1%/*}/"
fresh=$1${FRESH_SUFFIX}
rm -f -- "$fresh"
ln -s -- "$2" "$fresh"
trap 'rm -f -- "$fresh"' EXIT
mv -fT -- "$fresh" "$1"
sync -- "\${1%/*}/"`;

const LIST = `if [ -d "$1" ]; then
  cd -- "$1"
  for name in * .[!.]* ..?*; do
    if [ -e "$name" ] || [ -L "$name" ]; then printf '%s\\0' "$name"; fi
  done
fi`;

const REMOVE = `rm -f -- "$1" "$1${FRESH_SUFFIX}"`;

const REMOVE_EMPTY = 'for folder; do if [ -d "$folder" ]; then rmdir -- "$folder" 2>/dev/null || exit 0; fi; done';

const REMOVE_FOLDER = `if [ -L "$1" ]; then echo 'it is a link now' >&2; exit 1; fi
rm -rf -- "$1"
shift
${REMOVE_EMPTY}`;

/** Type bits of `st_mode`. */
const KINDS: Readonly<Record<number, FileState['kind']>> = { 0o100: 'file', 0o040: 'folder', 0o120: 'link' };

function parseState(line: string): FileState {
  const [raw = '', uid, gid, size] = line.trim().split(' ');
  const bits = Number.parseInt(raw, 16);
  return {
    kind: KINDS[(bits >> 12) << 3] ?? 'other',
    mode: bits & PERMISSIONS,
    uid: Number(uid),
    gid: Number(gid),
    size: Number(size),
  };
}
