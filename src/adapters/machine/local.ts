import { once } from 'node:events';
import { connect } from 'node:net';
import { userInfo } from 'node:os';
import { FederationError } from '#src/core/errors.ts';
import { hubAddressText } from '#src/core/hub-address.ts';
import type { Machine } from '#src/adapters/machine/machine.ts';
import type { AskPassword } from '#src/adapters/machine/runner.ts';
import { runner } from '#src/adapters/machine/runner.ts';

/** The machine that this runs on. `askPassword` is for a sudo that wants one. */
export function thisMachine({ askPassword }: { readonly askPassword?: AskPassword } = {}): Machine {
  const name = 'this machine';
  const { username, uid } = userInfo();
  return {
    name,
    isLocal: true,
    run: runner({
      name,
      login: { name: username, uid },
      argv: (words) => words,
      check: () => undefined,
      askPassword,
    }),
    async connect(to, signal) {
      const socket = connect({ ...to });
      try {
        await once(socket, 'connect', { signal });
        return socket;
      } catch (cause) {
        socket.destroy();
        signal.throwIfAborted();
        throw new FederationError('HUB_UNREACHABLE', `nothing answers at ${hubAddressText(to)}`, {
          hint: 'check the name and the port, and on the master: manage-federation status',
          cause,
        });
      }
    },
    close: () => Promise.resolve(),
  };
}
