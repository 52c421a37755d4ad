import { makeAuthority } from './authority.ts';
import { openDepot } from './depot.ts';
import { makeFleet } from './fleet.ts';
import type { Machine } from './machine.ts';
import { SWITCH_ADDRESS, openNetwork } from './network.ts';
import { makeNpmStore } from './npm-store.ts';
import { installProduct } from './product.ts';
import type { Run } from './run-folder.ts';
import { makeRun, removeRun } from './run-folder.ts';
import type { Tailnet } from './tailnet.ts';
import { openTailnet } from './tailnet.ts';
import { makeTailscaleTarball } from './tailscale-tarball.ts';

export interface LabOptions {
  /** How many: they are m1, m2, … */
  readonly machines: number;
  /** Whether there is a tailnet for them to join, and Tailscale to download; if not said, there is. */
  readonly tailnet?: boolean;
}

/** Machines with systemd on a network of their own, where a depot has all that deploying downloads. */
export interface Lab {
  /** Its name and folder on this host. */
  readonly run: Run;
  /** Folder with an `ssh` which, first on PATH, reaches the machines by name or address. */
  readonly sshPath: string;
  /** File with the keys of all machines, as that `ssh` uses it. */
  readonly knownHosts: string;
  /** What npm is set to on the machines: it has OpenClaw. */
  readonly registryUrl: string;
  /** Folder of Tailscale's static tarball: tailscale_VERSION_ARCHITECTURE.tgz, and the same with .sha256 added. */
  readonly tailscaleBaseUrl: string;
  /** The version that is there. */
  readonly tailscaleVersion: string;
  /** URL of its tarball. */
  readonly tailscaleTarball: string;
  /** Throws where the lab was opened without. */
  readonly tailnet: Tailnet;
  machine(name: string): Machine;
  machines(): readonly Machine[];
  /** Puts the package under test on a machine, as a global installation. */
  installPackage(machine: Machine): Promise<void>;
  /** Ends and removes everything, whatever state it is in. */
  close(): Promise<void>;
}

const DEPOT = `http://${SWITCH_ADDRESS}`;
const NO_TAILNET = 'this lab was opened without a tailnet';
const REGISTRY = `${DEPOT}/npm`;

/** Resolves when all machines are up. Needs what `findObstacles` looks for. */
export async function openLab(options: LabOptions): Promise<Lab> {
  const run = await makeRun();
  try {
    return await open(run, options);
  } catch (error) {
    await removeRun(run);
    throw error;
  }
}

async function open(run: Run, { machines: count, tailnet: wanted = true }: LabOptions): Promise<Lab> {
  const network = await openNetwork(run);
  const npm = await makeRegistry();
  const tarball = wanted ? await makeTailscaleTarball() : null;
  const [tailnet, { machines, ssh }] = await Promise.all([
    wanted ? openTailnet(run, network, await makeAuthority()) : null,
    makeFleet(run, network, count, REGISTRY),
    openDepot(run, network, { npm, ...(tarball === null ? {} : { stable: tarball.folder }) }),
  ]);
  return {
    run,
    sshPath: ssh.path,
    knownHosts: ssh.knownHosts,
    registryUrl: REGISTRY,
    tailscaleBaseUrl: `${DEPOT}/stable`,
    get tailscaleVersion() {
      if (tarball === null) throw new Error(NO_TAILNET);
      return tarball.version;
    },
    get tailscaleTarball() {
      if (tarball === null) throw new Error(NO_TAILNET);
      return `${DEPOT}/stable/${tarball.file}`;
    },
    get tailnet() {
      if (tailnet === null) throw new Error(NO_TAILNET);
      return tailnet;
    },
    machines: () => machines,
    machine(name) {
      const found = machines.find((machine) => machine.name === name);
      if (found === undefined) throw new Error(`there is no machine ${name}`);
      return found;
    },
    installPackage: installProduct,
    close: () => removeRun(run),
  };
}

/** The packages that the depot offers. Fetching them takes long, once. */
export function makeRegistry(): Promise<string> {
  return makeNpmStore(REGISTRY);
}
