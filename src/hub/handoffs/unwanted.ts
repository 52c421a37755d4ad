import { setTimeout as pause } from 'node:timers/promises';
import type { HandoffRecord } from '#src/core/handoff/record.ts';
import { isOver } from '#src/core/handoff/state.ts';
import type { Asker } from '#src/core/policy.ts';
import { endAskedFor } from '#src/hub/handoffs/accounts.ts';
import type { AskerKeys } from '#src/hub/handoffs/asker-keys.ts';
import type { Book } from '#src/hub/handoffs/book.ts';

/** Ends handoffs by a word of their asker, and those that nobody wants, or may want, any more. */
export interface Unwanted {
  /** Asks for its end, durably; the same however often. */
  cancel(id: string, why: string, by: string): Promise<HandoffRecord>;
  endAll(why: string, by: string): Promise<void>;
  /** Why nothing is begun for that asker now; null where it is. */
  denied(asker: Asker): string | null;
}

export interface UnwantedOptions {
  readonly book: Book;
  /** Why nothing may be done now, whoever asks; null where it may. */
  readonly denied: () => string | null;
  readonly keys: AskerKeys;
  readonly onFault: (error: unknown) => void;
  readonly signal: AbortSignal;
}

/** Where the store took nothing. */
const RETRY_MS = 1000;

const WHOLE_OVER = 'what it was a part of is over';
const WHOLE_ANEW = 'what it was a part of was begun anew elsewhere';

/** From here on whatever comes to the book is judged; what is there already, too. */
export function createUnwanted({ book, denied, keys, onFault, signal }: UnwantedOptions): Unwanted {
  const deniedTo = (asker: Asker): string | null => denied() ?? keys.refusal(asker);

  async function cancel(id: string, why: string, by: string): Promise<HandoffRecord> {
    return book.change(id, (record) =>
      isOver(record.state) || record.cancelling !== null
        ? null
        : { next: { ...record, cancelling: why }, also: [endAskedFor(record, by)] },
    );
  }

  /** What nobody may want is not left to run because a disk was full. */
  async function endSurely(id: string, why: string): Promise<void> {
    while (!signal.aborted) {
      try {
        await cancel(id, why, 'hub');
        return;
      } catch (error) {
        onFault(error);
        await pause(RETRY_MS, undefined, { signal, ref: false }).catch(() => undefined);
      }
    }
  }

  const end = (id: string, why: string): void => void endSurely(id, why);

  function endEach(isMeant: (record: HandoffRecord) => boolean, why: (record: HandoffRecord) => string): void {
    for (const record of book.live()) if (isMeant(record)) end(record.id, why(record));
  }

  /** Of one that is there anew, or that a hub before this one had. */
  function judge({ id, asker, parent, parentAttempt }: HandoffRecord): void {
    const why = deniedTo(asker);
    if (why !== null) return end(id, why);
    if (parent === null) return;
    const above = book.get(parent);
    if (above === undefined || isOver(above.state)) end(id, WHOLE_OVER);
    else if (isOfEarlier(parentAttempt, above)) end(id, WHOLE_ANEW);
  }

  book.changes.on('handoff', (now, before) => {
    // A lockdown may have begun, its key been revoked, or what it is a part of ended, while it was on its way to the store.
    if (before === null) return judge(now);
    if (isOver(now.state) && !isOver(before.state)) endEach(isPartOf(now), () => WHOLE_OVER);
    else if (now.tried.length > before.tried.length) endEach(isPartOf(now), () => WHOLE_ANEW);
  });
  keys.onRevoked((isOwn) =>
    endEach(
      ({ asker }) => isOwn(asker),
      ({ asker }) => keys.refusal(asker) ?? 'its key was revoked',
    ),
  );
  for (const record of book.live()) judge(record);

  return {
    cancel,
    async endAll(why, by) {
      await Promise.all([...book.live()].map(({ id }) => cancel(id, why, by)));
    },
    denied: deniedTo,
  };
}

function isPartOf({ id }: HandoffRecord): (record: HandoffRecord) => boolean {
  return ({ parent }) => parent === id;
}

/** An attempt is over for good where a later one began, or is to begin. */
function isOfEarlier(attempt: number | null, { tried }: HandoffRecord): boolean {
  return attempt !== null && attempt <= tried.length;
}
