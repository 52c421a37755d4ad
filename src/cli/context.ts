import { homePath } from '#src/adapters/home.ts';
import type { HubClient } from '#src/adapters/hub.ts';
import { findHub } from '#src/adapters/hub.ts';

/** Flags that every command of manage-federation takes. */
export interface GlobalFlags {
  readonly home?: string;
  readonly json?: boolean;
  readonly yes?: boolean;
}

export function hubOf({ home }: GlobalFlags): Promise<HubClient> {
  return findHub(homePath(home));
}
