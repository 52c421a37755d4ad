import { join } from 'node:path/posix';
import { z } from 'zod';
import type { Machine } from '#src/adapters/machine/machine.ts';
import { jsonIn } from '#src/deploy/doctor/ask/json.ts';
import { look } from '#src/deploy/doctor/ask/look.ts';
import type { Facts } from '#src/deploy/facts.ts';
import { NODE_HOST_STATES, NODE_STATES } from '#src/protocol/hub-api/node.ts';

/** The parts of `manage-federation pending` and `list` that a doctor needs. */
const pendingSchema = z.array(z.object({ name: z.string(), held: z.string().nullable(), rejected: z.boolean() }));
const nodesSchema = z.array(
  z.object({
    name: z.string(),
    state: z.enum(NODE_STATES),
    openclaw: z.object({ nodeHost: z.enum(NODE_HOST_STATES), commands: z.array(z.string()) }),
  }),
);

export interface FederationAnswer {
  readonly pending: z.infer<typeof pendingSchema>;
  readonly nodes: z.infer<typeof nodesSchema>;
}

/** What the master knows, asked as the person does; null where it does not answer them. */
export async function askFederation(
  machine: Machine,
  { place, person }: Facts,
  signal: AbortSignal,
): Promise<FederationAnswer | null> {
  const program = join(place.bin, 'manage-federation');
  const ask = async (question: string): Promise<unknown> => {
    const ran = await look(machine, { argv: [program, '--json', question], as: person, signal });
    return ran?.code === 0 ? jsonIn(ran.stdout) : null;
  };
  const pending = pendingSchema.safeParse(await ask('pending'));
  const nodes = nodesSchema.safeParse(await ask('list'));
  return pending.success && nodes.success ? { pending: pending.data, nodes: nodes.data } : null;
}
