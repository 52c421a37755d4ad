import type { HubAddress } from '#src/link/knock.ts';

/** `host:port`, with IPv6 in brackets, as a worker's settings have it; null where it is none. */
export function parseHubText(text: string | undefined): HubAddress | null {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})$/.exec(text ?? '');
  const host = match?.[1] ?? match?.[2];
  return host === undefined ? null : { host, port: Number(match?.[3]) };
}
