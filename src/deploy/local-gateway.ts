import { randomBytes } from 'node:crypto';
import type { Home } from '#src/adapters/home.ts';
import { createLog } from '#src/adapters/log.ts';
import type { GatewayProcess } from '#src/adapters/openclaw/gateway-process.ts';
import { startGateway } from '#src/adapters/openclaw/gateway-process.ts';
import { freePort } from '#src/deploy/free-port.ts';
import { logFile } from '#src/deploy/log-file.ts';

/** The real OpenClaw gateway of a local federation, below the master's home. */
export interface LocalGateway {
  /** What the hub has to know of it, as settings by their environment names. */
  readonly environment: Readonly<Record<string, string>>;
  readonly port: number;
  /** Resolves when an operator can connect. Throws as startGateway does. */
  start(signal: AbortSignal): Promise<GatewayProcess>;
}

const TOKEN_FILE = 'gateway-token';

export async function localGateway(master: Home, openclaw: string): Promise<LocalGateway> {
  const token = await master.secret(TOKEN_FILE, () => randomBytes(32).toString('hex'));
  const port = await freePort();
  return {
    port,
    environment: {
      OPENCLAW_FEDERATION_GATEWAY_URL: `ws://127.0.0.1:${port}`,
      OPENCLAW_FEDERATION_GATEWAY_TOKEN_FILE: master.file(TOKEN_FILE),
    },
    start: (signal) =>
      startGateway({
        directory: master.file('openclaw'),
        port,
        token,
        openclaw,
        log: createLog({ level: 'info', module: 'gateway', write: logFile(master.file('gateway.log')) }),
        signal,
      }),
  };
}
