import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { readFile } from 'node:fs/promises';
import { Command } from 'commander';
import { runCommandLine } from '#src/adapters/command-line.ts';
import type { Home } from '#src/adapters/home.ts';
import { homePath, openHome } from '#src/adapters/home.ts';
import type { Log } from '#src/adapters/log.ts';
import { createLog } from '#src/adapters/log.ts';
import type { Gateway } from '#src/adapters/openclaw/gateway.ts';
import { connectGateway } from '#src/adapters/openclaw/gateway.ts';
import { runtimeDirectory } from '#src/adapters/runtime-directory.ts';
import { loadSettings } from '#src/adapters/settings-file.ts';
import { stopSignal } from '#src/adapters/signals.ts';
import { openSqliteStore } from '#src/adapters/store/sqlite.ts';
import { reportError } from '#src/adapters/terminal.ts';
import { VERSION } from '#src/adapters/version.ts';
import { FederationError } from '#src/core/errors.ts';
import type { Member } from '#src/core/membership.ts';
import { fingerprint } from '#src/core/node.ts';
import type { Settings } from '#src/core/settings.ts';
import { createApp } from '#src/hub/api/app.ts';
import { auditLog } from '#src/hub/audit.ts';
import type { Carrier } from '#src/hub/carrier.ts';
import { createCarrier } from '#src/hub/carrier.ts';
import { createCredentials } from '#src/hub/credentials.ts';
import { openEnrolment } from '#src/hub/enrolment.ts';
import { createFleet } from '#src/hub/fleet.ts';
import { createGatewayDesk } from '#src/hub/gateway.ts';
import { createJobs } from '#src/hub/jobs.ts';
import type { Listening, Upgrade } from '#src/hub/listeners.ts';
import { isHostOf, listenOnSocket, listenOnTcp, refuseUpgrade } from '#src/hub/listeners.ts';
import { revoker } from '#src/hub/revocation.ts';
import { hubStatus } from '#src/hub/status.ts';
import { createUnresolved } from '#src/hub/unresolved.ts';
import { createAcceptor } from '#src/link/accept.ts';
import { createPrivateKey, keyPair } from '#src/link/key.ts';
import { LINK_PATH } from '#src/protocol/handshake.ts';
import { CARRIER_PATH } from '#src/protocol/hub-api.ts';
import type { HubRecord } from '#src/core/hub-record.ts';
import { HUB_RECORD_FILE } from '#src/core/hub-record.ts';

/** A hub that runs in this process. */
export interface Hub extends HubRecord {
  /** Ends its jobs and links, tells its clients, and closes the store. */
  close(): Promise<void>;
}

/** Starts the hub of a home. Throws FederationError; then nothing of it is left running. */
export async function startHub(home: Home, settings: Settings, log: Log): Promise<Hub> {
  const stopping = new AbortController();
  const cleanups: (() => Promise<unknown>)[] = [async () => stopping.abort()];
  const close = async (): Promise<void> => {
    for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
  };
  try {
    return await compose();
  } catch (error) {
    await close();
    throw error;
  }

  async function compose(): Promise<Hub> {
    const key = keyPair(await home.secret('hub.key', createPrivateKey));
    const store = openSqliteStore(home.file('hub.sqlite'));
    cleanups.push(() => store.close());
    const epoch = await store.nextEpoch();
    const { pendingMax: total, pendingPerSource: perSource } = settings.hub;
    const enrolment = await openEnrolment({
      store,
      hubId: key.id,
      limits: { total, perSource },
      log: log.child('enrolment'),
    });

    const gateway = await gatewayOf(settings, log, stopping.signal);
    cleanups.push(async () => gateway?.close());
    const desk = createGatewayDesk({
      gateway,
      members: () => enrolment.members(),
      setDevice: (nodeId, device) => enrolment.setDevice(nodeId, device),
      log: log.child('gateway'),
      signal: stopping.signal,
    });
    cleanups.push(async () => {
      stopping.abort();
      await desk.done;
    });

    const fleet = createFleet();
    const unresolved = await createUnresolved({ store, fleet, log: log.child('jobs'), signal: stopping.signal });
    const jobs = createJobs({
      store,
      fleet,
      members: () => enrolment.members(),
      broadcastTimeoutMs: settings.hub.broadcastTimeoutSeconds * 1000,
      onUnknown: (job) => unresolved.watch(job),
      log: log.child('jobs'),
    });
    const credentials = createCredentials();
    const findSession = (bearer: string, address: string) => {
      const session = credentials.find(bearer, address);
      const member = session === null ? undefined : enrolment.member(session.nodeId);
      return session === null || member === undefined || member.revokedAt !== null ? null : { session, member };
    };

    const carrier = gateway === null ? null : carrierOf(gateway, findSession);
    cleanups.push(async () => carrier?.close());

    function carrierOf({ status }: Gateway, find: typeof findSession): Carrier {
      return createCarrier({
        gatewayUrl: status().url,
        authenticate: (request) => memberOf(request, find),
        onDevice: (nodeId, deviceId) => {
          const member = enrolment.member(nodeId);
          if (member !== undefined) desk.joined(member, deviceId).catch(logFault);
        },
        log: log.child('carrier'),
      });
    }

    const logFault = (error: unknown): void => log.error('something failed', { stack: stackOf(error) });
    fleet.changes.on('up', ({ nodeId, address }) => log.info('a link is up', { node: nodeId, address }));
    fleet.changes.on('down', ({ nodeId, generation }) => {
      log.info('a link is down', { node: nodeId });
      credentials.linkEnded(nodeId, generation);
      enrolment.seen(nodeId).catch(logFault);
    });

    const names = ['127.0.0.1', 'localhost', '::1', settings.hub.address, ...settings.hub.names];
    let links = 0;
    const acceptor = createAcceptor({
      key,
      epoch,
      heartbeatMs: settings.hub.heartbeatSeconds * 1000,
      isHost: (host) => isHostOf(host, names),
      async admit(applicant) {
        const { id } = await enrolment.admit(applicant);
        links += 1;
        return { link: links, credential: credentials.issue({ nodeId: id, link: links, address: applicant.address }) };
      },
      onLink(link) {
        // Revoked between its admission and now: the same as revoked before.
        if (enrolment.member(link.nodeId)?.revokedAt === null) fleet.add(link);
        else link.close(new FederationError('REVOKED', 'this node was revoked'));
      },
      onFault: logFault,
    });

    let listening: readonly string[] = [];
    const status = hubStatus({
      name: settings.name ?? 'master',
      version: VERSION,
      hubId: key.id,
      epoch,
      enrolment,
      fleet,
      jobs,
      desk,
      listening: () => listening,
    });
    const app = createApp({
      enrolment,
      views: {
        fleet,
        nodeHosts: { state: (member) => desk.nodeHostState(member), commands: (member) => desk.commands(member) },
        runningOn: (nodeId) => jobs.runningOn(nodeId),
      },
      revoke: revoker({ enrolment, fleet, credentials, carrier, desk }),
      jobs,
      audit: auditLog(store),
      desk,
      findSession,
      status,
      log: log.child('api'),
    });

    const upgrade: Upgrade = (request, socket, head) => {
      if (request.url === LINK_PATH) acceptor.upgrade(request, socket, head);
      else if (request.url === CARRIER_PATH && carrier !== null) carrier.upgrade(request, socket, head);
      else refuseUpgrade(socket, 404);
    };
    const operator = join(await runtimeDirectory(home.path), 'operator.sock');
    const { address, port } = settings.hub;
    const listeners: Listening[] = [];
    cleanups.push(async () => {
      await jobs.close();
      await fleet.close();
      await acceptor.close();
      await Promise.all(listeners.map((listener) => listener.close()));
      await unresolved.done;
    });
    listeners.push(await listenOnSocket(operator, userInfo().username, app.fetch));
    const tcp = await listenOnTcp({ address, port, names, upgrade }, app.fetch);
    listeners.push(tcp);
    listening = [operator, `${address}:${tcp.port}`];

    const where: HubRecord = { pid: process.pid, operator, address, port: tcp.port, hubId: key.id };
    await home.write(HUB_RECORD_FILE, `${JSON.stringify(where)}\n`);
    cleanups.push(() => home.remove(HUB_RECORD_FILE));
    log.info('the hub listens', { ...where, fingerprint: fingerprint(key.id), epoch, version: VERSION });
    return { ...where, close };
  }
}

async function gatewayOf({ gateway }: Settings, log: Log, signal: AbortSignal): Promise<Gateway | null> {
  const { url, tokenFile } = gateway;
  if (url === undefined) return null;
  if (tokenFile === undefined) {
    throw new FederationError('SETTINGS_INVALID', 'settings: gateway.tokenFile: needed where gateway.url is set');
  }
  // Read at each connection: a token that was changed is picked up by itself.
  const token = async () => (await readFile(tokenFile, 'utf8')).trim();
  return connectGateway({ url, token, log: log.child('gateway'), signal });
}

type FindMember = (bearer: string, address: string) => { readonly member: Member } | null;

function memberOf(request: IncomingMessage, find: FindMember): Member | null {
  const bearer = /^Bearer ([\w-]{43})$/.exec(request.headers.authorization ?? '')?.[1];
  if (bearer === undefined) return null;
  return find(bearer, request.socket.remoteAddress ?? '')?.member ?? null;
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
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
    .action(run);
  try {
    await runCommandLine(command, argv);
    return 0;
  } catch (error) {
    return reportError(error);
  }
}

async function run(flags: { home?: string; address?: string; port?: number; untilInputEnds?: true }): Promise<void> {
  const stop = stopSignal(flags.untilInputEnds === true ? process.stdin : null);
  const home = await openHome(homePath(flags.home));
  const settings = await loadSettings(home, { hub: { address: flags.address, port: flags.port } });
  const hub = await startHub(home, settings, createLog({ level: settings.log.level, module: 'hub' }));
  if (!stop.aborted) await once(stop, 'abort');
  await hub.close();
}
