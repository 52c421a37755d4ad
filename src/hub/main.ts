import { once } from 'node:events';
import { readFile, rmdir, stat } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { runCommandLine } from '#src/adapters/command-line.ts';
import type { Home } from '#src/adapters/home.ts';
import { homePath, openHome } from '#src/adapters/home.ts';
import { takeInheritedSockets } from '#src/adapters/inherited-sockets.ts';
import type { Log } from '#src/adapters/log.ts';
import { createLog } from '#src/adapters/log.ts';
import type { Gateway } from '#src/adapters/openclaw/gateway.ts';
import { connectGateway } from '#src/adapters/openclaw/gateway.ts';
import { followPolicyFile } from '#src/adapters/policy-file.ts';
import { runtimeDirectory } from '#src/adapters/runtime-directory.ts';
import { loadSettings } from '#src/adapters/settings-file.ts';
import { stopSignal } from '#src/adapters/signals.ts';
import { openMirrorFiles } from '#src/adapters/store/mirror-files.ts';
import { openSqliteStore } from '#src/adapters/store/sqlite.ts';
import { createTailscale } from '#src/adapters/tailscale/tailscale.ts';
import { reportError } from '#src/adapters/terminal.ts';
import { unixSocketOf } from '#src/adapters/unix-socket.ts';
import { VERSION } from '#src/adapters/version.ts';
import { FederationError } from '#src/core/errors.ts';
import type { HubRecord } from '#src/core/hub-record.ts';
import { HUB_RECORD_FILE } from '#src/core/hub-record.ts';
import { fingerprint } from '#src/core/node.ts';
import type { Settings } from '#src/core/settings.ts';
import { openHub } from '#src/hub/hub.ts';
import type { OwnedSocket } from '#src/hub/listening/listeners.ts';
import { createPrivateKey, keyPair } from '#src/link/key.ts';

/** FileDescriptorName= in systemd/system/federation-hub.socket and federation-hub-plugin.socket. */
const OPERATOR_SOCKET = 'operator';
const PLUGIN_SOCKET = 'plugin';

/** A hub that runs in this process. */
export interface Hub extends HubRecord {
  /** Ends its jobs and links, tells its clients, and closes the store. */
  close(): Promise<void>;
}

/**
 * Starts the hub of a home, which listens for the operator and for the gateway's plugin on those sockets of `inherited`
 * that are named so. Throws FederationError; then nothing of it is left running.
 */
export async function startHub(
  home: Home,
  settings: Settings,
  log: Log,
  inherited: ReadonlyMap<string, number> = new Map(),
): Promise<Hub> {
  const stopping = new AbortController();
  const cleanups: (() => Promise<unknown>)[] = [async () => stopping.abort()];
  const close = async (): Promise<void> => {
    for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
  };
  try {
    const key = keyPair(await home.secret('hub.key', createPrivateKey));
    const store = openSqliteStore(home.file('hub.sqlite'));
    cleanups.push(() => store.close());
    const { operator, plugin } = await socketsOf(home, inherited, cleanups);
    const gateway = gatewayOf(settings, await uidsOf(operator), log, stopping.signal);
    cleanups.push(async () => gateway?.close());
    const tailscale = settings.hub.tailnet ? createTailscale(settings.tailscale) : null;
    const policies = (signal: AbortSignal) => followPolicyFile(home, signal);
    const sockets = { operator, plugin };
    const hub = await openHub({
      settings,
      version: VERSION,
      key,
      store,
      mirrorFiles: await openMirrorFiles(home.file('handoffs')),
      gateway,
      tailscale,
      policies,
      ...sockets,
      log,
    });
    cleanups.push(() => hub.close());

    const { address } = settings.hub;
    const paths = { operator: operator.path, plugin: plugin?.path ?? null };
    const record: HubRecord = { pid: process.pid, ...paths, address, port: hub.port, hubId: key.id };
    await home.write(HUB_RECORD_FILE, `${JSON.stringify(record)}\n`);
    cleanups.push(() => home.remove(HUB_RECORD_FILE));
    log.info('the hub listens', { ...record, fingerprint: fingerprint(key.id), epoch: hub.epoch, version: VERSION });
    return { ...record, close };
  } catch (error) {
    await close();
    throw error;
  }
}

interface Sockets {
  readonly operator: OwnedSocket;
  /** Null where systemd made the operator's alone: the hub has no place of its own that the gateway's user could enter. */
  readonly plugin: OwnedSocket | null;
}

async function socketsOf(
  home: Home,
  inherited: ReadonlyMap<string, number>,
  cleanups: (() => Promise<unknown>)[],
): Promise<Sockets> {
  const [operator, plugin] = await Promise.all(
    [OPERATOR_SOCKET, PLUGIN_SOCKET].map(async (name) => {
      const descriptor = inherited.get(name);
      return descriptor === undefined ? null : { ...(await unixSocketOf(descriptor)), descriptor };
    }),
  );
  if (operator !== null && operator !== undefined) return { operator, plugin: plugin ?? null };
  const folder = await runtimeDirectory(home.path);
  cleanups.push(() => rmdir(folder).catch(() => undefined));
  const own = { owner: userInfo().username, descriptor: null };
  return {
    operator: { path: join(folder, 'operator.sock'), ...own },
    plugin: plugin ?? { path: join(folder, 'plugin.sock'), ...own },
  };
}

/** Users who could read the gateway's token anyway. */
async function uidsOf({ path, descriptor }: OwnedSocket): Promise<readonly number[]> {
  const own = process.getuid?.() ?? 0;
  return [0, own, ...(descriptor === null ? [] : [(await stat(path)).uid])];
}

function gatewayOf({ gateway }: Settings, uids: readonly number[], log: Log, signal: AbortSignal): Gateway | null {
  const { url, tokenFile, uid: named } = gateway;
  if (url === undefined) return null;
  if (tokenFile === undefined) {
    throw new FederationError('SETTINGS_INVALID', 'settings: gateway.tokenFile: needed where gateway.url is set', {
      hint: 'name the file that holds the gateway’s token',
    });
  }
  // Read at each connection: a token that was changed is picked up by itself.
  const token = async () => (await readFile(tokenFile, 'utf8')).trim();
  const trusts = (uid: number | null): boolean =>
    uid === null ? process.platform !== 'linux' : uid === named || uids.includes(uid);
  return connectGateway({ url, token, trusts, log: log.child('gateway'), signal });
}

/** `federation-hub`: runs until it is told to stop. Returns the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  const command = new Command('federation-hub')
    .description('The hub of a federation. deploy-federation starts it; run it yourself in a container.')
    .option('--home <folder>', 'settings, key and store (default: ~/.openclaw-federation)')
    .option('--address <ip>', 'address to listen on')
    .option('--port <n>', 'port to listen on; 0 takes a free one', Number)
    .option('--until-input-ends', 'stop when standard input ends: when the program that started this one is gone')
    .version(VERSION)
    .addHelpText('after', '\nExample:\n  federation-hub --home ~/.openclaw-federation --port 19000\n')
    .action(run);
  try {
    await runCommandLine(command, argv);
    return 0;
  } catch (error) {
    return reportError(error);
  }
}

interface HubFlags {
  readonly home?: string;
  readonly address?: string;
  readonly port?: number;
  readonly untilInputEnds?: true;
}

async function run({ untilInputEnds, ...flags }: HubFlags): Promise<void> {
  const inherited = takeInheritedSockets([OPERATOR_SOCKET, PLUGIN_SOCKET]);
  const stop = stopSignal(untilInputEnds === true ? process.stdin : null);
  const home = await openHome(homePath(flags.home));
  const settings = await loadSettings(home, { hub: { address: flags.address, port: flags.port } });
  const hub = await startHub(home, settings, createLog({ level: settings.log.level, module: 'hub' }), inherited);
  if (!stop.aborted) await once(stop, 'abort');
  await hub.close();
}
