import { readFile } from 'node:fs/promises';
import { uptime } from 'node:os';

/** Changes with every boot of the machine: no process of an older boot can still be there. */
export async function bootId(): Promise<string> {
  try {
    return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
  } catch {
    // Where the kernel gives none, the minute of the boot tells two boots apart.
    return `boot-${Math.round((Date.now() / 1000 - uptime()) / 60)}`;
  }
}
