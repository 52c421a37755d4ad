import { EventEmitter, once } from 'node:events';
import { homedir, hostname } from 'node:os';
import { Command } from 'commander';
import { runCommandLine } from '#src/adapters/command-line.ts';
import type { Home } from '#src/adapters/home.ts';
import { fileNews } from '#src/adapters/file-news.ts';
import { homePath, openHome } from '#src/adapters/home.ts';
import { lockHome } from '#src/adapters/home-lock.ts';
import type { Log } from '#src/adapters/log.ts';
import { createLog } from '#src/adapters/log.ts';
import { nodeHostProgram } from '#src/adapters/openclaw/node-host.ts';
import { ownGateway } from '#src/adapters/openclaw/own-gateway.ts';
import { openclawVersion } from '#src/adapters/openclaw/version.ts';
import { loadSettings } from '#src/adapters/settings-file.ts';
import { stopSignal } from '#src/adapters/signals.ts';
import { tailnetLookup } from '#src/adapters/tailscale/lookup.ts';
import { createTailscale } from '#src/adapters/tailscale/tailscale.ts';
import { reportError } from '#src/adapters/terminal.ts';
import { VERSION } from '#src/adapters/version.ts';
import { FederationError } from '#src/core/errors.ts';
import { KEY_ROTATION_REQUEST_FILE } from '#src/core/key-rotation.ts';
import { checkNodeName, nodeNameFrom } from '#src/core/node.ts';
import type { Settings } from '#src/core/settings.ts';
import { keepLink } from '#src/link/dial.ts';
import { createWorkerApi } from '#src/worker/api.ts';
import type { ExecutorNode } from '#src/worker/exec.ts';
import { createConsent } from '#src/worker/consent.ts';
import { createFiles } from '#src/worker/files/files.ts';
import { gatewaySecrets } from '#src/worker/files/rules.ts';
import type { HubSession } from '#src/worker/hub-address.ts';
import { factsOf } from '#src/worker/facts.ts';
import { hubOf } from '#src/worker/hub-address.ts';
import { hubClient } from '#src/worker/hub-client.ts';
import { startKeyRotation } from '#src/worker/key-rotation.ts';
import { openExecutor } from '#src/worker/main/executor.ts';
import { openHandoffs } from '#src/worker/main/handoffs.ts';
import { openModels } from '#src/worker/main/models.ts';
import { openMembershipMemory } from '#src/worker/membership.ts';
import { openNodeKeys } from '#src/worker/node-keys.ts';
import { openReport } from '#src/worker/report.ts';
import { superviseNodeHost } from '#src/worker/supervised-node-host.ts';
import { createTools } from '#src/worker/tools.ts';

/** A worker daemon that runs in this process. */
export interface Worker {
  /** It changes with the node's key. */
  readonly id: string;
  readonly name: string;
  /** Ends what runs, the node host and the link; again, it does nothing. */
  close(): Promise<void>;
}

/** Starts the worker daemon of a home. Throws FederationError, and nothing is left running then; a hub that can't be reached is no reason to. */
export async function startWorker(home: Home, settings: Settings, log: Log): Promise<Worker> {
  const stopping = new AbortController();
  const cleanups: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
  };
  try {
    return await compose();
  } catch (error) {
    stopping.abort();
    await close();
    throw error;
  }

  async function compose(): Promise<Worker> {
    const { signal } = stopping;
    const { worker, nodeHost } = settings;
    const hub = hubOf(worker.hub);
    const name = settings.name === undefined ? nodeNameFrom(hostname()) : checkNodeName(settings.name);
    // Two daemons would take each other's processes for orphans.
    cleanups.push(await lockHome(home, 'worker'));
    const keys = await openNodeKeys(home);
    const memory = await openMembershipMemory(home);
    const node: ExecutorNode = { id: () => keys.current().id, name, role: settings.role };
    const consents = createConsent(node);
    const executor = await openExecutor(home, settings, node, consents, log, cleanups);
    const own = [home.path, ...gatewaySecrets(worker.tools.gatewaySettings)];
    const files = createFiles({
      consent: consents,
      policy: () => ({ files: worker.files, exec: worker.exec, home: homedir(), own }),
      log: log.child('files'),
    });
    const tools = createTools({
      consent: consents,
      settings: () => worker.tools,
      gateway: ownGateway({ settingsFile: worker.tools.gatewaySettings, signal }),
    });
    const report = await openReport(
      home,
      { id: node.id(), name, hub: worker.hub ?? '', nodeHost: nodeHost.enabled ? 'waiting' : 'off' },
      log.child('link'),
    );
    cleanups.push(() => report.close());

    let session: HubSession | null = null;
    let losing = new AbortController();
    const desk = hubClient(hub, () => session, signal);
    if (nodeHost.enabled) {
      const program = nodeHostProgram({
        openclaw: nodeHost.openclaw,
        stateDirectory: home.file('openclaw'),
        displayName: name,
        commands: nodeHost.commands,
        log: log.child('node-host'),
      });
      const { carrierPort } = nodeHost;
      const onChange = report.nodeHost;
      cleanups.push(
        await superviseNodeHost({ program, carrierPort, hub, desk, session: () => session, onChange, log, signal }),
      );
    }
    const rotation = await startKeyRotation({
      home,
      keys,
      executor,
      desk,
      hubId: () => memory.pin(),
      session: () => session,
      news: fileNews(home.path, KEY_ROTATION_REQUEST_FILE),
      onChanged: () => report.rekeyed(node.id()),
      log: log.child('key'),
      signal,
    });
    cleanups.push(() => rotation.done);
    const links = new EventEmitter<{ linked: [] }>();
    const models = await openModels(home, settings, {
      ...{ node: { id: node.id, name }, hub, session: () => session, links, desk, signal },
      report: report.models,
      log: log.child('models'),
    });
    if (models !== null) cleanups.push(() => models.close());
    const handoffs = await openHandoffs(home, settings, {
      ...{ consent: consents, hub, desk, session: () => session, links, log: log.child('handoffs'), signal },
    });
    if (handoffs !== null) cleanups.push(() => handoffs.close());
    const openclaw = nodeHost.enabled ? await openclawVersion(nodeHost.openclaw) : null;
    const facts = factsOf(name, settings, { own: VERSION, openclaw });
    const logFault = (error: unknown): void => log.error('something failed', { problem: String(error) });
    const linked = keepLink({
      hub,
      lookup: tailnetLookup({ tailscale: createTailscale(settings.tailscale) }),
      key: keys.current,
      pin: () => memory.pin(),
      facts: () => facts,
      secret: () => memory.secret(),
      async onWelcome(welcome, hubId, address) {
        await memory.welcomed(welcome, hubId);
        losing = new AbortController();
        session = { address, credential: welcome.credential, link: welcome.link, lost: losing.signal };
        links.emit('linked');
      },
      onStream: createWorkerApi({ executor, files, tools, models, handoffs, knownEpoch: () => memory.epoch() }),
      onEvent(event) {
        report.event(event);
        rotation.event(event);
        if (event.type === 'lost') losing.abort();
        // What something else than the hub says at its address is no order.
        if (event.type !== 'refused' || !event.proven) return;
        if (event.error.code === 'REVOKED') {
          void executor.endAll('revoked');
          handoffs?.endAll().catch(logFault);
        }
        if (event.error.code.startsWith('TOKEN_')) memory.tokenRefused().catch(logFault);
      },
      onKeyRotated: rotation.rotated,
      signal,
    });
    cleanups.push(async () => {
      await executor.endAll('cancelled');
      stopping.abort();
      await linked;
    });
    log.info('the worker daemon runs', { name, node: node.id(), hub: worker.hub ?? null, version: VERSION });
    return {
      get id() {
        return node.id();
      },
      name,
      close,
    };
  }
}

/** `federation-worker`: runs until it is told to stop. Returns the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  const command = new Command('federation-worker')
    .description('The worker daemon of a node. deploy-federation starts it; run it yourself in a container.')
    .option('--home <folder>', 'settings, key and journal (default: ~/.openclaw-federation)')
    .option('--hub <host:port>', 'where the hub is')
    .option('--name <name>', 'name of this node (default: the host name)')
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

async function run(flags: { home?: string; hub?: string; name?: string; untilInputEnds?: true }): Promise<void> {
  const stop = stopSignal(flags.untilInputEnds === true ? process.stdin : null);
  const home = await openHome(homePath(flags.home));
  const settings = await loadSettings(home, { name: flags.name, worker: { hub: flags.hub } });
  if (settings.worker.hub === undefined) {
    throw new FederationError('SETTINGS_INVALID', 'settings: worker.hub: not set', {
      hint: 'federation-worker --hub HOST:PORT',
    });
  }
  const worker = await startWorker(home, settings, createLog({ level: settings.log.level, module: 'worker' }));
  if (!stop.aborted) await once(stop, 'abort');
  await worker.close();
}
