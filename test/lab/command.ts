import { execa } from 'execa';

/** How a program ended and what it said; `code` is null where a signal ended it. */
export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly input?: string;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** Runs a program of this host to its end, whatever that is. Rejects where it can't be started or `signal` ends it. */
export async function run(argv: readonly string[], options: CommandOptions = {}): Promise<Finished> {
  const [program = '', ...args] = argv;
  const { signal, input = '', cwd, env } = options;
  const ended = await execa(program, args, {
    input,
    reject: false,
    stripFinalNewline: false,
    forceKillAfterDelay: 2000,
    ...(cwd === undefined ? {} : { cwd }),
    ...(env === undefined ? {} : { env }),
    ...(signal === undefined ? {} : { cancelSignal: signal }),
  });
  signal?.throwIfAborted();
  if (ended.exitCode === undefined && ended.signal === undefined) {
    throw new Error(`${program} could not be started`, { cause: ended.cause });
  }
  return { code: ended.exitCode ?? null, stdout: ended.stdout, stderr: ended.stderr };
}

/** What a program of this host printed. Rejects, with its last words, where it did not end well. */
export async function succeed(argv: readonly string[], options: CommandOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await run(argv, options);
  if (code === 0) return stdout;
  throw new Error(`${argv.join(' ')}: ended with ${code}: ${(stderr || stdout).trim().slice(-2000)}`);
}
