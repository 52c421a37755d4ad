import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { FederationError } from '#src/core/errors.ts';
import type { Login, Sudo } from '#src/adapters/machine/become.ts';
import { become, sudoWords } from '#src/adapters/machine/become.ts';
import type { Command, Ran } from '#src/adapters/machine/machine.ts';
import { runProcess } from '#src/adapters/machine/process.ts';

/** Asks the person for a password; the text is shown before what they type. */
export type AskPassword = (prompt: string) => Promise<string>;

export interface Reach {
  /** As in messages. */
  readonly name: string;
  readonly login: Login;
  /** What has to be started here so that these words run there. */
  readonly argv: (words: readonly string[]) => readonly string[];
  /** Line of standard output with which the program begins, where a login shell may print before. */
  readonly mark?: string;
  /** Throws where the way there has failed, and not the program. */
  readonly check: (ran: Ran) => void;
  readonly askPassword: AskPassword | undefined;
}

const PASSWORD_TRIES = 3;
const END_MS = 15_000;

/** Kills all that has the mark `$1` in its environment: TERM, and KILL to what is left after five seconds. */
const END = `i=0
while found=$(grep -lsF -e "$1" /proc/[0-9]*/environ); [ -n "$found" ] && [ $i -lt 100 ]; do
  pids=$(printf '%s\\n' "$found" | tr -dc '0-9\\n')
  if [ $i -eq 0 ]; then kill -TERM $pids; elif [ $i -ge 50 ]; then kill -KILL $pids; fi 2>/dev/null
  i=$((i + 1))
  sleep 0.1
done`;

/** `run` of a Machine. */
export function runner({
  name,
  login,
  argv,
  mark: begins,
  check,
  askPassword,
}: Reach): (command: Command) => Promise<Ran> {
  let known: Promise<{ readonly sudo: Sudo; readonly head: string }> | null = null;

  /** How sudo is asked, found out at its first use. */
  function sudoManner(signal: AbortSignal): Promise<{ readonly sudo: Sudo; readonly head: string }> {
    known ??= findSudoManner(signal).catch((error: unknown) => {
      known = null;
      throw error;
    });
    return known;
  }

  async function findSudoManner(signal: AbortSignal): Promise<{ readonly sudo: Sudo; readonly head: string }> {
    const quiet = await start(['sudo', '-n', '--', 'true'], { signal });
    if (quiet.code === 0) return { sudo: 'quiet', head: '' };
    if (askPassword === undefined || !/password|terminal/.test(quiet.stderr)) throw refused(quiet);
    for (let tries = 1; ; tries++) {
      const password = await askPassword(`password of ${login.name} for sudo on ${name}`);
      const tried = await start(['sudo', '-S', '-p', '', '-v'], { input: `${password}\n`, signal });
      if (tried.code === 0) {
        const gate = randomUUID();
        return { sudo: { gate }, head: `${password}\n${gate}\n` };
      }
      if (tries === PASSWORD_TRIES) throw refused(tried);
    }
  }

  async function start(words: readonly string[], options: Parameters<typeof runProcess>[1]): Promise<Ran> {
    const whole = begins === undefined ? options : { ...options, mark: begins };
    const ran = await runProcess(argv(['env', 'LC_ALL=C.UTF-8', ...words]), whole);
    check(ran);
    return ran;
  }

  async function startAs(
    as: Command['as'],
    words: readonly string[],
    { input, ...options }: Parameters<typeof runProcess>[1],
  ): Promise<Ran> {
    const { sudo, words: prefix } = become(as, login);
    if (!sudo) return start([...prefix, ...words], input === undefined ? options : { ...options, input });
    const manner = await sudoManner(options.signal);
    const whole = withHead(manner.head, input);
    const ran = await start(
      [...sudoWords(manner.sudo), ...prefix, ...words],
      whole === undefined ? options : { ...options, input: whole },
    );
    if (ran.code === 1 && SUDO_SAYS.test(ran.stderr)) throw refused(ran);
    return ran;
  }

  function refused({ stderr }: Ran): FederationError {
    const why =
      stderr
        .trim()
        .split('\n')
        .at(-1)
        ?.replace(/^sudo: /, '') ?? '';
    return new FederationError('SUDO_REFUSED', `sudo on ${name} refuses ${login.name}${why === '' ? '' : `: ${why}`}`, {
      hint: 'log in as root, allow this user sudo, or deploy for this user alone: --user',
    });
  }

  return async ({ argv: words, as, input, environment = {}, onLine, signal }) => {
    const mark = `FEDERATION_RUN=${randomUUID()}`;
    const settings = Object.entries(environment).map(([key, value]) => `${key}=${value}`);
    const end = async (): Promise<void> => {
      await startAs(as, ['sh', '-c', END, 'sh', mark], { signal: AbortSignal.timeout(END_MS) });
    };
    const ran = await startAs(as, ['env', mark, ...settings, ...words], {
      ...(input === undefined ? {} : { input }),
      ...(onLine === undefined ? {} : { onLine }),
      end,
      signal,
    });
    const missing = ran.code === 127 ? MISSING.exec(ran.stderr)?.[1] : undefined;
    if (missing === undefined) return ran;
    if (missing === 'sudo') throw refused({ ...ran, stderr: 'it is not installed' });
    throw new FederationError('PROGRAM_MISSING', `there is no program ${missing} on ${name}`, {
      hint: `install ${missing} there`,
    });
  };
}

/** coreutils and busybox. */
const MISSING = /^env: (?:can't execute )?['‘]([^'’]+)['’]: No such file or directory/m;
const SUDO_SAYS = /^sudo: |^Sorry, |is not in the sudoers|is not allowed to (?:run|execute)/m;

function withHead(head: string, input: string | Readable | undefined): string | Readable | undefined {
  if (head === '') return input;
  if (input === undefined || typeof input === 'string') return head + (input ?? '');
  return Readable.from(
    (async function* () {
      yield Buffer.from(head);
      yield* input as AsyncIterable<Buffer>;
    })(),
  );
}
