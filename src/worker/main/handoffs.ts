import { join } from 'node:path';
import { bootId } from '#src/adapters/boot-id.ts';
import type { Home } from '#src/adapters/home.ts';
import { gatewayRunner } from '#src/adapters/openclaw/agent-runner.ts';
import { foreignRunner } from '#src/adapters/a2a/foreign-runner.ts';
import { openHandoffStore } from '#src/adapters/store/handoff-store.ts';
import { journalFile } from '#src/adapters/store/journal-file.ts';
import type { HubAddress } from '#src/core/hub-address.ts';
import type { Settings } from '#src/core/settings.ts';
import type { AgentRunner } from '#src/core/handoff/runner.ts';
import { joinRunners } from '#src/worker/handoffs/runners.ts';
import { openHandoffDoor } from '#src/worker/handoffs/door.ts';
import type { NodeHandoffs, NodeHandoffsParts } from '#src/worker/handoffs/open.ts';
import { openNodeHandoffs } from '#src/worker/handoffs/open.ts';

type HandoffsWiring = Pick<NodeHandoffsParts, 'consent' | 'desk' | 'session' | 'links' | 'log' | 'signal'> & {
  readonly hub: HubAddress;
};

/** By which the plugin of this node's own gateway hands on a part of what an agent works on. */
const DOOR = 'handoffs.sock';

/** What this node has to do with handoffs; null where its agents are to take none. */
export async function openHandoffs(
  home: Home,
  { handoffs, worker }: Settings,
  wiring: HandoffsWiring,
): Promise<NodeHandoffs | null> {
  if (!handoffs.enabled) return null;
  const { log } = wiring;
  const settingsFile = worker.tools.gatewaySettings;
  const opened = await openNodeHandoffs({
    ...wiring,
    settings: handoffs,
    store: await openHandoffStore(home.file('handoffs')),
    messages: journalFile(home.file('messages.ndjson')),
    runner: runnerOf(home, handoffs, gatewayRunner({ settingsFile, log: log.child('gateway') })),
    bootId: await bootId(),
  });
  const closeDoor = await openHandoffDoor({
    ...wiring,
    path: home.file(DOOR),
    isWorking: (id) => opened.working(id) !== null,
  }).catch((error: unknown) => {
    log.warn('no agent here can hand on a part of its work', { problem: String(error) });
    return () => Promise.resolve();
  });
  return {
    ...opened,
    async close() {
      await closeDoor();
      await opened.close();
    },
  };
}

function runnerOf(home: Home, { foreign }: Settings['handoffs'], own: AgentRunner): AgentRunner {
  if (foreign.length === 0) return own;
  const others = foreignRunner({
    agents: foreign,
    home: home.path,
    tasks: home.file('foreign-tasks'),
    out: (key) => join(home.file('handoffs'), key, 'out'),
  });
  return joinRunners(
    own,
    others,
    foreign.map(({ id }) => id),
  );
}
