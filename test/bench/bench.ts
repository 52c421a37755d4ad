import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ProcessSpec, StartedProcess } from './process.ts';
import { startProcess } from './process.ts';

/** What a figure may use. What it takes is given back when its scope ends, however it ends. */
export interface Bench {
  /** Folder of the package as it is installed: compiled, with the packages that it needs. */
  readonly installed: string;
  /** A new empty folder. */
  folder(): Promise<string>;
  /** Starts one of our programs, or one of the bench's own. */
  start(spec: Omit<ProcessSpec, 'folder'>): Promise<StartedProcess>;
  /** To be done at the end of the scope, the last first. */
  onEnd(work: () => Promise<unknown>): void;
  scope<T>(work: (bench: Bench) => Promise<T>): Promise<T>;
  /** Whether the whole run may still wait or try again. */
  hasTime(): boolean;
  say(words: string): void;
}

export interface BenchOptions {
  readonly installed: string;
  /** Folder for everything that is written. */
  readonly folder: string;
  /** When no figure is tried again any more, on the clock of performance.now. */
  readonly patientUntil: number;
  readonly say: (words: string) => void;
  readonly signal: AbortSignal;
}

export function createBench({ installed, folder, patientUntil, say, signal }: BenchOptions): Bench {
  let folders = 0;

  function scoped(endings: (() => Promise<unknown>)[]): Bench {
    const bench: Bench = {
      installed,
      async folder() {
        const path = join(folder, String((folders += 1)));
        await mkdir(path, { mode: 0o700 });
        return path;
      },
      async start(spec) {
        signal.throwIfAborted();
        const started = startProcess({ ...spec, folder });
        endings.push(() => started.stop());
        return started;
      },
      onEnd: (work) => void endings.push(work),
      scope: inScope,
      hasTime: () => performance.now() < patientUntil,
      say,
    };
    return bench;
  }

  async function inScope<T>(work: (bench: Bench) => Promise<T>): Promise<T> {
    const endings: (() => Promise<unknown>)[] = [];
    const aborted = Promise.withResolvers<never>();
    const abort = (): void => aborted.reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    try {
      return await Promise.race([work(scoped(endings)), aborted.promise]);
    } finally {
      signal.removeEventListener('abort', abort);
      for (const end of endings.toReversed()) await end();
    }
  }

  return scoped([]);
}
