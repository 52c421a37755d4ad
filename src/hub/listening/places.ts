import type { Log } from '#src/adapters/log.ts';
import type { Tailscale } from '#src/adapters/tailscale/tailscale.ts';
import { hubAddressText } from '#src/core/hub-address.ts';
import type { Settings } from '#src/core/settings.ts';
import type { Answering, Listening, OwnedSocket, Upgrade } from '#src/hub/listening/listeners.ts';
import { listenOnSocket, listenOnTcp } from '#src/hub/listening/listeners.ts';
import type { TailnetListeners } from '#src/hub/listening/tailnet.ts';
import { followTailnet } from '#src/hub/listening/tailnet.ts';

/** Everywhere that the hub listens: the operator's socket, the plugin's, TCP, and the tailnet while it is up. */
export interface Places {
  /** Paths and addresses that it has listened on from the start; none before that. */
  listening(): readonly string[];
  /** Null before it listens. */
  tailnet(): TailnetListeners | null;
  /** Resolves with the port. Throws ALREADY_RUNNING, PORT_IN_USE; what is open by then is closed by `close`. */
  open(answering: Answering, upgrade: Upgrade): Promise<number>;
  close(): Promise<void>;
  /** Resolves when the tailnet is followed no more, after the signal. */
  done(): Promise<void> | undefined;
}

export interface PlacesOptions {
  readonly settings: Settings;
  readonly operator: OwnedSocket;
  readonly plugin: OwnedSocket | null;
  readonly tailscale: Tailscale | null;
  readonly log: Log;
  readonly signal: AbortSignal;
}

export function createPlaces({ settings, operator, plugin, tailscale, log, signal }: PlacesOptions): Places {
  const { address, port } = settings.hub;
  const fixedNames = ['127.0.0.1', 'localhost', '::1', address, ...settings.hub.names];
  const names = () => [...fixedNames, ...(tailnet?.names() ?? [])];
  const listeners: Listening[] = [];
  let tailnet: TailnetListeners | null = null;
  let listening: readonly string[] = [];

  return {
    listening: () => listening,
    tailnet: () => tailnet,
    async open(answering, upgrade) {
      listeners.push(await listenOnSocket(operator, { kind: 'operator', name: operator.owner }, answering));
      if (plugin !== null) listeners.push(await listenOnSocket(plugin, { kind: 'plugin' }, answering));
      const tcp = await listenOnTcp({ address, port, names, upgrade }, answering);
      listeners.push(tcp);
      listening = [operator.path, hubAddressText({ host: address, port: tcp.port })];
      tailnet = followTailnet({
        ...{ tailscale, address, log, signal },
        port: tcp.port,
        listen: (own) => listenOnTcp({ address: own, port: tcp.port, names, upgrade }, answering),
      });
      return tcp.port;
    },
    async close() {
      await Promise.all(listeners.map((listener) => listener.close()));
    },
    done: () => tailnet?.done,
  };
}
