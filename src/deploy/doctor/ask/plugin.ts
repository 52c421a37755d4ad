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

/** As `openclaw gateway call --json` says it. */
const failureSchema = z.object({
  error: z.object({
    type: z.string().optional(),
    message: z.string(),
    details: z.object({ hint: z.string().optional() }).optional().catch(undefined),
  }),
});

/**
 * Asks the plugin by the gateway, with what `openclaw federation status` asks too: that loads the plugin once more, and
 * takes five times as long. Null where it says nothing.
 */
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
  const argv = [program, 'gateway', 'call', 'federation.status', '--json', '--timeout', '10000'] as const;
  const ran = await look(machine, { argv, as: person, environment, signal }, ANSWER_MS);
  if (ran === null) return null;
  if (ran.code === 0) return { state: 'answers' };
  // Before it OpenClaw may tell what else it did, in a frame.
  const said = failureSchema.safeParse(jsonIn(/^\{[^]*^\}/m.exec(ran.stdout)?.[0] ?? ran.stdout));
  if (said.success) return failure(said.data.error);
  const [first = 'it does not say why'] = ran.stderr.split('\n').filter((line) => line.trim() !== '');
  return { state: 'fails', problem: first.trim(), hint: null };
}

function failure({ type, message, details }: z.infer<typeof failureSchema>['error']): PluginAnswer {
  const isUnreached = type === 'gateway_transport_error';
  return { state: 'fails', problem: message, hint: details?.hint ?? (isUnreached ? 'openclaw gateway status' : null) };
}
