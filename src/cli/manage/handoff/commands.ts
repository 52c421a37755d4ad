import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import type { GlobalFlags } from '#src/cli/manage/context.ts';
import { TIMES } from '#src/cli/manage/duration.ts';
import type { AttachFlags } from '#src/cli/manage/handoff/attach.ts';
import type { FetchFlags } from '#src/cli/manage/handoff/fetch.ts';
import type { SendFlags } from '#src/cli/manage/handoff/send.ts';
import type { StartFlags } from '#src/cli/manage/handoff/start.ts';

export interface HandoffCommandsParts {
  readonly ends: (work: Promise<number>) => Promise<void>;
  readonly all: <T extends object>(own: T) => T & GlobalFlags;
  readonly examples: (lines: readonly string[]) => string;
  /** What stands behind `--`; null where there is none. */
  readonly dashed: readonly string[] | null;
  /** Fills the prose below a command’s help anew for the width that there is. */
  readonly prose: (text: string) => () => string;
}

type Own<T> = Omit<T, keyof GlobalFlags>;

/** `manage-federation handoff …` and `agents`; each loads its own module, so that none waits for what only another one needs. */
export function addHandoffCommands(
  program: Command,
  { ends, all, examples, dashed, prose }: HandoffCommandsParts,
): void {
  program
    .command('agents')
    .description('agents of all machines that take work, and how much each has to do')
    .addHelpText('after', examples(['agents']))
    .action(async () => ends((await import('#src/cli/manage/agents.ts')).listAgents(all({}))));
  const handoff = program
    .command('handoff')
    .description('give a piece of work to an agent on another machine, and get its answer')
    .addHelpText('after', examples(['handoff start home-server "look why nginx fails"', 'handoff list']));
  /** A task may begin as a flag does. */
  const words = (given: string | undefined): string | undefined =>
    dashed === null ? given : [...(given === undefined ? [] : [given]), ...dashed].join(' ');
  const command = (usage: string, description: string, ...lines: string[]) =>
    handoff.command(usage).description(description).addHelpText('after', examples(lines));

  command(
    'start <target> [task]',
    'hand it over, and show what the agent says to the end',
    'handoff start home-server "look why nginx fails"',
    'handoff start tags:coding - --file main.go --deadline 30m < task.txt',
    'handoff start gpu-box/main "train it" --detach --key nightly-2026-11-21',
  )
    .option('--context-file <file>', 'what the agent is to know beside the task')
    .option('--file <file>', 'a file that goes with it, by its name; several: once for each', collect)
    .option('--deadline <time>', `when it has to be over (${TIMES})`)
    .option('--idle-timeout <time>', 'how long it may say nothing (default: 10m)')
    .option('--queue-timeout <time>', 'how long it may wait for a machine that takes it (default: 10m)')
    .option('--key <key>', 'what has the same key is the same handoff, however often it is started')
    .option('--rerunnable', 'begin it anew elsewhere where nobody knows its end')
    .option('--cancel-on-disconnect', 'end it when nobody follows it any more')
    .option('--detach', 'print its id, and do not wait for it')
    .option('--ndjson', 'every event as it comes, as a line of JSON on standard output')
    .addHelpText('after', prose(START_NOTES))
    .action(async (target: string, task: string | undefined, own: Own<StartFlags>) =>
      ends((await import('#src/cli/manage/handoff/start.ts')).startHandoff(target, words(task), all(own))),
    );
  command('list', 'those that are kept, the latest first', 'handoff list --limit 5')
    .option('--limit <n>', 'how many', upTo1000, 20)
    .action(async (own: { limit: number }) =>
      ends((await import('#src/cli/manage/handoff/list.ts')).listHandoffs(all(own))),
    );
  command('show <id>', 'all that is known of one, and its answer').action(async (id: string) =>
    ends((await import('#src/cli/manage/handoff/show.ts')).showHandoff(id, all({}))),
  );
  command('attach <id>', 'what it said and says, to its end; Ctrl-C leaves it as it is')
    .option('--after <seq>', 'only what comes after the event of this number')
    .option('--ndjson', 'every event as it comes, as a line of JSON on standard output')
    .action(async (id: string, own: Own<AttachFlags>) =>
      ends((await import('#src/cli/manage/handoff/attach.ts')).attachHandoff(id, all(own))),
    );
  command('cancel <id>', 'ask for its end').action(async (id: string) =>
    ends((await import('#src/cli/manage/handoff/cancel.ts')).cancelHandoff(id, all({}))),
  );
  command(
    'fetch <id> [name...]',
    'the files of its answer, or those that are named',
    'handoff fetch 01KAFZ3V9Q0000000000000000 report.pdf --out-dir .',
  )
    .requiredOption('--out-dir <folder>', 'where they go; it is made where it is missing')
    .option('--force', 'take the place of files that are there')
    .action(async (id: string, names: string[], own: Own<FetchFlags>) =>
      ends((await import('#src/cli/manage/handoff/fetch.ts')).fetchArtefacts(id, names, all(own))),
    );
  command(
    'send <target> [message]',
    'tell an agent something, without an answer; kept while its machine is away',
    'handoff send home-server "the backup moved to /srv/backup"',
  )
    .option('--key <key>', 'what has the same key is told once, however often it is sent')
    .action(async (target: string, message: string | undefined, own: Own<SendFlags>) =>
      ends((await import('#src/cli/manage/handoff/send.ts')).sendMessage(target, words(message), all(own))),
    );
}

const START_NOTES = `A target is a machine, an agent, MACHINE/AGENT, tags:TAG of agents, KEY=VALUE of a machine’s label, or @GROUP. The task is
the argument; standard input where it is - or not given; what stands behind -- where it begins as a flag does. 32 files of
4 MiB together at most.

The first Ctrl-C asks for its end and waits for that, the second leaves. A terminal or hub that goes away does not end it.

Exit codes: 0 completed, 1 failed, 4 lost (it may have run, and nobody knows how it ended), 124 its time was over, 130
cancelled; 3 no such target, 2 wrong use or refused, 1 a fault of this machine.
`;

function collect(value: string, before: string[] = []): string[] {
  return [...before, value];
}

function upTo1000(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= 1000) return value;
  throw new InvalidArgumentError('not a whole number from 1 to 1000');
}
