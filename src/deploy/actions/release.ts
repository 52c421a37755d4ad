import { basename, dirname } from 'node:path/posix';
import { perform } from '#src/adapters/machine/perform.ts';
import { FederationError } from '#src/core/errors.ts';
import type { ActionOf } from '#src/deploy/action.ts';
import type { Context } from '#src/deploy/actions/context.ts';
import { filesAs, userOf } from '#src/deploy/actions/context.ts';
import type { ActionKind } from '#src/deploy/actions/kind.ts';
import { removePluginCopies } from '#src/deploy/actions/plugin-copies.ts';
import { linkIn } from '#src/deploy/facts.ts';
import { archiveOf, RELEASE_FILE } from '#src/deploy/release/archive.ts';
import type { Release } from '#src/deploy/release/release.ts';
import { nodeIn, releaseNamed } from '#src/deploy/release/release.ts';

/** One release after the other is the same thing of the machine: the folder that they are in. */
export const release: ActionKind<'release', null> = {
  key: ({ path }) => `releases ${dirname(path)}`,
  isSo: ({ path }, facts) => linkIn(facts, facts.place.current) === path,
  describe: ({ path }) => `put our programs into ${path}`,
  before: () => Promise.resolve(null),
  async apply(action, context) {
    const wanted = await releaseNamed(context.packageFolder, basename(action.path));
    if (wanted === null) throw anotherVersion(action.path);
    const files = await filesAs(context, action.owner);
    // It gets its name when it is whole.
    if ((await files.stat(action.path)) !== null) return;
    await send(wanted, action, context);
    await removeOld(action, context);
  },
  async undo({ path, owner }, _, context) {
    await (await filesAs(context, owner)).removeFolder(dirname(path));
    await removePluginCopies(context);
  },
};

function anotherVersion(path: string): FederationError {
  return new FederationError('STEP_FAILED', `${basename(path)} is a release of another version of this program`, {
    hint: 'deploy anew instead of resuming',
  });
}

async function send(wanted: Release, { path, owner }: ActionOf<'release'>, context: Context): Promise<void> {
  const { machine, progress, signal } = context;
  const archive = await archiveOf(wanted, context);
  try {
    // Packing costs a core more than a local disk does, and less than any network.
    const compressed = !machine.isLocal;
    const input = archive.stream(compressed, inMegabytes(archive.bytes, progress));
    const node = nodeIn(wanted) === null ? '' : 'try';
    const argv = ['sh', '-euc', RECEIVE, 'sh', path, compressed ? '-xzf' : '-xf', RELEASE_FILE, node] as const;
    await perform(
      machine,
      { argv: [...argv], as: await userOf(context, owner), input, signal },
      { what: `put our programs into ${path}`, hint: 'run this again' },
    );
  } finally {
    await archive.dispose();
  }
}

/** $1 path, $2 flags for tar, $3 the last file of the archive, $4 whether its own Node is to be tried. */
const RECEIVE = `umask 022
fresh=$1.new
# What was cut off by a crash, of whichever release: templates/facts.sh counts it as room.
rm -rf -- "\${1%/*}"/*.new
# A disk that became full by it is not left so.
trap 'rm -rf -- "$fresh"' EXIT
mkdir -p -- "$fresh"
tar "$2" - -o -C "$fresh"
[ -f "$fresh/$3" ] || { echo 'the way there was cut' >&2; exit 1; }
chmod -R u=rwX,go=rX -- "$fresh"
[ -z "$4" ] || "$fresh/node_modules/openclaw-federation/bin/manage-federation" --version >/dev/null </dev/null
sync -f -- "$fresh"
mv -fT -- "$fresh" "$1"
sync -- "\${1%/*}/"`;

/** Keeps this one and the one that runs: it is the one before soon, to go back to. */
async function removeOld({ path, owner }: ActionOf<'release'>, context: Context): Promise<void> {
  const running = await (await filesAs(context, owner)).readLink(context.place.current);
  await perform(
    context.machine,
    {
      argv: ['sh', '-euc', REMOVE_OTHERS, 'sh', dirname(path), path, running ?? path],
      as: await userOf(context, owner),
      signal: context.signal,
    },
    { what: 'remove old releases' },
  );
}

const REMOVE_OTHERS = `for release in "$1"/*; do
  case $release in "$2" | "$3") ;; *) rm -rf -- "$release" ;; esac
done`;

/** Says how far it is, ten times at most. */
function inMegabytes(total: number, progress: (line: string) => void): (bytes: number) => void {
  const megabytes = (bytes: number): number => Math.round(bytes / 1e6);
  const step = Math.max(1e6, total / 10);
  let next = step;
  return (bytes) => {
    if (bytes < next) return;
    while (next <= bytes) next += step;
    progress(`sent ${Math.min(megabytes(bytes), megabytes(total))} of ${megabytes(total)} MB`);
  };
}
