import { join } from 'node:path/posix';
import type { Person } from '#src/adapters/machine/machine.ts';
import type { Action } from '#src/deploy/action.ts';
import type { Facts, FileFact } from '#src/deploy/facts.ts';
import { filesOf, foldersOf, linksOf } from '#src/deploy/gathering/inquiries.ts';
import { UNITS } from '#src/deploy/gathering/units.ts';
import type { Place, Scope } from '#src/deploy/place.ts';
import { placeOf } from '#src/deploy/place.ts';
import type { DeploymentRecord } from '#src/deploy/record/record.ts';
import type { Wanted } from '#src/deploy/wanted.ts';
import { execMode } from '#src/deploy/wanted.ts';

/** What a test says otherwise: records are merged, entries of maps are set, and all else is replaced. */
export type Change<T> =
  T extends ReadonlyMap<infer K, infer V>
    ? readonly (readonly [K, V])[]
    : T extends readonly unknown[]
      ? T
      : T extends object
        ? { readonly [K in keyof T]?: Change<T[K]> }
        : T;

const SAM: Person = { name: 'sam', uid: 1000, group: 'sam', home: '/home/sam' };
const NOW = Date.UTC(2026, 10, 20, 12);
const GIB = 1 << 30;
export const HUB_ID = 'a1'.repeat(32);
export const NODE_ID = 'b2'.repeat(32);

/** A fresh Debian server of its owner, `sam` where nobody else is named, who may use sudo: in the tailnet, with nothing of ours. */
export function bareMachine(change: Change<Facts> = {}, scope: Scope = 'system', person = SAM): Facts {
  const place = placeOf(scope, person);
  const facts: Facts = {
    machine: {
      hostname: 'home-server',
      platform: 'linux',
      arch: 'x64',
      libc: 'glibc',
      freeBytes: 40 * GIB,
      clock: NOW,
    },
    login: { name: person.name, root: false, sudo: true, bySudo: false, address: null },
    person,
    place,
    systemd: { system: true, linger: false },
    tailscale: {
      installed: { program: '/usr/bin/tailscale', version: '1.102.3' },
      packagedBy: 'apt-get',
      state: 'Running',
      addresses: ['100.64.0.2'],
      dnsName: 'home-server.tail.example',
      peers: [
        { dnsName: 'vps.tail.example', addresses: ['100.64.0.1'] },
        { dnsName: 'macbook.tail.example', addresses: ['100.64.0.3'] },
      ],
    },
    node: null,
    openclaw: null,
    gateway: { unit: null, settings: null, port: 18_789, listening: false },
    files: absent(filesOf(place)),
    folders: absent(foldersOf(place)),
    links: absent(linksOf(place)),
    units: absent(UNITS.flatMap((name) => [`system/${name}`, `user/${name}`])),
    hubUserExists: false,
    ports: [{ address: '0.0.0.0', port: 22 }],
    record: null,
    worker: null,
  };
  return changed(facts, change);
}

function absent(keys: readonly string[]): ReadonlyMap<string, null> {
  return new Map(keys.map((key) => [key, null]));
}

/** A deployed light worker of the master `vps`, with nothing wrong. */
export function healthyWorker(change: Change<Facts> = {}, scope: Scope = 'system'): Facts {
  const wanted: Change<Wanted> = { role: 'worker', light: true, scope };
  return changed(deployed(bareMachine({}, scope), wantedOf(wanted), ['openclaw-worker.service']), change);
}

/** A deployed master in the tailnet, its own node included, with nothing wrong. */
export function healthyMaster(change: Change<Facts> = {}, scope: Scope = 'system'): Facts {
  const system = scope === 'system';
  const machine = bareMachine(
    {
      machine: { hostname: 'vps' },
      tailscale: {
        addresses: ['100.64.0.1'],
        dnsName: 'vps.tail.example',
        peers: [{ dnsName: 'home-server.tail.example', addresses: ['100.64.0.2'] }],
      },
      node: { program: '/usr/bin/node', version: '24.21.0' },
      openclaw: { program: '/opt/openclaw-federation/openclaw/bin/openclaw', version: '2026.9.6' },
      hubUserExists: system,
    },
    scope,
  );
  const units = [
    'federation-hub.service',
    ...(system ? ['federation-hub.socket', 'federation-hub-plugin.socket'] : []),
    'auto-register.service',
    'auto-register.path',
    'openclaw-worker.service',
    'openclaw-gateway.service',
  ];
  const facts = deployed(machine, wantedOf({ role: 'master', master: null, token: null, scope }), units);
  const { hubHome, openclawState } = facts.place;
  const config = {
    gateway: {
      mode: 'local',
      bind: 'loopback',
      port: 18_789,
      auth: { mode: 'token', token: 'not-a-real-token' },
      nodes: { pairing: { autoApproveLocal: false } },
    },
    plugins: { load: { paths: [facts.place.plugin] }, entries: { 'openclaw-federation': { enabled: true } } },
  };
  const hub = system ? 'openclaw-federation' : SAM.name;
  const settings = privateFile(`${JSON.stringify(config, null, 2)}\n`);
  return changed(
    changed(facts, {
      gateway: { settings, listening: true },
      files: [
        [join(hubHome, 'settings.yaml'), { ...privateFile('role: master\n'), owner: hub }],
        [join(openclawState, 'openclaw.json'), settings],
      ],
      folders: [
        [hubHome, { mode: 0o700, owner: hub }],
        [openclawState, { mode: 0o700, owner: SAM.name }],
      ],
      ports: [
        ...facts.ports,
        { address: '100.64.0.1', port: 19_000 },
        { address: '127.0.0.1', port: 19_000 },
        { address: '127.0.0.1', port: 18_789 },
      ],
      worker: { hub: '127.0.0.1:19000', name: 'vps' },
    }),
    change,
  );
}

/** What was asked for; without a change: a light-less worker of `vps`, by a token, on a machine in the tailnet. */
export function wantedOf(change: Change<Wanted> = {}): Wanted {
  const wanted: Wanted = {
    role: 'worker',
    master: { host: 'vps.tail.example', port: 19_000 },
    name: null,
    scope: 'system',
    runAs: null,
    token: 'given',
    light: false,
    keepGateway: false,
    useModels: false,
    exec: null,
    commands: ['system.run', 'system.run.prepare', 'system.which'],
    port: 19_000,
    telegram: null,
    openclawVersion: '2026.9.6',
    tailscale: {
      use: true,
      baseUrl: 'https://pkgs.tailscale.com/stable',
      version: '1.102.3',
      authKeyFile: null,
      loginServer: null,
    },
  };
  return merged(wanted, change) as Wanted;
}

/** The same facts but for `change`. */
export function changed(facts: Facts, change: Change<Facts>): Facts {
  return merged(facts, change) as Facts;
}

function deployed(machine: Facts, wanted: Wanted, units: readonly string[]): Facts {
  const { place } = machine;
  const { scope, workerHome } = place;
  const hub = wanted.master === null ? '127.0.0.1:19000' : `${wanted.master.host}:${wanted.master.port}`;
  const texts = units.map((name) => [join(place.units, name), unitText(name)] as const);
  return changed(machine, {
    systemd: { linger: scope === 'user' },
    files: [
      [join(workerHome, 'settings.yaml'), privateFile(settingsText(wanted, hub))],
      [join(workerHome, 'hub'), privateFile(`${HUB_ID}\n`)],
      ...texts.map(([path, text]) => [path, unitFile(text, scope)] as const),
    ],
    folders: [[workerHome, { mode: 0o700, owner: SAM.name }]],
    links: [[place.current, join(place.prefix, 'releases/0.1.0-abcdef')]],
    units: units.map((name) => [`${scope}/${name}`, { enabled: true, active: true }] as const),
    record: recordOf(place, wanted, texts),
    worker: { link: 'member', name: machine.machine.hostname, id: NODE_ID, hub },
  });
}

function settingsText(wanted: Wanted, hub: string): string {
  return `role: ${wanted.role}\nworker:\n  hub: ${hub}\n  exec:\n    mode: ${execMode(wanted)}\n`;
}

function recordOf(
  place: Place,
  wanted: Wanted,
  units: readonly (readonly [path: string, text: string])[],
): DeploymentRecord {
  const actions: [string, Action][] = units.map(([path, text]) => [
    `write ${path}`,
    { do: 'write', path, mode: 0o644, owner: place.scope === 'system' ? 'root' : 'person', text },
  ]);
  return {
    version: 1,
    wanted,
    state: 'deployed',
    entries: actions.map(([key, action]) => ({ key, step: 'units', action, before: null, wrote: [], state: 'done' })),
  };
}

/** Not what a deployment renders: it stands for any text that is as it was written. */
function unitText(name: string): string {
  return `[Unit]\nDescription=${name}\n`;
}

function unitFile(text: string, scope: Scope): FileFact {
  return { text, mode: 0o644, owner: scope === 'system' ? 'root' : SAM.name };
}

function privateFile(text: string): FileFact {
  return { text, mode: 0o600, owner: SAM.name };
}

/** `change` upon `value`, as `Change` says. */
export function merged(value: unknown, change: unknown): unknown {
  if (change === undefined) return value;
  if (value instanceof Map && Array.isArray(change)) {
    return new Map([...value, ...(change as readonly (readonly [unknown, unknown])[])]);
  }
  if (!isRecord(value) || !isRecord(change)) return change;
  const keys = new Set([...Object.keys(value), ...Object.keys(change)]);
  return Object.fromEntries([...keys].map((key) => [key, merged(value[key], change[key])]));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Map);
}
