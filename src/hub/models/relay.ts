import type { ServerResponse } from 'node:http';
import { FederationError } from '#src/core/errors.ts';
import { FirstByteLate } from '#src/core/models/error.ts';
import { headerOf, retryAfterMs } from '#src/core/models/headers.ts';
import type { UsageTap } from '#src/core/models/usage.ts';
import { makesStored } from '#src/core/models/stored-answers.ts';
import { usageTap } from '#src/core/models/usage.ts';
import { believable, guessTokens } from '#src/core/models/usage-guess.ts';
import type { NodeAnswer, Opened } from '#src/hub/models/attempt.ts';
import { openAttempt } from '#src/hub/models/attempt.ts';
import type { RelayAsk } from '#src/hub/models/passed-on.ts';
import { headersToClient, headersToNode, partsFor } from '#src/hub/models/passed-on.ts';
import type { Attempt, AttemptEnd, Router } from '#src/hub/models/router.ts';
import { answerTo } from '#src/link/models/answer.ts';
import type { ModelBody } from '#src/link/models/body.ts';

/** How it went, for the book. */
export interface Relayed {
  readonly node: string | null;
  readonly model: string | null;
  readonly upstream: string | null;
  /** Where the answer begins; empty where that can’t be read. */
  readonly head: string;
  readonly status: number | null;
  readonly attempts: number;
  readonly tokens: ReturnType<UsageTap['tokens']>;
  /** Tokens of an answer that does not tell, by what passed; null where that says nothing. */
  readonly guessed: number | null;
  readonly firstByteMs: number | null;
  readonly aborted: boolean;
  /** Nothing was sent, and this is why; null where something was, or the client is gone. */
  readonly error: Error | null;
}

const MAX_ATTEMPTS = 3;

/** An answer that another node may do better than, kept as it is until one does. */
interface Held {
  readonly answer: NodeAnswer;
  readonly attempt: Attempt;
  readonly startedAt: number;
}

/**
 * Finds a node that answers, and lets its answer pass to the client. Another node is asked only while nothing has gone
 * to the client, and of several that failed it is the last words of an upstream that the client gets. It never rejects.
 */
export async function relay(router: Router, asked: RelayAsk, response: ServerResponse): Promise<Relayed> {
  const gone = new AbortController();
  let current: Pick<Opened, 'giveUp'> | null = null;
  let flowing: NodeAnswer | null = null;
  const answer = answerTo(
    response,
    () => flowing?.resume(),
    () => {
      gone.abort(new FederationError('USAGE', 'the client went away'));
      current?.giveUp();
    },
  );
  const excluded = new Set<string>();
  let attempts = 0;
  let held: Held | null = null;
  let last: Attempt | null = null;
  let failure: AttemptEnd['failure'] = null;
  let refused: Error | null = null;

  const outcome = (part: Partial<Relayed>): Relayed => ({
    node: last?.node.id ?? null,
    model: last?.offered.id ?? asked.ask.model,
    upstream: last?.offered.upstream ?? null,
    head: '',
    status: null,
    attempts,
    tokens: null,
    guessed: last === null ? null : guessed(last, 0, 0),
    firstByteMs: null,
    aborted: gone.signal.aborted,
    error: null,
    ...part,
  });

  function guessed({ offered: { contextWindow } }: Attempt, answerBytes: number, events: number): number | null {
    const { endpoint, bytes: requestBytes } = asked.ask;
    return guessTokens({ endpoint, requestBytes, answerBytes, events, contextWindow });
  }

  for (;;) {
    const attempt: Attempt | null = attempts === MAX_ATTEMPTS ? null : await nextAttempt();
    if (gone.signal.aborted) {
      attempt?.end(endOf('cancelled', null, performance.now()));
      held?.answer.giveUp();
      return outcome({});
    }
    if (attempt === null) break;
    attempts += 1;
    last = attempt;
    const startedAt = performance.now();
    const parts = partsFor(asked.body, attempt);
    const opened = openAttempt(attempt.link, headersToNode(asked, attempt, parts), parts, asked.body);
    current = opened;
    const opening = await opened.opening;
    if (gone.signal.aborted) {
      if (opening.kind === 'answer') opening.answer.giveUp();
      attempt.end(endOf('cancelled', null, startedAt));
      held?.answer.giveUp();
      return outcome({});
    }
    if (opening.kind === 'refused') {
      attempt.end(endOf('cancelled', null, startedAt));
      held?.answer.giveUp();
      return outcome({ error: opening.error });
    }
    if (opening.kind === 'failed') {
      failure = opening.failure;
      attempt.end(endOf(failure, null, startedAt));
    } else if (attempts < MAX_ATTEMPTS && mayDoBetter(opening.answer, asked.body)) {
      held?.answer.giveUp();
      held = { answer: opening.answer, attempt, startedAt };
      attempt.end(endOf('status', opening.answer, startedAt));
    } else {
      held?.answer.giveUp();
      return pass({ answer: opening.answer, attempt, startedAt }, false);
    }
    if (asked.body.flow !== null) break;
    excluded.add(attempt.node.id);
  }
  if (held !== null) {
    last = held.attempt;
    return pass(held, true);
  }
  if (refused !== null) return outcome({ error: refused });
  const where = last === null ? '' : `${last.offered.upstream} on ${last.node.name} `;
  return outcome({
    error:
      failure === 'first-byte'
        ? new FirstByteLate(`the model server ${where}did not answer in time`)
        : new FederationError('UPSTREAM_FAILED', `the model server ${where}does not answer`, {
            hint: 'manage-federation models list',
          }),
  });

  /** Null where there is none. */
  async function nextAttempt(): Promise<Attempt | null> {
    try {
      return await router.next(asked.ask, excluded, gone.signal);
    } catch (error) {
      if (attempts === 0) refused = error instanceof Error ? error : new Error(String(error));
      return null;
    }
  }

  /** From the head to the end. `isEnded`: the router knows already how the try went. */
  function pass({ answer: source, attempt, startedAt }: Held, isEnded: boolean): Promise<Relayed> {
    const { promise, resolve } = Promise.withResolvers<Relayed>();
    const { status, headers } = source;
    const tap = usageTap(headerOf(headers, 'content-type'), headerOf(headers, 'content-encoding'));
    const fails = isFailure(status);
    const isStored = makesStored(asked.method, asked.ask.endpoint);
    let firstByteAt: number | null = null;
    let lastAt: number | null = null;
    let idleMs: number | null = null;
    current = {
      giveUp() {
        source.giveUp();
        finish(false);
      },
    };
    flowing = source;

    function finish(isWhole: boolean): void {
      const wentAway = gone.signal.aborted && !isWhole;
      if (!isEnded) {
        const why = wentAway ? 'cancelled' : isWhole ? (fails ? 'status' : null) : 'truncated';
        attempt.end({
          ...endOf(why, source, startedAt),
          idleMs,
          firstByteMs: firstByteAt === null ? null : firstByteAt - startedAt,
        });
      }
      const told = tap.tokens();
      resolve(
        outcome({
          status,
          head: status === 200 && isStored ? tap.head() : '',
          tokens: told === null ? null : believable(told, asked.ask.bytes),
          guessed: guessed(attempt, answer.bytes(), tap.events()),
          firstByteMs: firstByteAt === null ? null : firstByteAt - asked.cameAt,
          aborted: !isWhole,
        }),
      );
    }

    try {
      answer.head(status, undefined, headersToClient(headers, attempt, attempts, startedAt - asked.cameAt));
      if (!isEnded && !fails) attempt.answered(performance.now() - startedAt);
    } catch {
      // What its upstream calls a header is none.
      source.giveUp();
      finish(false);
      answer.cut();
      return promise;
    }
    source.read({
      data(chunk) {
        const at = performance.now();
        firstByteAt ??= at;
        if (lastAt !== null) idleMs = Math.max(idleMs ?? 0, at - lastAt);
        lastAt = at;
        tap.push(chunk);
        if (!answer.data(chunk)) source.pause();
      },
      end(isWhole) {
        firstByteAt ??= performance.now();
        if (isWhole) answer.end();
        else answer.cut();
        finish(isWhole);
      },
    });
    return promise;
  }
}

function endOf(failure: AttemptEnd['failure'], answer: NodeAnswer | null, startedAt: number): AttemptEnd {
  return {
    failure,
    status: answer?.status ?? null,
    retryAfterMs: answer === null ? null : retryAfterMs(answer.headers, Date.now()),
    firstByteMs: null,
    connectMs: answer?.connectMs ?? null,
    totalMs: performance.now() - startedAt,
  };
}

function isFailure(status: number): boolean {
  return status === 408 || status === 429 || (status >= 500 && status !== 501 && status !== 505);
}

/** Unless it says itself that it is no use, or the request is gone. */
function mayDoBetter({ status, headers }: NodeAnswer, { flow }: ModelBody): boolean {
  return isFailure(status) && flow === null && headerOf(headers, 'x-should-retry') !== 'false';
}
