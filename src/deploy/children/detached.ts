import { fork } from 'node:child_process';
import { openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { ErrorBody } from '#src/core/errors.ts';
import { errorBody, FederationError } from '#src/core/errors.ts';

/** What a detached federation tells the command that started it, until it is ready. */
type News =
  | { readonly type: 'progress'; readonly line: string }
  | { readonly type: 'ready' }
  | { readonly type: 'failed'; readonly error: ErrorBody };

/** Starts `deploy-federation` with `args` as a process of its own and waits until it is ready. Throws what it failed with. */
export async function startDetached(
  args: readonly string[],
  log: string,
  progress: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const script = fileURLToPath(new URL('../../../bin/deploy-federation.js', import.meta.url));
  const child = fork(script, args, {
    execArgv: process.execArgv,
    stdio: ['ignore', 'ignore', openSync(log, 'a', 0o600), 'ipc'],
    detached: true,
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<void>();
  child.on('message', (news: News) => {
    if (news.type === 'progress') progress(news.line);
    else if (news.type === 'ready') resolve();
    else
      reject(
        new FederationError(news.error.code, news.error.message, {
          ...(news.error.hint === undefined ? {} : { hint: news.error.hint }),
        }),
      );
  });
  child.on('error', (error) => {
    ended.resolve();
    reject(error);
  });
  child.on('exit', (code, signal) => {
    ended.resolve();
    const how = code === null ? `by ${signal}` : `with exit code ${code}`;
    reject(new FederationError('START_FAILED', `it ended ${how}`, { hint: `see the end of ${log}` }));
  });
  // Whoever gives up waiting does not want it in the background either.
  const stop = (): void => {
    child.kill('SIGTERM');
    reject(new FederationError('START_FAILED', 'it was not waited for'));
  };
  signal.addEventListener('abort', stop);
  // While the two are connected neither of them can end.
  const leave = (): void => void (child.connected && child.disconnect());
  try {
    await promise;
  } catch (error) {
    leave();
    await ended.promise;
    throw error;
  } finally {
    signal.removeEventListener('abort', stop);
  }
  leave();
  child.unref();
}

/** The other end, in the detached process itself; null in any other. */
export function detachedNews(): { progress(line: string): void; ready(): void; failed(error: unknown): void } | null {
  if (process.send === undefined) return null;
  // The command that started us may be gone: its interest ends with it, our work does not.
  process.on('disconnect', () => undefined);
  const send = (news: News): void =>
    void (process.connected && process.send?.(news, undefined, undefined, () => undefined));
  return {
    progress: (line) => send({ type: 'progress', line }),
    ready: () => send({ type: 'ready' }),
    failed: (error) => send({ type: 'failed', error: errorBody(error) }),
  };
}
