import { ReadableStream, TextDecoderStream } from 'node:stream/web';
import { EventSourceParserStream } from 'eventsource-parser/stream';
import type { PolicyStatus } from '#src/protocol/hub-api/judgement.ts';
import type { PairingRequestView } from '#src/protocol/hub-api/pairing-request.ts';

export type HubEvent =
  | { readonly name: 'pairing-request'; readonly data: PairingRequestView }
  | { readonly name: 'policy'; readonly data: PolicyStatus }
  | { readonly name: 'node'; readonly data: { readonly id: string } };

const NAMES: ReadonlySet<string | undefined> = new Set<HubEvent['name']>(['pairing-request', 'policy', 'node']);

/** Of one event, in characters; the hub writes none that comes near it. */
const MAX_EVENT = 1 << 20;

/** The events in a stream of `text/event-stream`; comments and events of other names are left out. */
export async function* eventsIn(stream: AsyncIterable<Buffer>): AsyncGenerator<HubEvent> {
  const messages = ReadableStream.from(stream)
    .pipeThrough(new TextDecoderStream())
    .pipeThrough(new EventSourceParserStream({ maxBufferSize: MAX_EVENT }));
  for await (const { event, data } of messages) {
    if (NAMES.has(event)) yield { name: event, data: JSON.parse(data) as unknown } as HubEvent;
  }
}
