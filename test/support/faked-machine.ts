import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import type { Command, Machine } from '#src/adapters/machine/machine.ts';

export interface FakedMachine extends Machine {
  /** Home of its user `sam`, a real folder. */
  readonly home: string;
  /** In whose name each script ran that came by standard input. */
  readonly ranAs: Command['as'][];
  /** A program, as the text of a shell script. */
  program(name: string, text: string): Promise<void>;
  /** A file below the home, or anywhere by its absolute path. */
  file(path: string, text: string | Buffer, mode?: number): Promise<string>;
  /** What a path of the system, as a program names it, stands for. */
  stand(path: string, text: string): Promise<void>;
  /** Set for every program. */
  readonly environment: Record<string, string>;
  remove(): Promise<void>;
}

export interface Faked {
  readonly isLocal?: boolean;
  /** Who is logged in. */
  readonly login?: 'sam' | 'root';
  readonly shell?: string;
}

/** A machine of `sam` whose programs are the real ones but for some, and whose system says what a test lets it say. */
export async function fakedMachine({ isLocal = true, login = 'sam', shell = 'sh' }: Faked = {}): Promise<FakedMachine> {
  const folder = await mkdtemp(join(tmpdir(), 'faked-machine-'));
  const [home, bin] = [join(folder, 'home'), join(folder, 'bin')];
  await mkdir(home);
  await mkdir(bin);
  await symlink(`/bin/${shell}`, join(bin, 'sh'));
  const ranAs: Command['as'][] = [];
  const stands = new Map<string, string>();
  const environment: Record<string, string> = {};
  const machine: FakedMachine = {
    name: isLocal ? 'this machine' : 'sam@vps',
    isLocal,
    home,
    ranAs,
    environment,
    async run({ argv, as, input, signal }) {
      if (argv[1] === '-s') ranAs.push(as);
      let text = typeof input === 'string' ? input : '';
      for (const [path, stand] of stands) text = text.replaceAll(path, stand);
      const [program, ...words] = argv;
      const {
        exitCode = 1,
        stdout,
        stderr,
      } = await execa(program, words, {
        extendEnv: false,
        env: { PATH: `${bin}:/usr/bin:/bin`, HOME: home, ...environment },
        input: text,
        reject: false,
        stripFinalNewline: false,
        cancelSignal: signal,
      });
      return { code: exitCode, stdout, stderr };
    },
    connect: () => Promise.reject(new Error('nothing to connect to')),
    close: () => Promise.resolve(),
    async program(program, body) {
      await writeFile(join(bin, program), `#!/bin/sh\n${body}\n`);
      await chmod(join(bin, program), 0o755);
    },
    async file(path, text, mode = 0o644) {
      const whole = path.startsWith('/') ? path : join(home, path);
      await mkdir(dirname(whole), { recursive: true });
      await writeFile(whole, text);
      await chmod(whole, mode);
      return whole;
    },
    async stand(path, text) {
      stands.set(path, await machine.file(join(folder, 'system', path), text));
    },
    remove: () => rm(folder, { recursive: true }),
  };
  const uid = login === 'root' ? 0 : 1000;
  await machine.program('id', `case $1 in -un) echo ${login} ;; *) echo ${uid} ;; esac`);
  await machine.program(
    'getent',
    `case "$1 $2" in
  'passwd sam' | 'passwd 1000') echo 'sam:x:1000:1000:Sam, of “here”:${home}:/bin/sh' ;;
  'passwd root') echo 'root:x:0:0::/root:/bin/sh' ;;
  'group 1000') echo sam:x:1000: ;;
  'group 0') echo root:x:0: ;;
  *) exit 2 ;;
esac`,
  );
  // Files are whoever's runs the test.
  await machine.program(
    'stat',
    `case $2 in '%f %u %g %s') shift 2 && exec /usr/bin/stat -c '%f ${uid} ${uid} %s' "$@" ;; esac
exec /usr/bin/stat "$@"`,
  );
  await machine.program('sudo', 'exit 1');
  await machine.program('systemctl', 'exit 1');
  await machine.program('apt-cache', 'exit 1');
  return machine;
}
