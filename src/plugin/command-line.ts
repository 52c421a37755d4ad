import type { OpenClawPluginApi } from 'openclaw/plugin-sdk/plugin-entry';
import { reportError } from '#src/adapters/terminal.ts';
import { FederationError } from '#src/core/errors.ts';
import type { ModelShares } from '#src/plugin/models/list.ts';
import { sharesText } from '#src/plugin/models/list.ts';
import type { Peer } from '#src/plugin/peers.ts';
import { peersText } from '#src/plugin/peers.ts';
import { statusText } from '#src/plugin/status-text.ts';
import type { Status } from '#src/protocol/hub-api/status.ts';

const ROOT = { name: 'federation', description: 'Machines of the federation', hasSubcommands: true };

interface Flags {
  readonly json?: boolean;
}

/** `openclaw federation status|peers|models [--json]`, by the gateway: what it says is what the agent there has. */
export function registerCommandLine(api: OpenClawPluginApi): void {
  api.registerCli(
    ({ program }) => {
      const federation = program.command(ROOT.name).description(ROOT.description);
      const command = <T>(name: string, description: string, method: string, text: (answer: T) => string) =>
        federation
          .command(name)
          .description(description)
          .option('--json', 'print JSON')
          .action(async ({ json = false }: Flags) => {
            try {
              const answer = await askGateway<T>(method);
              print(json ? JSON.stringify(answer, null, 2) : text(answer));
            } catch (error) {
              process.exitCode = reportError(error, { json });
            }
          });
      command<Status>('status', 'the hub, and how many machines are online', 'federation.status', statusText);
      command<{ peers: Peer[] }>('peers', 'the machines and what they can do', 'federation.peers', ({ peers }) =>
        peersText(peers),
      );
      command<ModelShares>(
        'models',
        'the models of this OpenClaw that its node can share, and which it can’t and why',
        'federation.models',
        sharesText,
      );
    },
    { descriptors: [ROOT] },
  );
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

async function askGateway<T>(method: string): Promise<T> {
  // OpenClaw's own code, which it loads for its plugins: there is none of it where the hub runs.
  const { callGatewayFromCli } = await import('openclaw/plugin-sdk/gateway-runtime');
  try {
    return (await callGatewayFromCli(method, { timeout: '10000', json: true }, {}, { progress: false })) as T;
  } catch (cause) {
    throw gatewayFailure(cause);
  }
}

function gatewayFailure(cause: unknown): FederationError {
  const { details, message } = cause as { details?: { code?: unknown; hint?: unknown }; message?: string };
  if (typeof details?.code === 'string') {
    const hint = typeof details.hint === 'string' ? details.hint : 'manage-federation status';
    return new FederationError('HUB_UNREACHABLE', message ?? 'the hub does not answer', { hint, cause });
  }
  const [first = 'no answer'] = (message ?? '').split('\n');
  return new FederationError('GATEWAY_UNREACHABLE', `the gateway does not answer (${first})`, {
    hint: 'openclaw gateway status',
    cause,
  });
}
