import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { processesIn, unifiedCgroups } from './cgroups.ts';
import type { Lab } from './lab.ts';
import type { Machine } from './machine.ts';

const LOOK_MS = 25;

export interface CommandLines {
  /** All that was seen since, one line for each. */
  seen(): Promise<string>;
}

/** Looks at the command line and environment of whatever runs in a machine, as root's `ps` there could. */
export function watchCommandLines(lab: Lab, machine: Machine): CommandLines {
  const cgroup = join(unifiedCgroups() ?? '', `${lab.run.id}-${machine.name}`);
  const lines = new Set<string>();
  const over = new AbortController();
  const watching = (async () => {
    while (!over.signal.aborted) {
      for (const pid of processesIn(cgroup)) for (const file of ['cmdline', 'environ']) lines.add(wordsOf(pid, file));
      await pause(LOOK_MS);
    }
  })();
  return {
    async seen() {
      over.abort();
      await watching;
      return [...lines].join('\n');
    },
  };
}

function wordsOf(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8').replaceAll('\0', ' ');
  } catch {
    // It has ended since it was listed.
    return '';
  }
}
