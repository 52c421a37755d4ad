import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import { execa } from 'execa';
import { FederationError } from '#src/core/errors.ts';
import type { HubAddress } from '#src/core/hub-address.ts';
import { hubAddressText } from '#src/core/hub-address.ts';
import { shellWord } from '#src/core/shell-word.ts';
import type { Login } from '#src/adapters/machine/become.ts';
import type { Machine } from '#src/adapters/machine/machine.ts';
import { runProcess } from '#src/adapters/machine/process.ts';
import type { AskPassword } from '#src/adapters/machine/runner.ts';
import { runner } from '#src/adapters/machine/runner.ts';
import { checkSsh } from '#src/adapters/machine/ssh-failure.ts';

export interface SshOptions {
  readonly signal: AbortSignal;
  readonly askPassword?: AskPassword;
  /** Whether ssh may ask a person: for a passphrase, or about a host key. */
  readonly terminal?: boolean;
}

/** A longer folder would leave no room for the socket's name in the 108 bytes of its address. */
const FOLDER_MAX = 40;
const OPTIONS = [
  'ConnectTimeout=10',
  'ServerAliveInterval=5',
  'ServerAliveCountMax=3',
  'LogLevel=ERROR',
  'RequestTTY=no',
  'RemoteCommand=none',
  'ForwardAgent=no',
  'ForwardX11=no',
  'PermitLocalCommand=no',
];

/**
 * A machine that the system's `ssh` reaches, by one connection for all that is done there. Throws USAGE for what is no
 * target, MACHINE_UNREACHABLE, and PROGRAM_MISSING where there is no ssh.
 */
export async function sshMachine(target: string, options: SshOptions): Promise<Machine> {
  const { signal, askPassword, terminal = process.stdin.isTTY } = options;
  checkTarget(target);
  const root = tmpdir();
  const folder = await mkdtemp(join(root.length > FOLDER_MAX ? '/tmp' : root, 'ocf-'));
  const settings = [...OPTIONS, `ControlPath=${join(folder, '%C')}`].flatMap((option) => ['-o', option]);
  const later = [...settings, '-o', 'ControlMaster=no', '-o', 'BatchMode=yes'];
  const mark = randomUUID();
  const over = (first: readonly string[]) => (words: readonly string[]) => [
    'ssh',
    ...first,
    '--',
    target,
    `cd / && echo && echo ${mark} && exec ${words.map(shellWord).join(' ')}`,
  ];

  async function close(): Promise<void> {
    const leaving = ['ssh', ...settings, '-O', 'exit', '--', target];
    // It has no connection any more where this fails.
    await runProcess(leaving, { signal: AbortSignal.timeout(5000) }).catch(() => undefined);
    await rm(folder, { recursive: true, force: true });
  }

  try {
    const first = ['ControlMaster=auto', 'ControlPersist=60', `BatchMode=${terminal ? 'no' : 'yes'}`];
    const opening = over([...settings, ...first.flatMap((option) => ['-o', option])]);
    const login = await findLogin(opening(['id']), { target, mark, terminal, signal });
    return {
      name: target,
      isLocal: false,
      run: runner({ name: target, login, argv: over(later), mark, check: checkSsh(target), askPassword }),
      connect: async (to, connecting) =>
        through(['ssh', ...later, '-W', hubAddressText(to), '--', target], to, connecting),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function checkTarget(target: string): void {
  if (/^[^\s\p{Cc}-][^\s\p{Cc}]*$/u.test(target)) return;
  throw new FederationError('USAGE', `${JSON.stringify(target)} is no machine that ssh can reach`, {
    hint: '--ssh user@host',
  });
}

interface Finding {
  readonly target: string;
  readonly mark: string;
  readonly terminal: boolean;
  readonly signal: AbortSignal;
}

/** The first command; its ssh stays behind as the connection of all others. */
async function findLogin(argv: readonly string[], { target, mark, terminal, signal }: Finding): Promise<Login> {
  const ran = await runProcess(argv, { mark, terminal, signal });
  checkSsh(target)(ran);
  const [, uid, name] = /^uid=(\d+)\(([^)]+)\)/.exec(ran.stdout) ?? [];
  if (uid !== undefined && name !== undefined) return { uid: Number(uid), name };
  throw new FederationError('MACHINE_UNREACHABLE', `${target} gives a strange answer to \`id\``, {
    hint: `see what it says: ssh ${target} id`,
  });
}

/** A connection from there, as the standard streams of an ssh. That it can't be made is known when it is read. */
function through(argv: readonly string[], to: HubAddress, signal: AbortSignal): Duplex {
  const [program = '', ...words] = argv;
  const child = execa(program, words, { buffer: { stdout: false }, reject: false, stdin: 'pipe', detached: true });
  const stream = new Duplex({
    read: () => void child.stdout.resume(),
    // What the end of the child means is said by its exit code.
    write: (bytes: Buffer, _encoding, done) => void child.stdin.write(bytes, () => done()),
    final: (done) => void child.stdin.end(() => done()),
    destroy(error, done) {
      signal.removeEventListener('abort', stop);
      child.kill();
      done(error);
    },
  });
  const stop = (): void => void stream.destroy(signal.reason as Error);
  const ended = async (): Promise<void> => {
    const { exitCode, stderr } = await child;
    if (exitCode === 0) stream.push(null);
    else stream.destroy(unanswered(to, stderr));
  };
  child.stdin.on('error', () => undefined);
  child.stdout.on('data', (bytes: Buffer) => void (stream.push(bytes) || child.stdout.pause()));
  child.stdout.once('end', () => void ended());
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  return stream;
}

function unanswered(to: HubAddress, said: string): FederationError {
  return new FederationError('HUB_UNREACHABLE', `nothing answers at ${hubAddressText(to)}, seen from there`, {
    hint: 'check the name and the port, and on the master: manage-federation status',
    cause: new Error(said),
  });
}
