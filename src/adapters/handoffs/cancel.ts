import type { AbsenceOptions } from '#src/adapters/handoffs/absence.ts';
import { absence } from '#src/adapters/handoffs/absence.ts';
import type { HubApi } from '#src/adapters/hub-api.ts';
import type { HandoffView } from '#src/protocol/handoffs.ts';

/**
 * Asks for the end of a handoff, again where the hub is away just then: it is the same however often. Resolves when the
 * hub knows it; the end itself comes later. Throws what the hub answers, and the reason of the signal.
 */
export async function cancelHandoff(
  hub: Pick<HubApi, 'ask'>,
  id: string,
  options: AbsenceOptions,
): Promise<HandoffView> {
  const away = absence(options);
  for (;;) {
    try {
      return await hub.ask<HandoffView>('DELETE', `/handoffs/${encodeURIComponent(id)}`, undefined, options.signal);
    } catch (error) {
      await away.next(error);
    }
  }
}
