import type { Document } from 'yaml';
import { isMap, isSeq, parseDocument, YAMLSeq } from 'yaml';
import type { Home } from '#src/adapters/home.ts';
import { FederationError } from '#src/core/errors.ts';
import type { SharedUpstream } from '#src/core/models/share.ts';
import { MODELS_FILE, readShares } from '#src/core/models/share.ts';

/** models.yaml of a node, to be changed; what people wrote beside it stays. */
export interface ShareFile {
  readonly path: string;
  /** Adds an upstream, or changes what is said of the one of that name. Throws USAGE where it can't be one. */
  put(entry: Readonly<Record<string, unknown>>): SharedUpstream;
  /** Throws NOT_FOUND. */
  remove(name: string): void;
  save(): Promise<void>;
}

/** Throws SETTINGS_INVALID for a file that is broken already. */
export async function shareFile(home: Home): Promise<ShareFile> {
  const path = home.file(MODELS_FILE);
  const document = parseDocument((await home.read(MODELS_FILE)) ?? '');
  const [fault] = document.errors;
  if (fault !== undefined) throw broken(path, fault.message.split('\n')[0] ?? 'no YAML');
  const before = readShares(plain(document, path));
  if (!before.ok) throw broken(path, before.problems[0] ?? 'no shares');

  function list(): YAMLSeq {
    const found: unknown = document.get('upstreams');
    if (isSeq(found)) return found;
    const fresh = new YAMLSeq();
    // What stood behind `upstreams:` is said of nothing more.
    if (document.contents === null) document.contents = document.createNode({}) as unknown as typeof document.contents;
    document.set('upstreams', fresh);
    return fresh;
  }

  const placeOf = (name: unknown): number => list().items.findIndex((item) => isMap(item) && item.get('name') === name);

  return {
    path,
    put(entry) {
      const at = placeOf(entry['name']);
      if (at === -1) list().add(document.createNode(entry));
      else {
        const item = list().items[at];
        if (isMap(item)) for (const [key, value] of Object.entries(entry)) item.set(key, document.createNode(value));
      }
      const after = readShares(plain(document, path));
      if (!after.ok) throw wrongUse(after.problems[0] ?? '');
      return after.upstreams.find(({ name }) => name === entry['name'])!;
    },
    remove(name) {
      const at = placeOf(name);
      if (at === -1) {
        const known = before.upstreams.map((upstream) => upstream.name);
        throw new FederationError('NOT_FOUND', `this node shares nothing that is named ${JSON.stringify(name)}`, {
          hint: known.length === 0 ? `${path} names nothing` : `it shares ${known.join(', ')}`,
        });
      }
      list().delete(at);
    },
    save: () => home.write(MODELS_FILE, document.toString()),
  };
}

/** Aliases are refused: a small file must not become a large value. */
function plain(document: Document, path: string): unknown {
  try {
    return document.toJS({ maxAliasCount: 0 });
  } catch (error) {
    throw broken(path, (error as Error).message);
  }
}

function broken(path: string, problem: string): FederationError {
  return new FederationError('SETTINGS_INVALID', `${MODELS_FILE}: ${problem}`, { hint: `mend ${path}` });
}

/** `upstreams.0.baseUrl (ollama): …` is said of a flag here. */
function wrongUse(problem: string): FederationError {
  const [, place = '', said = problem] = /^upstreams\.\d+\.?(\S*) ?(?:\([^)]*\))?: (.*)$/s.exec(problem) ?? [];
  const flag = FLAGS[place.split('.')[0] ?? ''];
  return new FederationError('USAGE', flag === undefined ? said : `${flag}: ${said}`, {
    hint: 'manage-federation models share --help',
  });
}

const FLAGS: Readonly<Record<string, string>> = {
  name: 'the name',
  baseUrl: '--url',
  api: '--api',
  keyFile: '--key-file',
  keyEnvironment: '--key-environment',
  models: '--model',
  only: '--only',
  except: '--except',
  concurrency: '--concurrency',
};
