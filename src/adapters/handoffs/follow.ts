import type { IncomingMessage } from 'node:http';
import { ReadableStream, TextDecoderStream } from 'node:stream/web';
import { EventSourceParserStream } from 'eventsource-parser/stream';
import type { AbsenceOptions } from '#src/adapters/handoffs/absence.ts';
import { absence } from '#src/adapters/handoffs/absence.ts';
import type { HubApi } from '#src/adapters/hub-api.ts';
import { FederationError } from '#src/core/errors.ts';
import type { HandoffEvent } from '#src/core/handoff/event.ts';
import { isOver } from '#src/core/handoff/state.ts';
import type { HandoffView } from '#src/protocol/handoffs.ts';

export type HandoffNews =
  | { readonly kind: 'event'; readonly event: HandoffEvent }
  /** How it stands; it is no event, and may come at any time. */
  | { readonly kind: 'standing'; readonly view: HandoffView }
  /** The last of all. */
  | { readonly kind: 'over'; readonly view: HandoffView };

export interface FollowOptions extends AbsenceOptions {
  /** Seq of the last event that is known; 0 for none. */
  readonly after: number;
}

/** A hub that is there says something far more often. */
const SILENT_MS = 45_000;
/** Of one event, in characters: more than the longest that the protocol lets through. */
const MAX_EVENT = 1 << 20;
/** Streams in a row that say nothing new before it is a fault. */
const MAX_FRUITLESS = 3;

/**
 * The events of a handoff, each once and in their order, to its end, however often the hub goes away in between. Throws
 * what the hub answers, OUTPUT_LOST where events are missing, and the reason of the signal.
 */
export async function* followHandoff(
  hub: Pick<HubApi, 'open' | 'ask'>,
  id: string,
  options: FollowOptions,
): AsyncGenerator<HandoffNews> {
  const { signal } = options;
  const away = absence(options);
  const path = `/handoffs/${encodeURIComponent(id)}`;
  let seq = options.after;
  let gaps = 0;

  async function* stream(): AsyncGenerator<HandoffNews> {
    const response = await hub.open('GET', `${path}/events?after=${seq}`, undefined, signal);
    // Of one that is not read any more nobody else hears how it ends.
    response.on('error', () => undefined);
    response.setTimeout(SILENT_MS, () => response.destroy());
    try {
      for await (const news of newsIn(response)) {
        away.end();
        if (news.kind === 'event') {
          // It was shown before: an end that was not heard of is told again.
          if (news.event.seq <= seq) continue;
          if (news.event.seq > seq + 1) throw missing(seq, news.event.seq);
          seq = news.event.seq;
          gaps = 0;
        }
        yield news;
        if (news.kind === 'event' && news.event.type === 'ended') return;
      }
    } finally {
      response.destroy();
    }
  }

  for (let fruitless = 0; ;) {
    const before = seq;
    try {
      yield* stream();
      const view = await hub.ask<HandoffView>('GET', path, undefined, signal);
      if (isOver(view.state) && view.seq <= seq) {
        yield { kind: 'over', view };
        return;
      }
      fruitless = seq === before ? fruitless + 1 : 0;
      if (isOver(view.state) && fruitless >= MAX_FRUITLESS) throw missing(seq, view.seq);
      await away.next(brokenOff());
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof Missing && ++gaps >= MAX_FRUITLESS) throw error;
      await away.next(error instanceof FederationError && !(error instanceof Missing) ? error : brokenOff(error));
    }
  }
}

class Missing extends FederationError {}

function missing(last: number, next: number): Missing {
  return new Missing('OUTPUT_LOST', `the hub has event ${next} of the handoff, and not those after ${last}`, {
    hint: 'look how it ended: manage-federation handoff show ID',
  });
}

function brokenOff(cause?: unknown): FederationError {
  return new FederationError('HUB_UNREACHABLE', 'the hub broke off', {
    hint: 'manage-federation status',
    ...(cause === undefined ? {} : { cause }),
  });
}

async function* newsIn(response: IncomingMessage): AsyncGenerator<HandoffNews> {
  const messages = ReadableStream.from(response as AsyncIterable<Buffer>)
    .pipeThrough(new TextDecoderStream())
    .pipeThrough(new EventSourceParserStream({ maxBufferSize: MAX_EVENT, onError: 'terminate' }));
  for await (const { event, data } of messages) {
    if (event === 'standing') yield { kind: 'standing', view: JSON.parse(data) as HandoffView };
    else if (event === undefined || event === 'message')
      yield { kind: 'event', event: JSON.parse(data) as HandoffEvent };
  }
}
