import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'jsonc-parser';
import { z } from 'zod';
import { openConnection } from '#src/adapters/openclaw/gateway-connection.ts';
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

/** OpenClaw's own default. */
const DEFAULT_PORT = 18_789;

const settingsSchema = z.object({
  gateway: z
    .object({
      port: z.int().min(1).max(65_535).default(DEFAULT_PORT),
      auth: z.object({ token: z.string().min(1) }),
    })
    .loose(),
});

const invokedSchema = z.object({
  ok: z.boolean(),
  output: z.unknown().optional(),
  error: z
    .object({ code: z.string().catch(''), message: z.string().catch('it says not why') })
    .optional()
    .catch(undefined),
});

export function ownGateway({ settingsFile, signal }: OwnGatewayOptions): OwnGateway {
  const file = settingsFile ?? join(homedir(), '.openclaw', 'openclaw.json');
  return {
    async invokeTool(tool, args, timeoutMs) {
      const { port, token } = await access(file);
      const url = `ws://127.0.0.1:${port}`;
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

async function access(file: string): Promise<{ port: number; token: string }> {
  try {
    const settings: unknown = parse(await readFile(file, 'utf8'), [], { allowTrailingComma: true });
    const { gateway } = settingsSchema.parse(settings);
    return { port: gateway.port, token: gateway.auth.token };
  } catch (cause) {
    throw new FederationError('GATEWAY_UNREACHABLE', 'this node has no OpenClaw gateway of its own that it knows', {
      hint: 'a hybrid has one; worker.tools.gatewaySettings names its openclaw.json where that is elsewhere',
      cause,
    });
  }
}

/** Whoever else listens on that port must not be told the token. */
function trusts(uid: number | null): boolean {
  return uid === null ? process.platform !== 'linux' : uid === 0 || uid === process.getuid?.();
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
