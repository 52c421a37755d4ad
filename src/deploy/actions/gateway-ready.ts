import type { ActionKind } from '#src/deploy/actions/kind.ts';
import { journalCommand } from '#src/deploy/actions/systemctl.ts';
import { askFrom } from '#src/deploy/ask-from.ts';
import { until } from '#src/deploy/condition.ts';

/** It takes 8 s on a quiet machine, and three of its kind on two cores far more. */
const START_MS = 180_000;

/** Its health is good; that an operator gets in is what the hub says of it. */
export const gatewayReady: ActionKind<'gateway-ready'> = {
  key: () => null,
  isCheck: true,
  describe: ({ port }) => `wait until the gateway answers on port ${port}`,
  before: () => Promise.resolve(null),
  async apply({ port }, context) {
    const { machine, place, signal } = context;
    const unit = { name: 'openclaw-gateway.service', scope: place.scope };
    await until({
      what: `the OpenClaw gateway on port ${port}`,
      withinMs: START_MS,
      look: async () => {
        const { status } = await askFrom(machine, { to: { host: '127.0.0.1', port }, path: '/healthz' }, signal);
        return status === 200 || null;
      },
      hint: `${journalCommand(context, unit)}, and: openclaw doctor`,
      signal,
    });
  },
  undo: () => Promise.resolve(),
};
