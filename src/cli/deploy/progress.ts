import { Listr, ListrLogger, ProcessOutput } from 'listr2';
import { harmless, say } from '#src/adapters/terminal.ts';
import { scrub } from '#src/core/secrets.ts';

/** How far a row of steps has come, for whoever watches. */
export interface Progress {
  step(id: string, how: 'begun' | 'done' | 'failed'): void;
  /** A line about what is being done. */
  line(text: string): void;
  /** Leaves the screen to others. */
  close(): Promise<void>;
}

export interface ProgressStep {
  readonly id: string;
  readonly title: string;
}

/**
 * On a terminal a list that is kept up to date, elsewhere a line for each step, on standard error. News of steps that
 * are not among `steps` is not shown.
 */
export function showProgress(steps: readonly ProgressStep[], silent: boolean): Progress {
  if (silent) return { step: nothing, line: nothing, close: async () => undefined };
  return process.stderr.isTTY ? listed(steps) : lined(steps);
}

/** What is being done is not cut off in the middle, and may take a while to end. */
export const STOPPING = 'stopping; once more ends it at once';

const nothing = (): void => undefined;

function lined(steps: readonly ProgressStep[]): Progress {
  const titles = new Map(steps.map(({ id, title }) => [id, title]));
  /** What is being done, until it was named. */
  let unnamed: string | null = null;
  return {
    line(text) {
      if (unnamed !== null) say(`...     ${unnamed}`);
      unnamed = null;
      say(`        ${text}`);
    },
    step(id, how) {
      const title = titles.get(id);
      if (title === undefined) return;
      unnamed = how === 'begun' ? title : null;
      if (how !== 'begun') say(`${MARKS[how]}${title}`);
    },
    close: async () => undefined,
  };
}

const MARKS = { done: 'done    ', failed: 'FAILED  ' } as const;

function listed(steps: readonly ProgressStep[]): Progress {
  const ends = new Map(steps.map(({ id }) => [id, Promise.withResolvers<void>()]));
  for (const { promise } of ends.values()) promise.catch(() => undefined);
  let show: (text: string) => void = nothing;
  const list = new Listr(
    steps.map(({ id, title }) => ({
      title,
      task: (_, task) => {
        show = (text) => void (task.output = harmless(scrub(text)));
        return ends.get(id)!.promise;
      },
    })),
    {
      registerSignalListeners: false,
      rendererOptions: {
        logger: new ListrLogger({ processOutput: new ProcessOutput(process.stderr, process.stderr) }),
        collapseErrors: true,
        showErrorMessage: false,
      },
    },
  );
  // What failed is said by whoever did it; here it only ends the list.
  const shown = list.run().catch(() => undefined);
  return {
    line: (text) => show(text),
    step(id, how) {
      if (how === 'done') ends.get(id)?.resolve();
      if (how === 'failed') ends.get(id)?.reject(new Error(id));
    },
    async close() {
      for (const [id, { reject }] of ends) reject(new Error(id));
      await shown;
    },
  };
}
