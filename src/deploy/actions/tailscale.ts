import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { FRESH_SUFFIX } from '#src/adapters/machine/files.ts';
import { perform } from '#src/adapters/machine/perform.ts';
import { FederationError } from '#src/core/errors.ts';
import type { Context } from '#src/deploy/actions/context.ts';
import { filesAs } from '#src/deploy/actions/context.ts';
import type { ActionKind } from '#src/deploy/actions/kind.ts';

interface BeforeTailscale {
  /** What of it was not there: files and folders. */
  readonly absent: readonly string[];
}

/** Where its own unit expects them (tailscale 1.102, `systemd/tailscaled.service`). */
const FILES = {
  daemon: '/usr/sbin/tailscaled',
  client: '/usr/bin/tailscale',
  unit: '/etc/systemd/system/tailscaled.service',
  defaults: '/etc/default/tailscaled',
} as const;
/** Its StateDirectory and CacheDirectory. */
const FOLDERS = ['/var/lib/tailscale', '/var/cache/tailscale'];
const UNIT = 'tailscaled.service';
const LOGOUT_MS = 10_000;
/** Where no byte comes for so long, the network is gone. */
const SILENCE_MS = 20_000;
/** Six times the tarball of 1.102. */
const MAX_BYTES = 200 << 20;

export const tailscale = tailscaleBelow('');

/** Puts its files below `root`. */
export function tailscaleBelow(root: string): ActionKind<'tailscale', BeforeTailscale> {
  const below = (path: string): string => `${root}${path}`;
  const files = [FILES.daemon, FILES.client, FILES.unit, FILES.defaults].map(below);
  const folders = FOLDERS.map(below);
  return {
    key: () => 'tailscale',
    isTailnet: () => true,
    describe: ({ url }) => `install Tailscale from ${url}`,
    async before(_action, context) {
      const there = await filesAs(context, 'root');
      const states = await Promise.all(
        [...files, ...folders].map(async (path) => ({ path, is: await there.stat(path) })),
      );
      return { absent: states.filter(({ is }) => is === null).map(({ path }) => path) };
    },
    async apply({ url }, context) {
      const { machine, progress, signal } = context;
      progress(`fetching ${url}`);
      const tarball = await fetchChecked(url, signal);
      progress('installing it');
      await perform(
        machine,
        { argv: ['sh', '-euc', INSTALL, 'sh', ...files], as: 'root', input: Readable.from([tarball]), signal },
        { what: 'install Tailscale', hint: 'install it by hand (https://tailscale.com/download), then run this again' },
      );
      await asRoot(context, ['systemctl', 'daemon-reload'], 'let systemd read its units');
      await asRoot(context, ['systemctl', 'enable', '--now', UNIT], 'start tailscaled');
    },
    async undo(_action, { absent }, context) {
      const there = await filesAs(context, 'root');
      if (!absent.includes(below(FILES.daemon))) return;
      await leave(context);
      // One that systemd could never load does not run either.
      await context.machine.run({ argv: ['systemctl', 'disable', '--now', UNIT], as: 'root', signal: context.signal });
      for (const path of absent) {
        if (files.includes(path)) await there.remove(path);
        else if (folders.includes(path)) await there.removeFolder(path);
      }
      await asRoot(context, ['systemctl', 'daemon-reload'], 'let systemd read its units');
    },
  };
}

/** tailscaled's defaults are a person's once they are there. */
const INSTALL = `folder=$(mktemp -d)
trap 'rm -rf -- "$folder"' EXIT
tar -xzf - -C "$folder"
from=$(dirname -- "$(find "$folder" -name tailscaled -type f | head -n 1)")
put() {
  # What a link in it points to is a file of this machine.
  if ! [ -f "$from/$2" ] || [ -L "$from/$2" ]; then
    echo "the tarball has no file $2" >&2
    exit 1
  fi
  mkdir -p -- "\${3%/*}"
  cp -- "$from/$2" "$3${FRESH_SUFFIX}"
  chmod -- "$1" "$3${FRESH_SUFFIX}"
  mv -f -- "$3${FRESH_SUFFIX}" "$3"
}
put 755 tailscaled "$1"
put 755 tailscale "$2"
put 644 systemd/tailscaled.service "$3"
if ! [ -e "$4" ]; then put 644 systemd/tailscaled.defaults "$4"; fi`;

async function fetchChecked(url: string, signal: AbortSignal): Promise<Buffer> {
  const [tarball, sum] = await Promise.all([fetchBytes(url, signal), fetchBytes(`${url}.sha256`, signal)]);
  const expected = /^[0-9a-f]{64}\b/.exec(sum.toString('latin1').trim())?.[0];
  if (expected !== createHash('sha256').update(tarball).digest('hex')) {
    throw unfetched(`${url} does not have the SHA-256 that stands beside it`);
  }
  return tarball;
}

async function fetchBytes(url: string, signal: AbortSignal): Promise<Buffer> {
  const silence = new AbortController();
  const timer = setTimeout(() => silence.abort(), SILENCE_MS);
  try {
    const response = await fetch(url, { signal: AbortSignal.any([signal, silence.signal]) });
    if (!response.ok) throw unfetched(`${url} answered ${response.status}`);
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
      timer.refresh();
      bytes += chunk.length;
      if (bytes > MAX_BYTES) throw unfetched(`${url} does not end`);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  } catch (cause) {
    signal.throwIfAborted();
    if (cause instanceof FederationError) throw cause;
    const why = silence.signal.aborted ? `nothing came for ${SILENCE_MS / 1000} s` : reasonOf(cause);
    throw unfetched(`${url} can’t be fetched from here: ${why}`, cause);
  } finally {
    clearTimeout(timer);
  }
}

/** `fetch` only says that it failed; the reason lies below that. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? reasonOf(error.cause) : error.message || String(Reflect.get(error, 'code'));
}

function unfetched(message: string, cause?: unknown): FederationError {
  return new FederationError('STEP_FAILED', message, {
    hint: 'install Tailscale on the machine by hand, name another place with --tailscale-base-url, or see to the network here',
    cause,
  });
}

/** So that the machine does not stay in the tailnet's list; where that can't be, it is removed there by hand. */
async function leave({ machine, signal }: Context): Promise<void> {
  const inTime = AbortSignal.any([signal, AbortSignal.timeout(LOGOUT_MS)]);
  await machine.run({ argv: ['tailscale', 'logout'], as: 'root', signal: inTime }).catch(() => undefined);
  signal.throwIfAborted();
}

async function asRoot({ machine, signal }: Context, argv: [string, ...string[]], what: string): Promise<void> {
  await perform(machine, { argv, as: 'root', signal }, { what, hint: `systemctl status ${UNIT}` });
}
