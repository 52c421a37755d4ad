import { parseDocument } from 'yaml';
import type { Action, Step } from '#src/deploy/action.ts';
import { FederationError } from '#src/core/errors.ts';
import type { HubAddress } from '#src/core/hub-address.ts';
import { hubAddressText, parseHubAddress } from '#src/core/hub-address.ts';
import { nodeNameFrom } from '#src/core/node.ts';
import { peerNamed } from '#src/core/peer.ts';
import { readSettings } from '#src/deploy/doctor/settings.ts';
import type { Facts } from '#src/deploy/facts.ts';
import { fileIn } from '#src/deploy/facts.ts';
import { needed } from '#src/deploy/plan/already.ts';
import type { Given } from '#src/deploy/plan/given.ts';
import { openclawProgram } from '#src/deploy/plan/openclaw.ts';
import { isNewRelease } from '#src/deploy/plan/program.ts';
import { settingsFile } from '#src/deploy/plan/settings.ts';
import { isRunning, unitActions } from '#src/deploy/plan/units.ts';
import type { Wanted } from '#src/deploy/wanted.ts';
import { execMode } from '#src/deploy/wanted.ts';

const WORKER_UNIT = 'openclaw-worker.service';

/** The worker daemon runs, and is a member or waits to be one. The master has one too. */
export function workerSteps(facts: Facts, wanted: Wanted, given: Given): Step[] {
  const { place } = facts;
  const name = wanted.name ?? nodeNameFrom(facts.machine.hostname);
  const hasNodeHost = wanted.role !== 'master' && !wanted.light;
  if (hasNodeHost) checkCarrierPort(facts);
  const home = needed(facts, [
    { do: 'folder', path: place.workerHome, mode: 0o700, owner: 'person' },
    settingsFile(facts, place.workerSettings, 'person', {
      name,
      role: wanted.role,
      'worker.hub': hubAddressText(hubOf(facts, wanted)),
      'worker.exec.mode': execMode(wanted),
      'nodeHost.enabled': hasNodeHost,
      'nodeHost.openclaw': hasNodeHost ? openclawProgram(facts) : null,
      'nodeHost.commands': hasNodeHost ? wanted.commands : null,
    }),
  ]);
  const admission = admissionActions(facts, wanted, name);
  const restart = home.length > 0 || admission.length > 0 || isNewRelease(facts, given);
  const approval = isMember(facts) || wanted.role === 'master' || wanted.token !== null ? 'given' : 'needed';
  return [
    { id: 'worker-home', title: `the worker’s home is ${place.workerHome}`, actions: home },
    // Without a token it asks, and that is no step of its own.
    ...(admission.length > 0 || isMember(facts)
      ? [{ id: 'join-token', title: 'the worker may join', actions: admission }]
      : []),
    {
      id: 'worker',
      title: 'the worker runs',
      actions: [
        ...unitActions(facts, given, [WORKER_UNIT], restart),
        { do: 'worker-ready', nodeHost: hasNodeHost, approval },
      ],
    },
  ];
}

/** Throws PORT_IN_USE where the worker daemon could not listen for its node host. */
function checkCarrierPort(facts: Facts): void {
  const { place, ports } = facts;
  const { settings } = readSettings(fileIn(facts, place.workerSettings)?.text ?? '');
  // Settings that can't be read are refused where they would be written.
  const port = settings?.nodeHost.carrierPort ?? 0;
  const isTaken = port !== 0 && ports.some((one) => one.port === port && LOOPBACK.has(one.address));
  if (!isTaken || isRunning(facts, { name: WORKER_UNIT, scope: place.scope })) return;
  throw new FederationError('PORT_IN_USE', `another program listens on port ${port}, which the node host needs`, {
    hint: `stop it, or set nodeHost.carrierPort in ${place.workerSettings} to a free one; or go without: --light`,
  });
}

/** What a listener on 127.0.0.1 gets in the way of. */
const LOOPBACK: ReadonlySet<string> = new Set(['127.0.0.1', '0.0.0.0', '::', '::ffff:127.0.0.1']);

/** Whether a hub has admitted the worker of this machine before: then it holds the hub's id. */
export function isMember(facts: Facts): boolean {
  return memberOf(facts) !== null;
}

/** Id of that hub. */
export function memberOf(facts: Facts): string | null {
  return fileIn(facts, facts.place.hubPin)?.text.trim() || null;
}

function admissionActions(facts: Facts, { role, token }: Wanted, name: string): Action[] {
  if (isMember(facts)) return [];
  const path = facts.place.joinToken;
  if (role === 'master') return [{ do: 'mint-token', path, role, name, by: 'machine' }];
  if (token === 'minted') return [{ do: 'mint-token', path, role, name, by: 'deployer' }];
  return token === 'given' ? [{ do: 'token', path }] : [];
}

/**
 * Where this machine's worker finds the hub. In a tailnet by its full name: an address may change, a name stays. What
 * stands in its settings already and means the same machine is left as it is.
 */
export function hubOf(facts: Facts, { master, port }: Wanted): HubAddress {
  if (master === null) return { host: '127.0.0.1', port };
  const { host } = master;
  const known = knownHub(facts);
  const name = fullName(facts, host);
  if (known !== null && known.port === master.port && fullName(facts, known.host) === name) return known;
  return { host: name, port: master.port };
}

/** Whether another hub is wanted than the one that stands in its settings: a word that leads nowhere would cut it off. */
export function isElsewhere(facts: Facts, wanted: Wanted): boolean {
  const known = knownHub(facts);
  return known === null || hubAddressText(known) !== hubAddressText(hubOf(facts, wanted));
}

function knownHub(facts: Facts): HubAddress | null {
  const settings = parseDocument(fileIn(facts, facts.place.workerSettings)?.text ?? '');
  // What can't be read is refused where it would be written.
  const text = settings.errors.length > 0 ? null : settings.getIn(['worker', 'hub']);
  return typeof text === 'string' ? parseHubAddress(text) : null;
}

/** As the tailnet calls the machine that this word means; the word itself where it knows none, or several. */
function fullName({ tailscale }: Facts, host: string): string {
  return peerNamed(tailscale.peers, host)?.dnsName ?? host;
}
