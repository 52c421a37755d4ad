import { FederationError } from '#src/core/errors.ts';
import { bellOf } from '#src/hub/handoffs/bell.ts';
import type { Book } from '#src/hub/handoffs/book.ts';
import type { WorkerCalls } from '#src/hub/handoffs/worker-calls.ts';
import type { Link } from '#src/link/accept.ts';

/** That the end of a handoff is wanted, as far as its node was told. */
export interface WantedEnd {
  /** Asks the node to end it. Whether it has it; where not, that proves that it never began there. */
  ask(link: Link): Promise<boolean>;
  /** Tells the node as soon as its end is asked for, and until it has heard it; gives up on one that does not end it then. */
  passOn(link: Link, over: AbortSignal, giveUp: () => void): Promise<void>;
  /** Whether the node goes on with what it was told to end long ago. */
  isIgnored(): boolean;
}

export interface WantedEndOptions {
  readonly book: Pick<Book, 'get' | 'changes'>;
  readonly calls: Pick<WorkerCalls, 'cancel'>;
  /** How long the node may take to end it. */
  readonly patienceMs: number;
}

/** Between two tries to tell the node. */
const RETRY_MS = 1000;

export function createWantedEnd(id: string, { book, calls, patienceMs }: WantedEndOptions): WantedEnd {
  let toldAt: number | null = null;

  async function ask(link: Link): Promise<boolean> {
    const hasIt = await calls.cancel(link, id).then(
      () => true,
      (error: unknown) => {
        if (error instanceof FederationError && error.code === 'HANDOFF_NOT_FOUND') return false;
        throw error;
      },
    );
    toldAt ??= Date.now();
    return hasIt;
  }

  function isIgnored(): boolean {
    return toldAt !== null && Date.now() >= toldAt + patienceMs;
  }

  return {
    ask,
    async passOn(link, over, giveUp) {
      using wake = bellOf(book, id);
      while (!over.aborted) {
        const isWanted = (book.get(id)?.cancelling ?? null) !== null;
        if (isWanted && toldAt === null) await ask(link).catch(() => false);
        if (isIgnored()) giveUp();
        const until = toldAt === null ? Date.now() + RETRY_MS : toldAt + patienceMs;
        await wake.wait(isWanted ? until : Infinity, over);
      }
    },
    isIgnored,
  };
}
