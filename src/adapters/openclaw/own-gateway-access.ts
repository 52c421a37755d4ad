import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'jsonc-parser';
import { z } from 'zod';
import { FederationError } from '#src/core/errors.ts';

/** How OpenClaw's gateway of this machine and user is reached, by what its settings say now. */
export interface OwnGatewayAccess {
  readonly url: string;
  readonly token: string;
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

/** Path of its settings; those of this user where none is named. */
export function ownGatewayFile(settingsFile: string | undefined): string {
  return settingsFile ?? join(homedir(), '.openclaw', 'openclaw.json');
}

/** Throws GATEWAY_UNREACHABLE where there is no gateway that this node knows how to reach. */
export async function readOwnGateway(file: string): Promise<OwnGatewayAccess> {
  try {
    const settings: unknown = parse(await readFile(file, 'utf8'), [], { allowTrailingComma: true });
    const { gateway } = settingsSchema.parse(settings);
    return { url: `ws://127.0.0.1:${gateway.port}`, token: gateway.auth.token };
  } catch (cause) {
    throw new FederationError('GATEWAY_UNREACHABLE', 'this node has no OpenClaw gateway of its own that it knows', {
      hint: 'a hybrid has one; worker.tools.gatewaySettings names its openclaw.json where that is elsewhere',
      cause,
    });
  }
}

/** Whoever else listens on that port must not be told the token. */
export function isOwnGateway(uid: number | null): boolean {
  return uid === null ? process.platform !== 'linux' : uid === 0 || uid === process.getuid?.();
}
