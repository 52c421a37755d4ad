import type { Log } from '#src/adapters/log.ts';
import type { HandoffStore } from '#src/adapters/store/handoff-store.ts';
import type { Over } from '#src/worker/handoffs/kept.ts';
import { readOver, UNKNOWN_HASH } from '#src/worker/handoffs/kept.ts';
import type { HandoffRecord } from '#src/worker/handoffs/record.ts';
import { handoffRecordSchema, nameOf } from '#src/worker/handoffs/record.ts';
import type { Transcript } from '#src/worker/handoffs/transcript.ts';
import { openTranscript } from '#src/worker/handoffs/transcript.ts';

/** What the disk holds of a handoff: its newest attempt, and that there were others. */
export type Restored = Found & { readonly older: readonly number[] };

type Found = { readonly id: string; readonly attempt: number } & (
  | { readonly kind: 'over'; readonly over: Over }
  /** It was accepted, and nobody can tell what became of it. */
  | { readonly kind: 'unreadable' }
  | {
      readonly kind: 'going';
      readonly record: HandoffRecord;
      readonly transcript: Transcript;
      readonly isAsked: boolean;
      readonly isTorn: boolean;
    }
);

/**
 * All that a daemon before this one has accepted. What can't be read is left where it is, and is `lost`: as one that was
 * never here, it would be begun a second time.
 */
export async function restoreHandoffs(
  store: HandoffStore,
  { bootId, keepMaxBytes, log }: { readonly bootId: string; readonly keepMaxBytes: number; readonly log: Log },
): Promise<readonly Restored[]> {
  const attempts = new Map<string, number[]>();
  for (const name of await store.names()) {
    const [id = '', attempt = '0'] = name.split('-');
    attempts.set(id, [...(attempts.get(id) ?? []), Number(attempt)]);
  }

  async function find(name: { readonly id: string; readonly attempt: number }): Promise<Found> {
    try {
      return await restore(store, name, bootId, keepMaxBytes);
    } catch (error) {
      log.error('a handoff can’t be read', { handoff: name.id, problem: String(error) });
      return lostOne(store, name, keepMaxBytes).catch(() => ({ ...name, kind: 'unreadable' }));
    }
  }

  const all: Restored[] = [];
  for (const [id, known] of attempts) {
    const attempt = Math.max(...known);
    all.push({ ...(await find({ id, attempt })), older: known.filter((one) => one !== attempt) });
  }
  const acceptedAt = (one: Restored): number => (one.kind === 'going' ? one.record.acceptedAt : 0);
  return all.toSorted((a, b) => acceptedAt(a) - acceptedAt(b));
}

/** Throws where nothing more can be written of it, either. */
async function lostOne(
  store: HandoffStore,
  name: { readonly id: string; readonly attempt: number },
  keepMaxBytes: number,
): Promise<Found> {
  const folder = store.open(nameOf(name));
  const transcript = await openTranscript(folder, keepMaxBytes);
  try {
    const problem = 'what its node wrote down of it can’t be read';
    if (transcript.ended === null) {
      await transcript.end({ type: 'ended', outcome: 'lost', text: '', problem, usage: null });
    }
    if (!transcript.isWhole) throw new Error('its end can’t be kept');
    const outcome = transcript.ended?.outcome ?? 'lost';
    const over = { outcome, seq: transcript.seq, hash: UNKNOWN_HASH, endedAt: Date.now() };
    await folder.markOver(JSON.stringify(over));
    return { ...name, kind: 'over', over };
  } finally {
    await transcript.close();
  }
}

async function restore(
  store: HandoffStore,
  name: { readonly id: string; readonly attempt: number },
  bootId: string,
  keepMaxBytes: number,
): Promise<Found> {
  const folder = store.open(nameOf(name));
  const over = await readOver(folder);
  if (over !== null) return { ...name, kind: 'over', over };
  const record = handoffRecordSchema.parse(JSON.parse(await folder.record()));
  const transcript = await openTranscript(folder, keepMaxBytes);
  const { ended, seq } = transcript;
  if (ended !== null) {
    await transcript.close();
    const found = { outcome: ended.outcome, seq, hash: record.hash, endedAt: Date.now() };
    await folder.markOver(JSON.stringify(found));
    return { ...name, kind: 'over', over: found };
  }
  const starting = await folder.starting();
  const isAsked = starting !== null;
  return { ...name, kind: 'going', record, transcript, isAsked, isTorn: isAsked && starting !== bootId };
}
