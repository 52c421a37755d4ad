import { bootId } from '#src/adapters/boot-id.ts';
import type { Home } from '#src/adapters/home.ts';
import { gatewayRunner } from '#src/adapters/openclaw/agent-runner.ts';
import { openHandoffStore } from '#src/adapters/store/handoff-store.ts';
import { journalFile } from '#src/adapters/store/journal-file.ts';
import type { Settings } from '#src/core/settings.ts';
import type { NodeHandoffs, NodeHandoffsParts } from '#src/worker/handoffs/open.ts';
import { openNodeHandoffs } from '#src/worker/handoffs/open.ts';

type HandoffsWiring = Pick<NodeHandoffsParts, 'consent' | 'desk' | 'session' | 'links' | 'log' | 'signal'>;

/** What this node has to do with handoffs; null where its agents are to take none. */
export async function openHandoffs(
  home: Home,
  { handoffs, worker }: Settings,
  wiring: HandoffsWiring,
): Promise<NodeHandoffs | null> {
  if (!handoffs.enabled) return null;
  const { log } = wiring;
  const settingsFile = worker.tools.gatewaySettings;
  return openNodeHandoffs({
    ...wiring,
    settings: handoffs,
    store: await openHandoffStore(home.file('handoffs')),
    messages: journalFile(home.file('messages.ndjson')),
    runner: gatewayRunner({ settingsFile, log: log.child('gateway') }),
    bootId: await bootId(),
  });
}
