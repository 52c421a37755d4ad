import type { Action } from '#src/deploy/action.ts';
import { folder } from '#src/deploy/actions/folder.ts';
import { gatewayReady } from '#src/deploy/actions/gateway-ready.ts';
import { hubReady } from '#src/deploy/actions/hub-ready.ts';
import type { ActionKind } from '#src/deploy/actions/kind.ts';
import { knock } from '#src/deploy/actions/knock.ts';
import { linger } from '#src/deploy/actions/linger.ts';
import { link } from '#src/deploy/actions/link.ts';
import { merge } from '#src/deploy/actions/merge.ts';
import { release } from '#src/deploy/actions/release.ts';
import { reload } from '#src/deploy/actions/reload.ts';
import { run } from '#src/deploy/actions/run.ts';
import { tailnet } from '#src/deploy/actions/tailnet.ts';
import { tailscale } from '#src/deploy/actions/tailscale.ts';
import { mintToken, token } from '#src/deploy/actions/token.ts';
import { unit } from '#src/deploy/actions/unit.ts';
import { user } from '#src/deploy/actions/user.ts';
import { workerReady } from '#src/deploy/actions/worker-ready.ts';
import { write } from '#src/deploy/actions/write.ts';

const ACTIONS: { readonly [K in Action['do']]: ActionKind<K> } = {
  folder,
  write,
  merge,
  link,
  release,
  user,
  linger,
  reload,
  unit,
  run,
  tailscale,
  tailnet,
  knock,
  'gateway-ready': gatewayReady,
  'hub-ready': hubReady,
  'mint-token': mintToken,
  token,
  'worker-ready': workerReady,
};

/** How an action is done and taken back. */
export function kindOf<K extends Action['do']>(action: { readonly do: K }): ActionKind<K> {
  return ACTIONS[action.do];
}
