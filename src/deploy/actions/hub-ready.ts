import { join } from 'node:path/posix';
import { z } from 'zod';
import { FederationError } from '#src/core/errors.ts';
import type { UnitName } from '#src/deploy/action.ts';
import type { Context } from '#src/deploy/actions/context.ts';
import { jsonAs } from '#src/deploy/json.ts';
import type { ActionKind } from '#src/deploy/actions/kind.ts';
import { keepsFailing, notStarted } from '#src/deploy/actions/unit-failure.ts';
import { journalCommand } from '#src/deploy/actions/systemctl.ts';
import { until } from '#src/deploy/condition.ts';

const ANSWER_MS = 30_000;
/** The hub tries again every few seconds, and the gateway takes operators some time after its health is good. */
const GATEWAY_MS = 90_000;

const statusSchema = z.object({ gateway: z.object({ state: z.string(), problem: z.string().nullable() }) });

/** Through the person's own command, so that it is shown to work for them; with the gateway, where it has one. */
export const hubReady: ActionKind<'hub-ready'> = {
  key: () => null,
  isCheck: true,
  describe: () => 'wait until the hub answers',
  before: () => Promise.resolve(null),
  async apply(_action, context) {
    const { signal } = context;
    const unit: UnitName = { name: 'federation-hub.service', scope: context.place.scope };
    const hint = journalCommand(context, unit);
    const answer = { what: 'the hub', withinMs: ANSWER_MS, look: () => askStatus(context), hint, signal };
    await until(answer).catch(async (error: unknown) => {
      signal.throwIfAborted();
      throw (await keepsFailing(context, unit)) ? await notStarted(context, unit, 'nothing') : error;
    });
    let problem = '';
    await until({
      what: 'the hub’s way into the gateway',
      withinMs: GATEWAY_MS,
      look: async () => {
        const { gateway } = (await askStatus(context)) ?? { gateway: { state: 'disconnected', problem: null } };
        if (gateway.state !== 'disconnected') return true;
        if (gateway.problem !== null && gateway.problem !== problem) context.progress(gateway.problem);
        problem = gateway.problem ?? problem;
        return null;
      },
      hint: 'manage-federation status',
      signal,
    }).catch((error: unknown) => {
      if (problem === '' || !(error instanceof FederationError)) throw error;
      throw new FederationError(error.code, `${error.message}: ${problem}`, { hint: 'manage-federation status' });
    });
  },
  undo: () => Promise.resolve(),
};

async function askStatus({ machine, place, person, signal }: Context): Promise<z.infer<typeof statusSchema> | null> {
  const program = join(place.bin, 'manage-federation');
  const { code, stdout } = await machine.run({ argv: [program, '--json', 'status'], as: person, signal });
  return code === 0 ? jsonAs(statusSchema, stdout) : null;
}
