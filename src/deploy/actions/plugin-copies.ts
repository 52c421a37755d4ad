import { join } from 'node:path/posix';
import { perform } from '#src/adapters/machine/perform.ts';
import type { Context } from '#src/deploy/actions/context.ts';

/**
 * Removes the copies of our plugin that a gateway which lost its power has left: OpenClaw runs a copy of each plugin, and
 * removes it when it ends by itself. Those of other plugins stay, and so does whatever a gateway still runs.
 */
export async function removePluginCopies({ machine, place, person, signal }: Context): Promise<void> {
  const folder = join(place.openclawState, 'tmp/plugin-captures');
  await perform(
    machine,
    { argv: ['sh', '-euc', REMOVE_COPIES, 'sh', folder], as: person, signal },
    { what: `remove copies of our plugin from ${folder}` },
  );
}

/**
 * INSTANCE/owner.sqlite is open for as long as the OpenClaw runs whose copies these are: where that can’t be seen, nothing
 * is removed. Each copy of a plugin is
 * INSTANCE/captures/COPY, with its package and those that it needs in it.
 */
const REMOVE_COPIES = `[ -d /proc/self/fd ] || exit 0
for instance in "$1"/*; do
  { [ -d "$instance/captures" ] && [ ! -L "$instance" ] && [ ! -L "$instance/captures" ]; } || continue
  held=$(find /proc/[0-9]*/fd -lname "$instance/*" 2>/dev/null | head -n 1)
  [ -z "$held" ] || continue
  for manifest in "$instance"/captures/*/*/node_modules/*/openclaw.plugin.json; do
    grep -qs '"id": *"openclaw-federation"' "$manifest" || continue
    copy=\${manifest#"$instance/captures/"}
    rm -rf -- "$instance/captures/\${copy%%/*}"
  done
  # Where nothing else is left of it, OpenClaw would only tidy it up.
  if rmdir -- "$instance/captures" 2>/dev/null; then rm -rf -- "$instance"; fi
done`;
