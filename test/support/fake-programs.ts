import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';

/** Programs of a machine that a test must not use: they write down how they were called, and answer from files. */
export interface FakePrograms {
  readonly folder: string;
  /** One line for each call: the program and its words. */
  calls(): Promise<string[]>;
  /** A file beside the programs that steers them. */
  set(name: string, text?: string): Promise<void>;
}

/** Each knows its own folder, which holds what it remembers. */
const HEAD = `#!/bin/sh
here=$(dirname "$0")
echo "$(basename "$0")" "$@" >>"$here/calls"
`;

const PROGRAMS: Readonly<Record<string, string>> = {
  systemctl: `scope=system
if [ "$1" = --user ]; then scope=user; shift; fi
verb=$1; shift
for unit; do :; done
state=$here/$scope-$unit
case $verb in
  is-enabled) if [ -e "$state.enabled" ]; then echo enabled; else echo disabled; exit 1; fi ;;
  is-active)
    if [ -e "$state.active" ]; then echo active
    elif [ -e "$here/broken" ]; then echo failed; exit 3
    else echo inactive; exit 3; fi ;;
  enable) touch "$state.enabled"; if [ "$1" = --now ]; then touch "$state.active"; fi ;;
  disable) rm -f "$state.enabled"; if [ "$1" = --now ]; then rm -f "$state.active"; fi ;;
  start|restart)
    if [ -e "$here/broken" ]; then echo "Job for $unit failed." >&2; exit 1; fi
    touch "$state.active" ;;
  stop) rm -f "$state.active" ;;
  show) echo loaded ;;
esac
`,
  journalctl: `if [ -e "$here/broken" ]; then echo 'it needs a setting'; echo 'and left with 2'; fi
`,
  loginctl: `case $1 in enable-linger) touch "$here/linger-$2" ;; disable-linger) rm -f "$here/linger-$2" ;; esac
`,
  getent: `[ -e "$here/$1-$2" ] || exit 2
`,
  useradd: `for name; do :; done
touch "$here/passwd-$name" "$here/group-$name"
`,
  userdel: `rm "$here/passwd-$1"
`,
  groupdel: `rm "$here/group-$1"
`,
  tailscale: `state=$(cat "$here/tailnet")
case $1 in
  status)
    peers=$(cat "$here/peers" 2>/dev/null || echo null)
    printf '{"BackendState":"%s","TailscaleIPs":null,"Self":null,"Peer":%s}\\n' "$state" "$peers" ;;
  up)
    for word; do
      case $word in
        --auth-key=file:*)
          if [ "$(cat "\${word#--auth-key=file:}")" != tskey-good ]; then
            echo 'backend error: invalid key: API key does not exist' >&2
            exit 1
          fi
          echo "$(stat -c %a "\${word#--auth-key=file:}") \${word#--auth-key=file:}" >"$here/key-file" ;;
        --json)
          printf '{\\n  "AuthURL": "https://login.example/a/123",\\n  "BackendState": "NeedsLogin"\\n}\\n'
          while ! [ -e "$here/logged-in" ]; do sleep 0.05; done ;;
      esac
    done
    echo Running >"$here/tailnet" ;;
  down) echo Stopped >"$here/tailnet" ;;
  logout) echo NeedsLogin >"$here/tailnet" ;;
esac
`,
  // Where the tests don't run as root, what they do as root happens in their own name.
  sudo: `while [ "$1" != -- ]; do shift; done
shift
exec "$@"
`,
};

/** Puts them first on PATH of this process. */
export async function fakePrograms(folder: string): Promise<FakePrograms> {
  await mkdir(folder);
  await writeFile(join(folder, 'calls'), '');
  await writeFile(join(folder, 'tailnet'), 'NeedsLogin\n');
  for (const [name, text] of Object.entries(PROGRAMS)) {
    await writeFile(join(folder, name), HEAD + text, { mode: 0o755 });
  }
  process.env['PATH'] = `${folder}${delimiter}${process.env['PATH']}`;
  return {
    folder,
    calls: async () => (await readFile(join(folder, 'calls'), 'utf8')).split('\n').slice(0, -1),
    set: (name, text = '') => writeFile(join(folder, name), text),
  };
}
