import type { HandoffEvent } from '#src/core/handoff/event.ts';
import type { HandoffCreate, HandoffView } from '#src/protocol/handoffs.ts';
import { eventually } from './eventually.ts';
import type { Federation } from './federation.ts';
import { open } from './http.ts';

let keys = 0;

export function handoffWish(wish: Partial<HandoffCreate> = {}): HandoffCreate {
  return { key: `key-${(keys += 1)}`, target: 'w1', task: 'count the files', ...wish };
}

export function hand(federation: Federation, wish: Partial<HandoffCreate> = {}): Promise<HandoffView> {
  return federation.post<HandoffView>('/handoffs', handoffWish(wish));
}

export function standingOf(federation: Federation, id: string): Promise<HandoffView> {
  return federation.get<HandoffView>(`/handoffs/${id}`);
}

/** As soon as it is in one of these states. */
export function untilState(
  federation: Federation,
  id: string,
  ...states: readonly HandoffView['state'][]
): Promise<HandoffView> {
  return eventually(`${id} is ${states.join(' or ')}`, async () => {
    const view = await standingOf(federation, id);
    return states.includes(view.state) ? view : undefined;
  });
}

/** Its events from there on, to the end of the stream. */
export async function eventsOf(federation: Federation, id: string, after = 0): Promise<readonly HandoffEvent[]> {
  const path = `/api/v1/handoffs/${id}/events?after=${after}`;
  const response = await open({ socketPath: federation.hub.operator, method: 'GET', path });
  let text = '';
  for await (const chunk of response) text += String(chunk);
  return eventsIn(text);
}

/** Of an event stream, without the standings. */
export function eventsIn(text: string): readonly HandoffEvent[] {
  return text
    .split('\n\n')
    .filter((frame) => frame.startsWith('id: '))
    .map((frame) => JSON.parse(frame.slice(frame.indexOf('data: ') + 6)) as HandoffEvent);
}
