import { createHash } from 'node:crypto';
import { FederationError } from '#src/core/errors.ts';
import type { Artefact } from '#src/core/handoff/event.ts';
import type { HandoffRecord } from '#src/core/handoff/record.ts';
import { lost } from '#src/hub/fleet/ask-worker.ts';
import type { FetchedArtefact } from '#src/hub/handoffs/desk.ts';
import type { AgentNodes } from '#src/hub/handoffs/nodes.ts';
import type { WorkerCalls } from '#src/hub/handoffs/worker-calls.ts';

/** A file of an answer, from the node that has it. Throws as `HandoffDesk.artefact`. */
export async function fetchArtefact(
  record: HandoffRecord,
  name: string,
  nodes: AgentNodes,
  calls: Pick<WorkerCalls, 'artefact'>,
  signal: AbortSignal,
): Promise<FetchedArtefact> {
  const artefact = record.artefacts.find((one) => one.name === name);
  if (artefact === undefined || record.node === null) {
    const known = record.artefacts.map((one) => one.name).join(', ');
    throw new FederationError('PATH_NOT_FOUND', `the answer has no file ${JSON.stringify(name)}`, {
      hint: known === '' ? 'it has none, or is not over' : `it has ${known}`,
    });
  }
  const link = nodes.link(record.node.id);
  if (link === undefined) {
    throw new FederationError('MACHINE_UNREACHABLE', `${record.node.name}, which has this file, is not connected`, {
      hint: `manage-federation show ${record.node.name}`,
    });
  }
  return { artefact, bytes: proven(await calls.artefact(link, record.id, name, signal), artefact) };
}

async function* proven(bytes: AsyncIterable<Buffer>, { size, sha256 }: Artefact): AsyncGenerator<Buffer> {
  const hash = createHash('sha256');
  let left = size;
  /** Held back: who has all but the last of it knows that it is not whole. */
  let held: Buffer | null = null;
  for await (const chunk of bytes) {
    left -= chunk.length;
    if (left < 0) break;
    hash.update(chunk);
    if (held !== null) yield held;
    held = chunk;
  }
  if (left !== 0 || hash.digest('hex') !== sha256) throw lost('the node sent other bytes than the answer names');
  if (held !== null) yield held;
}
