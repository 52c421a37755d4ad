import type { EventEmitter } from 'node:events';
import type { Log } from '#src/adapters/log.ts';
import type { ModelsRecord } from '#src/core/worker-record.ts';
import type { HubSession } from '#src/worker/hub-address.ts';
import type { OfferDesk } from '#src/worker/models/offer.ts';
import { offerModels } from '#src/worker/models/offer.ts';
import type { SharedModels, SharingParts } from '#src/worker/models/share.ts';
import { shareModels } from '#src/worker/models/share.ts';

export interface NodeModelsParts extends SharingParts {
  readonly desk: OfferDesk;
  readonly session: () => HubSession | null;
  readonly links: EventEmitter<{ linked: [] }>;
  /** Where it is written down how this stands. */
  readonly report: (record: ModelsRecord) => void;
  /** Opens the model proxy of this node, whose port it resolves with. */
  readonly listen: (shares: SharedModels) => Promise<number>;
  readonly log: Log;
}

/** What this node has to do with models: it shares its own, tells the hub, and lets programs here use all of them. */
export interface NodeModels {
  readonly shares: SharedModels;
  readonly done: Promise<void>;
}

/** Starts all of it. A port that another program has is no reason to end a daemon: it is said in the record. */
export async function openNodeModels(parts: NodeModelsParts): Promise<NodeModels> {
  const { listen, report, log } = parts;
  const shares = shareModels(parts);
  let port: number | null = null;
  let portProblem: string | null = null;
  const tell = (): void => report({ port, portProblem, ...shares.status() });
  shares.changes.on('status', tell);
  const offering = offerModels({ ...parts, shares });
  try {
    port = await listen(shares);
    log.info('programs of this machine can use the models of the federation', { port });
  } catch (error) {
    portProblem = error instanceof Error ? error.message : String(error);
    log.warn('no program of this machine can use the models of the federation', { problem: portProblem });
  }
  tell();
  return { shares, done: Promise.all([shares.done, offering]).then(() => undefined) };
}
