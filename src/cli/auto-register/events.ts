import type { PairingRequestView, PolicyStatus } from '#src/protocol/hub-api.ts';

export type HubEvent =
  | { readonly name: 'pairing-request'; readonly data: PairingRequestView }
  | { readonly name: 'policy'; readonly data: PolicyStatus };

/** The events of a stream of `text/event-stream` as the hub writes it; comments and events of other names are left out. */
export async function* eventsIn(stream: AsyncIterable<Buffer>): AsyncGenerator<HubEvent> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of stream) {
    const blocks = (rest + decoder.decode(chunk, { stream: true })).split('\n\n');
    rest = blocks.pop() ?? '';
    for (const block of blocks) {
      const [, name, data] = /^event: (pairing-request|policy)\ndata: (.+)$/.exec(block) ?? [];
      if (name !== undefined && data !== undefined) yield { name, data: JSON.parse(data) as unknown } as HubEvent;
    }
  }
}
