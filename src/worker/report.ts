import type { Home } from '#src/adapters/home.ts';
import type { Log } from '#src/adapters/log.ts';
import type { ErrorBody } from '#src/core/errors.ts';
import { errorBody } from '#src/core/errors.ts';
import { fingerprint } from '#src/core/node.ts';
import type { DialEvent } from '#src/link/dial.ts';
import type { ModelsRecord, WorkerRecord } from '#src/core/worker-record.ts';
import { WORKER_RECORD_FILE } from '#src/core/worker-record.ts';
import type { NodeHostStatus } from '#src/worker/node-host.ts';

/** Writes down how the link and the node host stand, where people and programs on this machine can read it, and logs it. */
export interface WorkerReport {
  event(event: DialEvent): void;
  nodeHost(status: NodeHostStatus): void;
  models(record: ModelsRecord): void;
  /** The node has another key, and so another id. */
  rekeyed(id: string): void;
  close(): Promise<void>;
}

export async function openReport(
  home: Home,
  node: { id: string; name: string; hub: string; nodeHost: 'off' | 'waiting' },
  log: Log,
): Promise<WorkerReport> {
  let record: WorkerRecord = {
    pid: process.pid,
    ...node,
    fingerprint: fingerprint(node.id),
    link: 'connecting',
    held: null,
    problem: null,
    nodeHostProblem: null,
  };
  let written: Promise<void> = Promise.resolve();

  function change(next: Partial<WorkerRecord>): void {
    record = { ...record, ...next };
    const text = `${JSON.stringify(record)}\n`;
    written = written
      .then(() => home.write(WORKER_RECORD_FILE, text))
      .catch((error: unknown) =>
        log.warn('how this node stands could not be written down', { problem: String(error) }),
      );
  }

  change({});
  await written;
  return {
    event(event) {
      switch (event.type) {
        case 'connecting':
          return;
        case 'waiting':
          log.info('waiting for approval on the master', { fingerprint: record.fingerprint, held: event.held });
          return change({ link: 'waiting', held: event.held, problem: null });
        case 'welcome':
          log.info('linked to the hub', { epoch: event.welcome.epoch });
          return change({ link: 'member', held: null, problem: null });
        case 'refused':
          log.warn('the hub refused this node', errorDetails(errorBody(event.error)));
          return change({ link: 'refused', problem: errorBody(event.error) });
        case 'lost':
          log.warn('not linked', { ...errorDetails(errorBody(event.error)), retryInMs: Math.round(event.retryInMs) });
          return change({ link: 'connecting', problem: errorBody(event.error) });
      }
    },
    nodeHost({ phase, gateway, lastEnd, problem }) {
      const connected = gateway === 'connected' ? 'connected' : 'running';
      change({ nodeHost: phase === 'running' ? connected : 'waiting', nodeHostProblem: problem ?? lastEnd });
    },
    models: (models) => change({ models }),
    rekeyed: (id) => change({ id, fingerprint: fingerprint(id) }),
    async close() {
      await written;
      await home.remove(WORKER_RECORD_FILE);
    },
  };
}

function errorDetails({ code, message, hint }: ErrorBody) {
  return { code, problem: message, ...(hint === undefined ? {} : { hint }) };
}
