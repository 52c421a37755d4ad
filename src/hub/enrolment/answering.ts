import type { Gateway } from '#src/adapters/openclaw/gateway.ts';

/** Whether the commands of node hosts do more than stand in a list: each is asked once while it is connected. */
export interface Answering {
  /** Why the node host does not answer `system.which`; null where it does. A failure is asked again the next time. */
  silence(deviceId: string): Promise<string | null>;
}

const ANSWER_MS = 10_000;

/** What was asked is forgotten with the connection that it was asked on, until `signal`. */
export function createAnswering(
  gateway: Pick<Gateway, 'nodes' | 'invoke' | 'onChange'>,
  signal: AbortSignal,
): Answering {
  const asked = new Map<string, Promise<string | null>>();

  const forget = gateway.onChange(() => {
    const nodes = gateway.nodes();
    for (const deviceId of asked.keys()) if (nodes.get(deviceId)?.connected !== true) asked.delete(deviceId);
  });
  signal.addEventListener('abort', forget, { once: true });

  async function ask(deviceId: string): Promise<string | null> {
    try {
      await gateway.invoke(deviceId, 'system.which', { bins: ['sh'] }, ANSWER_MS);
      return null;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  return {
    async silence(deviceId) {
      const asking = asked.get(deviceId) ?? ask(deviceId);
      asked.set(deviceId, asking);
      const problem = await asking;
      if (problem !== null && asked.get(deviceId) === asking) asked.delete(deviceId);
      return problem;
    },
  };
}
