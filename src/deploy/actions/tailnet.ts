import { readFile } from 'node:fs/promises';
import { renderUnicodeCompact } from 'uqr';
import { lastWords } from '#src/adapters/machine/perform.ts';
import type { Ran } from '#src/adapters/machine/machine.ts';
import { readStatus } from '#src/adapters/tailscale/answers.ts';
import { FederationError } from '#src/core/errors.ts';
import type { ActionOf } from '#src/deploy/action.ts';
import type { Context } from '#src/deploy/actions/context.ts';
import type { ActionKind } from '#src/deploy/actions/kind.ts';
import { until } from '#src/deploy/condition.ts';

interface BeforeTailnet {
  /** tailscaled's own word: Running, Stopped, NeedsLogin …; `absent` where it did not answer. */
  readonly state: string;
}

const UP_MS = 90_000;
const ANSWER_MS = 20_000;
const LEAVE_MS = 10_000;

export const tailnet: ActionKind<'tailnet', BeforeTailnet> = {
  key: () => 'tailnet',
  isTailnet: () => true,
  describe: ({ authKeyFile }) =>
    authKeyFile === null ? 'bring the machine into the tailnet by a login' : 'bring the machine into the tailnet',
  async before(_action, context) {
    return { state: (await stateOf(context)) ?? 'absent' };
  },
  async apply(action, context) {
    const { signal } = context;
    const hint = 'systemctl status tailscaled';
    const state = await until({
      what: 'tailscaled’s answer',
      withinMs: ANSWER_MS,
      look: () => stateOf(context),
      hint,
      signal,
    }).catch((error: unknown) => {
      signal.throwIfAborted();
      throw down('tailscaled does not answer', hint, error);
    });
    if (state === 'Running') return;
    const ran = await (action.authKeyFile === null
      ? upByLogin(action, context)
      : upByKey(action, action.authKeyFile, context));
    if (ran.code !== 0) throw refused(ran, action);
    await until({
      what: 'the tailnet',
      withinMs: UP_MS,
      look: async () => ((await stateOf(context)) === 'Running' ? true : null),
      hint: 'tailscale status',
      signal,
    }).catch(async (error: unknown) => {
      signal.throwIfAborted();
      throw down(`the machine is not in the tailnet yet (${await stateOf(context)})`, APPROVE, error);
    });
  },
  async undo(_action, { state }, { machine, signal }) {
    if (state === 'Running') return;
    const inTime = AbortSignal.any([signal, AbortSignal.timeout(LEAVE_MS)]);
    const verb = state === 'Stopped' ? 'down' : 'logout';
    // Where the tailnet can't be told, its list of machines is cleared by hand; here it is forgotten with tailscaled.
    await machine.run({ argv: ['tailscale', verb], as: 'root', signal: inTime }).catch(() => undefined);
    signal.throwIfAborted();
  },
};

const APPROVE = 'see whether it waits for approval in the tailnet’s admin console, then run this again';

/** Null while tailscaled does not answer. */
async function stateOf({ machine, signal }: Context): Promise<string | null> {
  const { stdout } = await machine.run({ argv: ['tailscale', 'status', '--json'], as: 'root', signal });
  try {
    return readStatus(stdout).tailnet.state;
  } catch {
    return null;
  }
}

/** The key is seen in no argument, and its file lives as long as the command. */
const UP_BY_KEY = `umask 077
key=$(mktemp)
trap 'rm -f -- "$key"' EXIT
trap 'exit 143' TERM INT HUP
cat >"$key"
tailscale up --auth-key="file:$key" "$@"`;

async function upByKey(action: ActionOf<'tailnet'>, keyFile: string, { machine, signal }: Context): Promise<Ran> {
  const key = await readFile(keyFile, 'utf8').catch((cause: unknown) => {
    throw new FederationError('USAGE', `the auth key can’t be read from ${keyFile}`, {
      hint: 'name a file that holds it: --auth-key-file FILE',
      cause,
    });
  });
  const words = [...flagsOf(action), `--timeout=${UP_MS / 1000}s`];
  return machine.run({ argv: ['sh', '-euc', UP_BY_KEY, 'sh', ...words], as: 'root', input: key.trim(), signal });
}

/** Waits as long as the person needs, who opens the address where they like. */
async function upByLogin(action: ActionOf<'tailnet'>, { machine, progress, signal }: Context): Promise<Ran> {
  let shown = '';
  const onLine = (line: string): void => {
    const url = /"AuthURL":\s*"(https?:\/\/[^"\s]+)"/.exec(line)?.[1];
    if (url === undefined || url === shown) return;
    shown = url;
    progress(`\n${renderUnicodeCompact(url)}\nto let this machine into the tailnet, open ${url}`);
  };
  return machine.run({ argv: ['tailscale', 'up', '--json', ...flagsOf(action)], as: 'root', onLine, signal });
}

function flagsOf({ loginServer, hostname }: ActionOf<'tailnet'>): string[] {
  return [
    ...(loginServer === null ? [] : [`--login-server=${loginServer}`]),
    ...(hostname === null ? [] : [`--hostname=${hostname}`]),
  ];
}

function refused(ran: Ran, { authKeyFile, loginServer }: ActionOf<'tailnet'>): FederationError {
  const words = lastWords(ran);
  if (/requires mentioning all/.test(words)) {
    return down('this machine has tailscale settings of its own', 'run `tailscale up` as you want it, then this again');
  }
  const isKey =
    authKeyFile !== null && /key|unauthorized|expired|401|403/i.test(words) && !/timeout|timed out/i.test(words);
  if (isKey) return down(`the tailnet refuses the auth key: ${words}`, 'make a new one in its admin console');
  const server = loginServer ?? 'the tailnet’s control server';
  return down(
    `the machine can’t get into the tailnet: ${words}`,
    `see that ${server} can be reached, and: tailscale status`,
  );
}

function down(message: string, hint: string, cause?: unknown): FederationError {
  return new FederationError('TAILNET_DOWN', message, { hint, cause });
}
