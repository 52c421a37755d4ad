import type { Person } from '#src/adapters/machine/machine.ts';
import type { UnitName, UnitState } from '#src/deploy/action.ts';
import type { Place } from '#src/deploy/place.ts';
import type { DeploymentRecord } from '#src/deploy/record/record.ts';

export interface FileFact {
  readonly text: string;
  /** Permission bits, without setuid, setgid and sticky. */
  readonly mode: number;
  /** Name of the owner. */
  readonly owner: string;
}

export interface ProgramFact {
  /** Absolute path. */
  readonly program: string;
  readonly version: string;
}

/** How a machine stands before a deployment. Nothing of it was changed by looking. */
export interface Facts {
  readonly machine: {
    readonly hostname: string;
    /** `uname -s`, lower case: linux, darwin. */
    readonly platform: string;
    /** As Node says it: x64, arm64; else as `uname -m` says it. */
    readonly arch: string;
    readonly libc: 'glibc' | 'musl';
    readonly freeBytes: number;
    /** Milliseconds since the epoch, there. */
    readonly clock: number;
  };
  readonly login: {
    readonly name: string;
    readonly root: boolean;
    readonly sudo: boolean;
    /** It is root by sudo, and what the person types next is not. */
    readonly bySudo: boolean;
    /** Address of the machine by which ssh came to it; null where nobody came by ssh. */
    readonly address: string | null;
  };
  /** Whom the worker runs commands as. */
  readonly person: Person;
  readonly place: Place;
  readonly systemd: {
    /** It is PID 1 there. */
    readonly system: boolean;
    readonly linger: boolean;
  };
  readonly tailscale: {
    readonly installed: ProgramFact | null;
    /** apt-get, dnf, pacman, apk or zypper, where that has a package `tailscale`. */
    readonly packagedBy: string | null;
    /** BackendState of tailscaled; null where it does not answer. */
    readonly state: string | null;
    readonly addresses: readonly string[];
    /** Without its last dot. */
    readonly dnsName: string | null;
    /** DNS names of the other machines in the tailnet. */
    readonly peers: readonly { readonly dnsName: string; readonly addresses: readonly string[] }[];
  };
  /** The newest Node on the person's PATH. */
  readonly node: ProgramFact | null;
  readonly openclaw: ProgramFact | null;
  readonly gateway: {
    /** The unit that runs the person's gateway and isn't ours. */
    readonly unit: { readonly name: string; readonly scope: 'system' | 'user' } | null;
    /** Where its settings are: the person's openclaw.json. */
    readonly settings: FileFact | null;
    readonly port: number;
    /** Something listens at that port. */
    readonly listening: boolean;
  };
  /** The paths that a plan may write, with what is there now: null where nothing is. */
  readonly files: ReadonlyMap<string, FileFact | null>;
  readonly folders: ReadonlyMap<string, { readonly mode: number; readonly owner: string } | null>;
  readonly links: ReadonlyMap<string, string | null>;
  /** Our units and the gateway's, by `scope/name`; null: systemd knows none. */
  readonly units: ReadonlyMap<string, UnitState | null>;
  readonly hubUserExists: boolean;
  /** TCP ports that somebody listens at, with the addresses. */
  readonly ports: readonly { readonly address: string; readonly port: number }[];
  readonly record: DeploymentRecord | null;
  /** The worker daemon's and the hub's own words, where they run. */
  readonly worker: {
    readonly link: string;
    readonly name: string;
    readonly id: string;
    readonly hub: string;
    /** Where its model proxy listens, if it says. */
    readonly models?: { readonly port: number | null } | undefined;
  } | null;
}

/** The file at a path; null where none is. Throws for a path that nobody has looked at. */
export function fileIn({ files }: Pick<Facts, 'files'>, path: string): FileFact | null {
  return lookedAt(files, path);
}

export function folderIn({ folders }: Pick<Facts, 'folders'>, path: string) {
  return lookedAt(folders, path);
}

/** Where a link points to. */
export function linkIn({ links }: Pick<Facts, 'links'>, path: string): string | null {
  return lookedAt(links, path);
}

export function unitIn({ units }: Pick<Facts, 'units'>, { name, scope }: UnitName): UnitState | null {
  return lookedAt(units, `${scope}/${name}`);
}

/** What nobody has looked at would pass for what is not there, and be written over: a bug of ours. */
function lookedAt<T>(found: ReadonlyMap<string, T | null>, key: string): T | null {
  const fact = found.get(key);
  if (fact === undefined) throw new Error(`nobody has looked at ${key}`);
  return fact;
}
