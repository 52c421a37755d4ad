import type { ServerHttp2Stream } from 'node:http2';
import type { Readable } from 'node:stream';
import { z } from 'zod';
import type { HandoffFolder } from '#src/adapters/store/handoff-store.ts';
import type { Artefact } from '#src/core/handoff/event.ts';
import { HANDOFF_OUTCOMES } from '#src/core/handoff/state.ts';
import type { HandoffStanding } from '#src/protocol/handoffs.ts';
import { follow } from '#src/worker/handoffs/follow.ts';
import { openTranscript } from '#src/worker/handoffs/transcript.ts';

/** Of a handoff whose record can't be read: whatever is asked by its id is that one. */
export const UNKNOWN_HASH = '';

/** How a handoff ended, as it stands beside its events so that nobody has to read them all for it. */
const overSchema = z.object({
  outcome: z.enum(HANDOFF_OUTCOMES),
  seq: z.int().positive(),
  hash: z.string(),
  endedAt: z.number(),
});
export type Over = z.infer<typeof overSchema>;

/** What `over` of a folder says; null where it says nothing, or was cut short. */
export async function readOver(folder: HandoffFolder): Promise<Over | null> {
  try {
    return overSchema.parse(JSON.parse((await folder.over()) ?? 'null'));
  } catch {
    return null;
  }
}

/** A handoff that is over, kept for those who have not read it all. */
export interface KeptHandoff {
  readonly hash: string;
  /** Milliseconds since the epoch. */
  readonly endedAt: number;
  standing(): HandoffStanding;
  follow(stream: ServerHttp2Stream, after: number): Promise<void>;
}

/** It has no place in any queue. */
const NOWHERE = { position: () => null, onMove: () => () => undefined };

export function keptHandoff(
  folder: HandoffFolder,
  { id, attempt }: { readonly id: string; readonly attempt: number },
  { outcome, seq, hash, endedAt }: Over,
): KeptHandoff {
  return {
    hash,
    endedAt,
    standing: () => ({ id, attempt, state: outcome, position: null, seq }),
    async follow(stream, after) {
      const transcript = await openTranscript(folder, 0);
      try {
        await follow(stream, transcript, after, NOWHERE);
      } finally {
        await transcript.close();
      }
    },
  };
}

/** A file of its answer, as its events tell it; null where there is none of that name. */
export async function openArtefact(
  folder: HandoffFolder,
  name: string,
): Promise<{ readonly artefact: Artefact; readonly bytes: Readable } | null> {
  let artefact: Artefact | null = null;
  const file = await folder.events((line) => {
    if (!line.includes('"type":"artefact"')) return;
    const event = JSON.parse(line) as { type: string } & Artefact;
    if (event.type === 'artefact' && event.name === name) artefact = event;
  });
  await file.close();
  const found = artefact as Artefact | null;
  const bytes = found === null ? null : await folder.sealed(name, found.size);
  return found === null || bytes === null ? null : { artefact: found, bytes };
}
