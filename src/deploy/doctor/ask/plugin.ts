import { dirname, join } from 'node:path/posix';
import { z } from 'zod';
import type { Machine } from '#src/adapters/machine/machine.ts';
import { jsonIn } from '#src/deploy/doctor/ask/json.ts';
import { look } from '#src/deploy/doctor/ask/look.ts';
import type { Facts } from '#src/deploy/facts.ts';

export type PluginAnswer =
  /** The gateway has it, and the hub answers it. */
  { readonly state: 'answers' } | { readonly state: 'fails'; readonly problem: string; readonly hint: string | null };

/** OpenClaw's command line alone takes seconds to start, more where the machine is busy. */
const ANSWER_MS = 60_000;

const failureSchema = z.object({ message: z.string(), hint: z.string().nullish() });

/** Asks the plugin by the gateway, as the person's own `openclaw federation status` does; null where it says nothing. */
export async function askPlugin(
  machine: Machine,
  { openclaw, node, place, person, gateway }: Facts,
  signal: AbortSignal,
): Promise<PluginAnswer | null> {
  if (openclaw === null) return null;
  const isOurs = openclaw.program.startsWith(`${place.openclaw}/`);
  const program = isOurs ? join(place.commands, 'openclaw') : openclaw.program;
  const folders = [dirname(openclaw.program), ...(node === null ? [] : [dirname(node.program)])];
  const environment = {
    PATH: [...folders, '/usr/local/bin', '/usr/bin', '/bin'].join(':'),
    OPENCLAW_STATE_DIR: place.openclawState,
    OPENCLAW_GATEWAY_PORT: String(gateway.port),
  };
  const argv = [program, 'federation', 'status', '--json'] as const;
  const ran = await look(machine, { argv, as: person, environment, signal }, ANSWER_MS);
  if (ran === null) return null;
  if (ran.code === 0) return { state: 'answers' };
  const said = failureSchema.safeParse(jsonIn(ran.stdout));
  if (said.success) return { state: 'fails', problem: said.data.message, hint: said.data.hint ?? null };
  const [first = 'it does not say why'] = ran.stderr.split('\n').filter((line) => line.trim() !== '');
  return { state: 'fails', problem: first.trim(), hint: null };
}
