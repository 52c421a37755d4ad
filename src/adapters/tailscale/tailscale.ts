import { setTimeout as pause } from 'node:timers/promises';
import type { Tailnet, TailnetIdentity, TailnetPeer } from '#src/adapters/tailscale/answers.ts';
import { readIdentity, readStatus } from '#src/adapters/tailscale/answers.ts';
import { localApi } from '#src/adapters/tailscale/local-api.ts';
import { FederationError } from '#src/core/errors.ts';

/** This machine's tailscaled. One that isn't there is the state `absent`, and no error. */
export interface Tailscale {
  /** Rejects when `signal` is aborted, and never else. */
  status(signal: AbortSignal): Promise<Tailnet>;
  /** The other machines that this one sees; none where tailscaled is absent. Rejects when `signal` is aborted. */
  peers(signal: AbortSignal): Promise<readonly TailnetPeer[]>;
  /** How this machine stands, at once and at each change; ends when `signal` is aborted. */
  watch(signal: AbortSignal): AsyncIterable<Tailnet>;
  /** The machine that has this address, null where none has. Rejects with NOT_RUNNING where tailscaled can't say. */
  whois(address: string, signal: AbortSignal): Promise<TailnetIdentity | null>;
}

/**
 * Bits of ipn.NotifyWatchOpt. 2, NotifyInitialState: a first message at once. 16, NotifyNoPrivateKeys: older versions
 * let only an administrator watch without it. 256, NotifyRateLimit: older versions send the whole network map at each
 * change.
 */
const BUS = `watch-ipn-bus?mask=${2 + 16 + 256}`;
const RETRY_MIN_MS = 200;
const RETRY_MAX_MS = 2000;

export function createTailscale({ socket }: { readonly socket?: string | undefined } = {}): Tailscale {
  const api = localApi(socket);

  async function look(peers: boolean, signal: AbortSignal) {
    try {
      const { status, text } = await api.ask(`status?peers=${peers}`, signal);
      if (status !== 200) throw new Error(`tailscaled answered ${status}`);
      return readStatus(text);
    } catch (error) {
      signal.throwIfAborted();
      return { tailnet: absent(error), peers: [] };
    }
  }

  const status = async (signal: AbortSignal): Promise<Tailnet> => (await look(false, signal)).tailnet;

  /** What the messages say differs between versions: each is a reason to look, and status tells what is so. */
  async function* changes(signal: AbortSignal): AsyncGenerator<Tailnet> {
    for (let failures = 0; !signal.aborted; failures++) {
      try {
        for await (const _ of await api.open(BUS, signal)) {
          const tailnet = await status(signal);
          yield tailnet;
          // No message need follow one that could not be looked into.
          if (tailnet.state === 'absent') break;
          failures = 0;
        }
      } catch (error) {
        if (signal.aborted) return;
        yield absent(error);
      }
      const delay = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** Math.min(failures, 10));
      await pause(delay, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  async function* watch(signal: AbortSignal): AsyncGenerator<Tailnet> {
    let told = '';
    for await (const tailnet of changes(signal)) {
      const text = JSON.stringify({ ...tailnet, problem: null });
      if (text !== told) yield tailnet;
      told = text;
    }
  }

  return {
    status,
    peers: async (signal) => (await look(true, signal)).peers,
    watch,
    async whois(address, signal) {
      const { status: code, text } = await answer(`whois?addr=${encodeURIComponent(address)}`, signal);
      if (code === 404) return null;
      if (code !== 200) throw unusable(`it answered ${code}`);
      try {
        return readIdentity(text);
      } catch (cause) {
        throw unusable('its answer can’t be read', cause);
      }
    },
  };

  async function answer(path: string, signal: AbortSignal) {
    try {
      return await api.ask(path, signal);
    } catch (cause) {
      signal.throwIfAborted();
      throw unusable(problemOf(cause), cause);
    }
  }
}

function absent(error: unknown): Tailnet {
  return { state: 'absent', addresses: [], dnsName: null, hostName: null, problem: problemOf(error) };
}

function problemOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if ('code' in error && (error.code === 'ENOENT' || error.code === 'ECONNREFUSED')) return 'tailscaled does not run';
  if (error instanceof SyntaxError || error.name === 'ZodError') return 'tailscaled’s answer can’t be read';
  return error.message;
}

function unusable(problem: string, cause?: unknown): FederationError {
  return new FederationError('NOT_RUNNING', `tailscaled can’t be asked who an address is: ${problem}`, {
    hint: 'tailscale status',
    cause,
  });
}
