import type { EventEmitter } from 'node:events';
import type { Log } from '#src/adapters/log.ts';
import type { Sender } from '#src/adapters/models/upstream.ts';
import { FederationError } from '#src/core/errors.ts';
import type { HubAddress } from '#src/core/hub-address.ts';
import { USUAL_MODELS_PORT } from '#src/core/models/share.ts';
import type { ModelsRecord } from '#src/core/worker-record.ts';
import { createBodyReader } from '#src/link/models/body.ts';
import type { HubSession } from '#src/worker/hub-address.ts';
import { createHubModels } from '#src/worker/models/hub-models.ts';
import type { OfferDesk } from '#src/worker/models/offer.ts';
import { offerModels } from '#src/worker/models/offer.ts';
import type { LocalModels, LocalModelsOptions } from '#src/worker/models/proxy.ts';
import { startModelProxy } from '#src/worker/models/proxy.ts';
import type { ModelServing } from '#src/worker/models/serve.ts';
import { createModelServing } from '#src/worker/models/serve.ts';
import type { SharingParts } from '#src/worker/models/share.ts';
import { shareModels } from '#src/worker/models/share.ts';

export interface NodeModelsParts extends SharingParts {
  readonly node: { readonly id: () => string; readonly name: string };
  readonly hub: HubAddress;
  readonly session: () => HubSession | null;
  readonly links: EventEmitter<{ linked: [] }>;
  readonly desk: OfferDesk;
  /** Of the model proxy; 0 takes a free one; null: the usual one, or a free one where another program has that. */
  readonly port: number | null;
  /** What the model proxy wants to be shown; null: nothing. */
  readonly key: string | null;
  readonly sender: Sender;
  /** Where it is written down how this stands. */
  readonly report: (record: ModelsRecord) => void;
  readonly log: Log;
}

/** What this node has to do with models: it shares its own, and lets programs here use those of all. */
export interface NodeModels extends ModelServing {
  /** Whether nothing is served, to nobody. */
  lockDown(on: boolean): void;
  /** Resolves when nothing is served any more; to be called when the signal is aborted. */
  close(): Promise<void>;
}

/**
 * Starts all of it. A port that a person chose and another program has is no reason to end a daemon, nor to listen
 * elsewhere, where nobody looks: it is said in the record and to the hub.
 */
export async function openNodeModels(parts: NodeModelsParts): Promise<NodeModels> {
  const { node, port, key, sender, report, log } = parts;
  const { send } = sender;
  const shares = shareModels(parts);
  const serving = createModelServing({ shares, send, nodeId: node.id, log });
  let isShut = false;
  let local: LocalModels | null = null;
  let portProblem: string | null = null;
  const tell = (): void => report({ port: local?.port ?? null, portProblem, ...shares.status() });
  shares.changes.on('status', tell);
  try {
    const hub = createHubModels({ ...parts, send });
    const options = { ...{ key, node, shares, hub, send, log }, bodies: createBodyReader(), isShut: () => isShut };
    local = await (port === null ? startAnywhere(options) : startModelProxy({ ...options, port }));
    log.info('programs of this machine can use the models of the federation', { port: local.port });
  } catch (error) {
    portProblem = error instanceof Error ? error.message : String(error);
    log.warn('no program of this machine can use the models of the federation', { problem: portProblem });
  }
  tell();
  const offering = offerModels({ ...parts, shares, portProblem });
  return {
    serve: serving.serve,
    endAll: serving.endAll,
    lockDown: (on) => void (isShut = on),
    async close() {
      await local?.close();
      await Promise.all([shares.done, offering]);
      await sender.close();
    },
  };
}

/** At the usual port, or at a free one where the worker of another person has that: the record names it. */
async function startAnywhere(options: Omit<LocalModelsOptions, 'port'>): Promise<LocalModels> {
  try {
    return await startModelProxy({ ...options, port: USUAL_MODELS_PORT });
  } catch (error) {
    if (!(error instanceof FederationError) || error.code !== 'PORT_IN_USE') throw error;
    const local = await startModelProxy({ ...options, port: 0 });
    options.log.warn('another program has the usual port for models', { usual: USUAL_MODELS_PORT, port: local.port });
    return local;
  }
}
