import { z } from 'zod';
import { openConnection } from '#src/adapters/openclaw/gateway-connection.ts';
import { isOwnGateway, ownGatewayFile, readOwnGateway } from '#src/adapters/openclaw/own-gateway-access.ts';
import { FederationError } from '#src/core/errors.ts';

/** OpenClaw's gateway of this very machine and user, as its operator. */
export interface OwnGateway {
  /**
   * Runs a tool by the gateway's own policy and returns its result. Throws GATEWAY_UNREACHABLE, TOOL_DENIED where that
   * policy refuses or knows no such tool, and TOOL_FAILED.
   */
  invokeTool(tool: string, args: Readonly<Record<string, unknown>>, timeoutMs: number): Promise<unknown>;
}

export interface OwnGatewayOptions {
  /** Its settings; those of this user where it is not given. Port and token are read from them for each call. */
  readonly settingsFile: string | undefined;
  readonly signal: AbortSignal;
}

const invokedSchema = z.object({
  ok: z.boolean(),
  output: z.unknown().optional(),
  error: z
    .object({ code: z.string().catch(''), message: z.string().catch('it says not why') })
    .optional()
    .catch(undefined),
});

export function ownGateway({ settingsFile, signal }: OwnGatewayOptions): OwnGateway {
  const file = ownGatewayFile(settingsFile);
  return {
    async invokeTool(tool, args, timeoutMs) {
      const { url, token } = await readOwnGateway(file);
      const trusts = isOwnGateway;
      const connection = await openConnection({ url, token, trusts, onEvent: () => undefined, signal });
      try {
        const asked = connection.request('tools.invoke', { name: tool, args }, invokedSchema, timeoutMs);
        const { ok, output, error } = await asked.catch((cause: unknown) => {
          throw failed(tool, cause);
        });
        if (ok) return output;
        throw refused(tool, error?.code ?? '', error?.message ?? 'it says not why');
      } finally {
        connection.close();
      }
    },
  };
}

/** What the gateway refuses as a request is the tool's failure here, in its own words. */
function failed(tool: string, cause: unknown): unknown {
  if (!(cause instanceof FederationError) || cause.code !== 'OPENCLAW_REFUSED') return cause;
  return new FederationError('TOOL_FAILED', `${tool}: ${cause.message}`, { hint: 'look at its arguments', cause });
}

function refused(tool: string, code: string, message: string): FederationError {
  const isPolicy = /not.?found|not.?available|forbidden|denied|policy|approval/i.test(code);
  return new FederationError(isPolicy ? 'TOOL_DENIED' : 'TOOL_FAILED', `${tool}: ${message}`, {
    hint: isPolicy ? 'the tool policy of that node’s own gateway decides, too' : 'look at its arguments',
  });
}
