import { hostname } from 'node:os';
import type { Home } from '#src/adapters/home.ts';
import { openHome } from '#src/adapters/home.ts';
import type { HubApi } from '#src/adapters/hub-api.ts';
import { remoteHub } from '#src/adapters/remote-hub.ts';
import { tailnetLookup } from '#src/adapters/tailscale/lookup.ts';
import { createTailscale } from '#src/adapters/tailscale/tailscale.ts';
import { refuseSeen, unseenLookup } from '#src/adapters/unseen-lookup.ts';
import { VERSION } from '#src/adapters/version.ts';
import { FederationError } from '#src/core/errors.ts';
import type { HubAddress } from '#src/core/hub-address.ts';
import { parseHubAddress } from '#src/core/hub-address.ts';
import type { Login } from '#src/core/login.ts';
import { LOGIN_FILE, OPERATOR_KEY_FILE } from '#src/core/login.ts';
import { nodeNameFrom } from '#src/core/node.ts';
import type { KeyPair } from '#src/link/key.ts';
import { keyPair } from '#src/link/key.ts';
import type { OperatorDial, OperatorEntry } from '#src/link/operator.ts';
import { enterAsOperator } from '#src/link/operator.ts';

/** The hub of a login; each command connects anew, and its connection ends with it. */
export async function loggedInHub(path: string, login: Login): Promise<HubApi> {
  const home = await openHome(path);
  const hub = parseHubAddress(login.hub);
  const key = await keyOf(home);
  if (hub === null || key === null) throw brokenLogin(home, login);
  const dial = dialTo(hub, key, new AbortController().signal);
  return remoteHub(hub, () =>
    enterAsOperator({ ...dial, pin: login.hubId, self: selfAs(login.name, false) }).catch((error: unknown) => {
      throw withHub(error, login);
    }),
  );
}

/** Null where this home has none. Throws HOME_UNUSABLE. */
export async function keyOf(home: Home): Promise<KeyPair | null> {
  const pem = await home.read(OPERATOR_KEY_FILE);
  return pem === null ? null : readKey(home, pem);
}

export function readKey(home: Home, pem: string): KeyPair {
  try {
    return keyPair(pem);
  } catch (cause) {
    throw new FederationError('HOME_UNUSABLE', `${home.file(OPERATOR_KEY_FILE)} holds no key`, {
      hint: 'manage-federation logout, then login again, which makes a new one',
      cause,
    });
  }
}

/** Throws FORBIDDEN where that is an address outside the tailnet. */
export function dialTo(hub: HubAddress, key: KeyPair, signal: AbortSignal): OperatorDial {
  refuseSeen(hub.host);
  return { hub, key, signal, lookup: unseenLookup(tailnetLookup({ tailscale: createTailscale() })) };
}

export function selfAs(name: string, login: boolean): OperatorEntry['self'] {
  return { name, login, version: VERSION, platform: process.platform, arch: process.arch };
}

/** What this machine's operator is called unless they say otherwise. */
export function usualName(): string {
  return nodeNameFrom(hostname());
}

/** The hub knows no name of its own by which it was asked. */
function withHub(error: unknown, { hub }: Login): unknown {
  if (!(error instanceof FederationError) || error.hint?.endsWith('login HUB') !== true) return error;
  return new FederationError(error.code, error.message, { hint: `manage-federation login ${hub}`, cause: error });
}

function brokenLogin(home: Home, { hub }: Login): FederationError {
  return new FederationError('UNAUTHENTICATED', `the login in ${home.file(LOGIN_FILE)} is not whole`, {
    hint: `manage-federation login ${hub}`,
  });
}
