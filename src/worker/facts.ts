import type { NodeFacts } from '#src/core/node.ts';
import type { Settings } from '#src/core/settings.ts';

export interface Versions {
  readonly own: string;
  /** Null where it can't be told. */
  readonly openclaw: string | null;
}

/** What a node says of itself. Of OpenClaw it speaks only where it runs its node host. */
export function factsOf(name: string, { role, worker, nodeHost }: Settings, { own, openclaw }: Versions): NodeFacts {
  const hasNodeHost = nodeHost.enabled;
  return {
    name,
    role,
    version: own,
    platform: process.platform,
    arch: process.arch,
    offers: [...(worker.exec.mode === 'off' ? [] : ['exec']), ...(hasNodeHost ? ['node-host'] : [])],
    openclaw: hasNodeHost ? openclaw : null,
    commands: hasNodeHost ? nodeHost.commands : [],
  };
}
