import type { Home } from '#src/adapters/home.ts';
import { homePath, openHome } from '#src/adapters/home.ts';
import { hasRunningHub } from '#src/adapters/hub.ts';
import { readLogin } from '#src/adapters/login-file.ts';
import { say } from '#src/adapters/terminal.ts';
import { canAsk, confirm } from '#src/cli/confirm.ts';
import { masterText, parseMaster } from '#src/cli/deploy/master-address.ts';
import { followInterrupts } from '#src/cli/interrupt.ts';
import type { GlobalFlags } from '#src/cli/manage/context.ts';
import { isOnMachine } from '#src/cli/manage/context.ts';
import { dialTo, readKey, selfAs, usualName } from '#src/cli/manage/logged-in.ts';
import { printJson } from '#src/cli/print.ts';
import { FederationError } from '#src/core/errors.ts';
import type { HubAddress } from '#src/core/hub-address.ts';
import { hubAddressText } from '#src/core/hub-address.ts';
import type { Login } from '#src/core/login.ts';
import { LOGIN_FILE, OPERATOR_KEY_FILE } from '#src/core/login.ts';
import { checkNodeName, fingerprint } from '#src/core/node.ts';
import { createPrivateKey } from '#src/link/key.ts';
import { enterAsOperator, meetHubAt } from '#src/link/operator.ts';

export interface LoginFlags extends GlobalFlags {
  readonly name?: string;
  readonly hubKey?: string;
}

/** `manage-federation login HUB[:PORT]`: waits until a person on the master lets this machine's key in. */
export async function login(word: string, flags: LoginFlags): Promise<number> {
  const path = homePath(flags.home);
  if (isOnMachine(flags) || hasRunningHub(path)) throw onMaster();
  const hub = parseMaster(word);
  const known = readLogin(path);
  const name = checkNodeName(flags.name ?? known?.name ?? usualName());
  const wanted = flags.hubKey === undefined ? null : hubKeyOf(flags.hubKey);
  const home = await openHome(path);
  const key = readKey(home, await home.secret(OPERATOR_KEY_FILE, createPrivateKey));
  const stopping = new AbortController();
  const dial = dialTo(hub, key, stopping.signal);
  const hubId = await meetHubAt(dial);
  await confirmHub(hub, hubId, { known, wanted });

  const interrupts = followInterrupts({ first: () => stopping.abort(), second: () => process.exit(130) });
  try {
    const onWaiting = (held: string | null): void => sayWaiting(name, key.id, held);
    const connection = await enterAsOperator({ ...dial, pin: hubId, self: selfAs(name, true), onWaiting });
    connection.close();
    await keep(home, { hub: hubAddressText(hub), hubId, name: connection.name });
    if (flags.json === true) {
      printJson({
        hub: hubAddressText(hub),
        hubFingerprint: fingerprint(hubId),
        name: connection.name,
        fingerprint: fingerprint(key.id),
      });
    } else say(`logged in to ${masterText(hub)} as ${connection.name}; manage-federation works here as on the master`);
    return 0;
  } catch (error) {
    if (interrupts.count === 0) throw error;
    say(`not let in yet; once the master approved it: manage-federation login ${masterText(hub)}`);
    return 130;
  } finally {
    interrupts.stop();
  }
}

/** The person compares the key that the hub proved with what the master shows, unless it is known already. */
async function confirmHub(
  hub: HubAddress,
  hubId: string,
  { known, wanted }: { readonly known: Login | null; readonly wanted: string | null },
): Promise<void> {
  const shown = fingerprint(hubId);
  if (wanted !== null && hubId.startsWith(wanted)) return;
  if (wanted !== null) {
    throw new FederationError('HUB_KEY_MISMATCH', `the hub at ${masterText(hub)} has the key ${shown}, not that one`, {
      hint: 'check the address, and the fingerprint on the master: manage-federation status',
    });
  }
  const isSameHub = known?.hub === hubAddressText(hub);
  if (isSameHub && known.hubId === hubId) return;
  if (isSameHub) {
    throw new FederationError('HUB_KEY_MISMATCH', `the hub at ${masterText(hub)} has another key than you confirmed`, {
      hint: `check the address; if the master was set up anew: manage-federation logout, then login again`,
    });
  }
  if (!canAsk()) {
    throw new FederationError('CONFIRMATION_NEEDED', `nobody confirmed the hub’s key ${shown}`, {
      hint: `compare it with what manage-federation status shows on the master, then add: --hub-key ${shown}`,
    });
  }
  say(`the hub at ${masterText(hub)} has the key ${shown}`);
  say('manage-federation status shows it on the master');
  await confirm('is it the same?');
}

/** The beginning of a key's id that a fingerprint stands for. Throws USAGE. */
function hubKeyOf(text: string): string {
  const digits = text.replaceAll('-', '').toLowerCase();
  if (/^[0-9a-f]{16,64}$/.test(digits)) return digits;
  throw new FederationError('USAGE', `--hub-key: ${JSON.stringify(text)} is no fingerprint`, {
    hint: 'take it from the master: manage-federation status',
  });
}

function sayWaiting(name: string, keyId: string, held: string | null): void {
  const shown = fingerprint(keyId);
  say(`waits for approval as ${name}, with the key ${shown}${held === null ? '' : ` (${held})`}`);
  say(`on the master: manage-federation approve ${shown}${held === null ? '' : ' --replace'}`);
}

async function keep(home: Home, login: Login): Promise<void> {
  await home.write(LOGIN_FILE, `${JSON.stringify(login)}\n`);
}

function onMaster(): FederationError {
  return new FederationError('USAGE', 'this is the master: whoever operates it needs no login', {
    hint: 'run this on the machine that you work on',
  });
}
