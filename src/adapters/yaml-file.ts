import { readFile, stat } from 'node:fs/promises';
import { fileNews } from '#src/adapters/file-news.ts';
import type { Home } from '#src/adapters/home.ts';
import { parseYaml } from '#src/adapters/settings-file.ts';

/** What a file holds, not looked into. */
export type YamlText =
  | { readonly state: 'absent' }
  | { readonly state: 'unreadable'; readonly problem: string }
  | { readonly state: 'read'; readonly value: unknown };

/** What people write by hand is far shorter. */
const MAX_BYTES = 1 << 20;

/** A YAML file of a home, at once and whenever it changes, comes or goes; ends when `signal` is aborted. */
export async function* followYamlFile(home: Home, name: string, signal: AbortSignal): AsyncGenerator<YamlText> {
  const path = home.file(name);
  const news = fileNews(home.path, name);
  try {
    for (let seen: string | null = null; !signal.aborted; await news.next(signal)) {
      const found = await signatureOf(path);
      if (found === seen) continue;
      seen = found;
      yield await readYaml(path);
    }
  } finally {
    news.close();
  }
}

/** Differs after any change, also after one within the same millisecond that kept the length. */
async function signatureOf(path: string): Promise<string> {
  try {
    const { ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    return [ino, size, mtimeNs, ctimeNs].join(' ');
  } catch (error) {
    return codeOf(error);
  }
}

async function readYaml(path: string): Promise<YamlText> {
  const unreadable = (problem: string): YamlText => ({ state: 'unreadable', problem });
  try {
    const found = await stat(path);
    if (!found.isFile()) return unreadable('it is no file');
    if (found.size > MAX_BYTES) return unreadable(`it is larger than ${MAX_BYTES >> 20} MiB`);
    const text = await readFile(path, 'utf8');
    return { state: 'read', value: parseYaml(text) };
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOENT') return { state: 'absent' };
    if (code !== '') return unreadable(`it can’t be read (${code})`);
    const [first = ''] = (error as Error).message.split('\n');
    return unreadable(first === '' ? 'it is no YAML' : first);
  }
}

/** Of an error of the system; empty for another. */
function codeOf(error: unknown): string {
  const { errno, code } = error as NodeJS.ErrnoException;
  return errno === undefined ? '' : (code ?? '');
}
