import { join } from 'node:path/posix';
import type { Machine, Ran } from '#src/adapters/machine/machine.ts';
import type { DiskAnswer } from '#src/deploy/doctor/ask/disks.ts';
import { askDisks } from '#src/deploy/doctor/ask/disks.ts';
import type { FederationAnswer } from '#src/deploy/doctor/ask/federation.ts';
import { askFederation } from '#src/deploy/doctor/ask/federation.ts';
import type { FileAnswer } from '#src/deploy/doctor/ask/files.ts';
import { askFiles } from '#src/deploy/doctor/ask/files.ts';
import type { HubAnswer } from '#src/deploy/doctor/ask/hub.ts';
import { askHealth } from '#src/deploy/doctor/ask/hub.ts';
import { look } from '#src/deploy/doctor/ask/look.ts';
import { askName } from '#src/deploy/doctor/ask/name.ts';
import type { PluginAnswer } from '#src/deploy/doctor/ask/plugin.ts';
import { askPlugin } from '#src/deploy/doctor/ask/plugin.ts';
import type { TailnetAnswer } from '#src/deploy/doctor/ask/tailnet.ts';
import { askTailnet } from '#src/deploy/doctor/ask/tailnet.ts';
import type { UnitAnswer } from '#src/deploy/doctor/ask/units.ts';
import { askUnits } from '#src/deploy/doctor/ask/units.ts';
import { askWorker, readHomeFile } from '#src/deploy/doctor/ask/worker.ts';
import type { Deployed } from '#src/deploy/doctor/deployed.ts';
import type { Facts } from '#src/deploy/facts.ts';
import type { WorkerStanding } from '#src/deploy/worker-standing.ts';

/** What only the machine's own programs can say, each asked once. */
export interface Answers {
  /** `federation-worker --version`: the launcher, its Node and the package in one. */
  readonly program: Ran | null;
  readonly tailnet: TailnetAnswer | null;
  /** Addresses of the hub's name; null where it has none. */
  readonly resolved: readonly string[] | null;
  readonly hub: HubAnswer;
  readonly worker: WorkerStanding | null;
  readonly units: ReadonlyMap<string, UnitAnswer>;
  /** By home; null where nobody may look. */
  readonly files: ReadonlyMap<string, readonly FileAnswer[] | null>;
  readonly disks: readonly DiskAnswer[];
  /** The node host's own openclaw.json; empty where there is none. */
  readonly nodeHostSettings: string;
  /** On a master. */
  readonly federation: FederationAnswer | null;
  /** On a master whose gateway runs. */
  readonly plugin: PluginAnswer | null;
}

/** Asks a machine where `deployed` is. Nothing of it is changed. Throws MACHINE_UNREACHABLE. */
export async function askMachine(
  machine: Machine,
  facts: Facts,
  deployed: Deployed,
  signal: AbortSignal,
): Promise<Answers> {
  const { place, person } = facts;
  const { hub, homes, units, isMaster, wanted } = deployed;
  const program = join(place.bin, 'federation-worker');
  const [tailnet, resolved] = await Promise.all([
    askTailnet(machine, facts, signal),
    askName(machine, hub.host, signal),
  ]);
  const states = await askUnits(machine, facts, units, signal);
  return {
    tailnet,
    resolved,
    program: await look(machine, { argv: [program, '--version'], as: person, signal }),
    hub: await askHealth(machine, { hub, addresses: deployed.hubAddresses }, signal),
    worker: await askWorker(machine, facts, states.get('openclaw-worker.service')?.active === 'active', signal),
    units: states,
    files: new Map(
      await Promise.all(homes.map(async ({ path }) => [path, await askFiles(machine, facts, path, signal)] as const)),
    ),
    disks: await askDisks(machine, facts, [place.prefix, ...homes.map(({ path }) => path)], signal),
    nodeHostSettings: await readHomeFile(machine, facts, 'openclaw/openclaw.json', signal),
    federation: isMaster ? await askFederation(machine, facts, signal) : null,
    plugin: isMaster && !wanted.light && facts.gateway.listening ? await askPlugin(machine, facts, signal) : null,
  };
}
