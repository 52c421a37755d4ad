import { isIP, isIPv4 } from 'node:net';
import { z } from 'zod';

/** How this machine stands in its tailnet. */
export interface Tailnet {
  /**
   * `absent` where no tailscaled answers, otherwise its own word: NoState, NeedsLogin, NeedsMachineAuth, Stopped,
   * Starting, Running, InUseOtherUser.
   */
  readonly state: string;
  /** This machine's own, IPv4 first; none in a state that has them on no interface. */
  readonly addresses: readonly string[];
  /** Full name, without the dot at its end. */
  readonly dnsName: string | null;
  readonly hostName: string | null;
  /** Why nothing is known, where it is `absent`. */
  readonly problem: string | null;
}

export interface TailnetPeer {
  /** Stable: it outlives key, name and address. */
  readonly id: string;
  readonly dnsName: string | null;
  readonly hostName: string | null;
  readonly addresses: readonly string[];
  readonly tags: readonly string[];
  readonly online: boolean;
}

/** The machine behind a tailnet address. */
export interface TailnetIdentity {
  readonly stableId: string;
  /** Full name, without the dot at its end. */
  readonly name: string;
  /** Login name of its owner; null for a tagged machine, which belongs to nobody. */
  readonly user: string | null;
  readonly tags: readonly string[];
}

/** Go writes null for an empty list. */
const list = z
  .array(z.string())
  .nullish()
  .transform((found) => found ?? []);
const addresses = list.transform((found) =>
  found.filter((text) => isIP(text) !== 0).toSorted((a, b) => Number(isIPv4(b)) - Number(isIPv4(a))),
);
const name = z
  .string()
  .nullish()
  .transform((text) => nameIn(text ?? ''));

/** Names come from other people's machines: what is none is left out. */
function nameIn(text: string): string | null {
  const bare = text.replace(/\.$/, '');
  return bare.length <= 253 && /^[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*$/.test(bare) ? bare : null;
}

const selfSchema = z.object({ DNSName: name, HostName: name });
const peerSchema = z.object({
  ID: z.string(),
  DNSName: name,
  HostName: name,
  TailscaleIPs: addresses,
  Tags: list,
  Online: z.boolean().default(false),
});

/** `/status` as Tailscale 1.102 writes it (ipnstate.Status); keys that are not named here are nothing to us. */
const statusSchema = z.object({
  BackendState: z.string().min(1).max(64),
  TailscaleIPs: addresses,
  Self: selfSchema.nullish(),
  Peer: z.record(z.string(), z.unknown()).nullish(),
});

/** `/whois` (apitype.WhoIsResponse). */
const whoisSchema = z.object({
  Node: z.object({ StableID: z.string().min(1), Name: name, Tags: list }),
  UserProfile: z.object({ LoginName: z.string() }).nullish(),
});

/** It is Starting until it has met a relay or a peer, which takes seconds; its addresses are there before. */
const UP: ReadonlySet<string> = new Set(['Starting', 'Running']);

/** Throws what JSON.parse or zod throw. A peer that does not fit is left out, so that it hides no other. */
export function readStatus(text: string): { readonly tailnet: Tailnet; readonly peers: readonly TailnetPeer[] } {
  const { BackendState, TailscaleIPs, Self, Peer } = statusSchema.parse(JSON.parse(text));
  return {
    tailnet: {
      state: BackendState,
      addresses: UP.has(BackendState) ? TailscaleIPs : [],
      dnsName: Self?.DNSName ?? null,
      hostName: Self?.HostName ?? null,
      problem: null,
    },
    peers: Object.values(Peer ?? {}).flatMap((peer) => {
      const parsed = peerSchema.safeParse(peer);
      return parsed.success ? [peerOf(parsed.data)] : [];
    }),
  };
}

function peerOf({ ID, DNSName, HostName, TailscaleIPs, Tags, Online }: z.infer<typeof peerSchema>): TailnetPeer {
  return { id: ID, dnsName: DNSName, hostName: HostName, addresses: TailscaleIPs, tags: Tags, online: Online };
}

/** Throws what JSON.parse or zod throw. */
export function readIdentity(text: string): TailnetIdentity {
  const { Node, UserProfile } = whoisSchema.parse(JSON.parse(text));
  const user = Node.Tags.length > 0 ? null : (UserProfile?.LoginName ?? null);
  return { stableId: Node.StableID, name: Node.Name ?? '', user, tags: Node.Tags };
}
