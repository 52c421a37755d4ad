import type { HubAddress } from '#src/core/hub-address.ts';
import type { Role } from '#src/core/node.ts';
import type { Scope } from '#src/deploy/place.ts';

/** Who owns what an action makes, and in whose name it runs. */
export type Owner = 'root' | 'person' | 'hub';

export interface UnitName {
  readonly name: string;
  readonly scope: Scope;
}

/** How a unit stands. `absent`: systemd knows no such unit. */
export interface UnitState {
  readonly enabled: boolean;
  readonly active: boolean;
}

/**
 * One change of a machine, as data: it can be shown, done, and taken back to how it was before. Those that name a
 * `path` own what is there from then on.
 */
export type Action =
  /** A folder. Taken back: removed with all that is in it, unless it was there before. */
  | { readonly do: 'folder'; readonly path: string; readonly mode: number; readonly owner: Owner }
  /** A whole file. Taken back: as it was. */
  | {
      readonly do: 'write';
      readonly path: string;
      readonly mode: number;
      readonly owner: Owner;
      readonly text: string;
      /** Not to be shown, logged or kept in the record. */
      readonly secret?: true;
    }
  /** Keys of a person's JSON file, its other keys and comments kept. Taken back: those keys as they were. */
  | {
      readonly do: 'merge';
      readonly path: string;
      readonly mode: number;
      readonly owner: Owner;
      /** By dotted path. */
      readonly values: Readonly<Record<string, unknown>>;
      /** Paths among them whose values are not to be shown. */
      readonly secrets: readonly string[];
    }
  | { readonly do: 'link'; readonly path: string; readonly target: string; readonly owner: Owner }
  /** This package with what it needs, as a release below the prefix. */
  | { readonly do: 'release'; readonly path: string; readonly owner: Owner }
  /** A user of the system that nobody logs in as. */
  | { readonly do: 'user'; readonly name: string; readonly home: string }
  /** Lets the person's units run while they are not logged in. */
  | { readonly do: 'linger'; readonly user: string }
  | { readonly do: 'reload'; readonly scope: Scope }
  /** A unit as it is to be; `restart` where what it runs has changed. Taken back: as it stood. */
  | { readonly do: 'unit'; readonly unit: UnitName; readonly want: UnitState; readonly restart: boolean }
  /** An installation by somebody else's program. `undo` takes it back; none where nothing of it stays. */
  | {
      readonly do: 'run';
      /** For the person, in the imperative: “Install OpenClaw 2026.9.6”. */
      readonly title: string;
      readonly argv: readonly [string, ...string[]];
      readonly owner: Owner;
      readonly environment?: Readonly<Record<string, string>>;
      readonly undo: readonly [string, ...string[]] | null;
      /** What to do where it fails. */
      readonly hint: string;
    }
  /** Tailscale’s static build: tarball of `url`, checked against the SHA-256 that stands beside it. */
  | { readonly do: 'tailscale'; readonly url: string }
  /** Brings the machine into the tailnet, by a key or by a person who opens the address that is shown. */
  | {
      readonly do: 'tailnet';
      /** On the machine that deploys; null: a person logs in. */
      readonly authKeyFile: string | null;
      readonly loginServer: string | null;
      readonly hostname: string | null;
    }
  /** Refuses to go on unless a hub of our kind answers there, and the join token, if there is one, lets this node in. */
  | {
      readonly do: 'knock';
      readonly hub: HubAddress;
      readonly node: { readonly name: string; readonly role: Role };
      /** Id of the hub that has admitted the node before; null: none has. */
      readonly memberOf: string | null;
    }
  /** Waits until an operator can connect to the gateway. */
  | { readonly do: 'gateway-ready'; readonly port: number }
  /** Waits until the hub answers the person’s own `manage-federation`. */
  | { readonly do: 'hub-ready' }
  /** A fresh join token, laid into the worker's home. */
  | {
      readonly do: 'mint-token';
      readonly path: string;
      /** The node that it is good for. */
      readonly role: Role;
      readonly name: string;
      /** Whose hub makes it: that of the machine itself, or that of the machine which deploys it. */
      readonly by: 'machine' | 'deployer';
    }
  /** The join token that the person gave, laid into the worker's home. */
  | { readonly do: 'token'; readonly path: string }
  /** Waits until the worker is a member, and its node host usable where it has one; or says how to approve it. */
  | { readonly do: 'worker-ready'; readonly nodeHost: boolean; readonly approval: 'given' | 'needed' };

export type ActionOf<K extends Action['do']> = Extract<Action, { readonly do: K }>;

/** One item of a plan. Without actions it is already so. */
export interface Step {
  /** Short and stable: `worker-unit`. */
  readonly id: string;
  /** What is so afterwards: “openclaw-worker.service runs”. */
  readonly title: string;
  readonly actions: readonly Action[];
}

export interface Plan {
  readonly steps: readonly Step[];
  /** What the person should know before they agree. */
  readonly notes: readonly string[];
}
