import type { Log } from '#src/adapters/log.ts';
import type { NodeHostProgram } from '#src/adapters/openclaw/node-host.ts';
import type { HubAddress } from '#src/core/hub-address.ts';
import { startCarrier } from '#src/worker/carrier.ts';
import type { HubSession } from '#src/worker/hub-address.ts';
import type { NodeHostDesk, NodeHostStatus } from '#src/worker/node-host.ts';
import { startNodeHost } from '#src/worker/node-host.ts';

export interface SupervisedNodeHost {
  readonly program: NodeHostProgram;
  /** Loopback port by which it reaches the gateway; 0 takes a free one. */
  readonly carrierPort: number;
  readonly hub: HubAddress;
  readonly desk: NodeHostDesk;
  readonly session: () => HubSession | null;
  readonly onChange: (status: NodeHostStatus) => void;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/**
 * Runs OpenClaw's node host beside the link. Resolves, when its way to the gateway is open, with what ends both after
 * `signal`. Throws PORT_IN_USE.
 */
export async function superviseNodeHost(options: SupervisedNodeHost): Promise<() => Promise<void>> {
  const { program, carrierPort, hub, desk, session, onChange, log, signal } = options;
  const carrier = await startCarrier({ port: carrierPort, hub, session, log: log.child('carrier'), signal });
  const { done } = startNodeHost({
    program,
    desk,
    carrierPort: carrier.port,
    onChange,
    log: log.child('node-host'),
    signal,
  });
  return async () => {
    await done;
    await carrier.close();
  };
}
