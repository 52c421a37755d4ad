import { constants } from 'node:os';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { execa } from 'execa';
import { FederationError } from '#src/core/errors.ts';
import type { Ran } from '#src/adapters/machine/machine.ts';

export interface ProcessOptions {
  readonly input?: string | Readable;
  readonly onLine?: (line: string) => void;
  /** A line of standard output: what comes before it is not the program’s, but the login shell’s. */
  readonly mark?: string;
  /** In the group of the terminal it may ask there, and gets its Ctrl-C. */
  readonly terminal?: boolean;
  /** Ends what came of it where a signal to this process is not enough. */
  readonly end?: () => Promise<void>;
  readonly signal: AbortSignal;
}

/** Far more than anything that is asked for; a machine that says more than that is stopped. */
const MAX_OUTPUT_CHARACTERS = 16 << 20;

/** Runs a program of this machine to its end. Throws PROGRAM_MISSING, what reading `input` threw, and the signal's reason. */
export async function runProcess(argv: readonly string[], options: ProcessOptions): Promise<Ran> {
  const { input, onLine, mark, terminal = false, end, signal } = options;
  signal.throwIfAborted();
  const [program = '', ...words] = argv;
  const child = execa(program, words, {
    cwd: '/',
    reject: false,
    stripFinalNewline: false,
    maxBuffer: MAX_OUTPUT_CHARACTERS,
    detached: !terminal,
    ...(input === undefined ? { stdin: 'ignore' as const } : { input }),
  });
  if (onLine !== undefined) {
    createInterface({ input: child.stdout }).on('line', mark === undefined ? onLine : linesAfter(mark, onLine));
    createInterface({ input: child.stderr }).on('line', onLine);
  }
  const unread: Error[] = [];
  if (input instanceof Readable) input.once('error', (error: Error) => unread.push(error));
  const stop = (): void => void stopped();
  const stopped = async (): Promise<void> => {
    // Where it can't be reached any more, ending our own side of it is all that is left.
    await end?.().catch(() => undefined);
    child.kill('SIGTERM');
  };
  signal.addEventListener('abort', stop, { once: true });
  try {
    const { exitCode, signal: killedBy, stdout: whole, stderr, cause } = await child;
    const stdout = mark === undefined ? whole : textAfter(mark, whole);
    signal.throwIfAborted();
    if (unread[0] !== undefined) throw unread[0];
    if (exitCode !== undefined) return { code: exitCode, stdout, stderr };
    if (killedBy !== undefined) return { code: 128 + constants.signals[killedBy], stdout, stderr };
    throw new FederationError('PROGRAM_MISSING', `there is no program ${program} on this machine`, {
      hint: `install ${program}`,
      cause,
    });
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

function textAfter(mark: string, text: string): string {
  const line = `\n${mark}\n`;
  const at = text.indexOf(line);
  return at === -1 ? text : text.slice(at + line.length);
}

function linesAfter(mark: string, onLine: (line: string) => void): (line: string) => void {
  let isBegun = false;
  return (line) => {
    if (isBegun) onLine(line);
    isBegun ||= line === mark;
  };
}
