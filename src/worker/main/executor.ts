import { bootId } from '#src/adapters/boot-id.ts';
import type { Home } from '#src/adapters/home.ts';
import type { Log } from '#src/adapters/log.ts';
import { createProcesses } from '#src/adapters/process/processes.ts';
import { openJournal } from '#src/adapters/store/journal.ts';
import type { Settings } from '#src/core/settings.ts';
import type { Consent } from '#src/worker/consent.ts';
import type { Executor, ExecutorNode } from '#src/worker/exec.ts';
import { createExecutor } from '#src/worker/exec.ts';

export type Cleanups = (() => Promise<unknown>)[];

/** What runs commands, with its journal; what a daemon before this one left running is ended first. */
export async function openExecutor(
  home: Home,
  { worker }: Settings,
  node: ExecutorNode,
  consent: Consent,
  log: Log,
  cleanups: Cleanups,
): Promise<Executor> {
  const journal = await openJournal({
    directory: home.path,
    maxBytes: worker.journalMaxBytes,
    retainMs: worker.journalDays * 86_400_000,
    bootId: await bootId(),
  });
  cleanups.push(() => journal.close());
  const processes = createProcesses({ log: log.child('process') });
  cleanups.push(async () => processes.close());
  await processes.endOrphans(journal.lost);
  return createExecutor({
    node,
    consent,
    settings: () => ({
      exec: worker.exec,
      hubLossMs: worker.hubLossSeconds * 1000,
      killAfterMs: worker.killAfterSeconds * 1000,
    }),
    journal,
    processes,
    log: log.child('exec'),
  });
}
