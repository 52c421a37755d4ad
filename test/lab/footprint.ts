import type { Machine } from './machine.ts';
import { startTimes } from './unit-state.ts';

/** What deploying writes, and nothing that a daemon writes for itself. */
const PATHS = [
  '/opt/openclaw-federation',
  '/usr/local/bin',
  '/etc/systemd/system',
  '/etc/passwd',
  '/var/lib/openclaw-federation/settings.yaml',
  '/var/lib/openclaw-federation/gateway-token',
  '/home/claw/.openclaw-worker/settings.yaml',
  '/home/claw/.openclaw/openclaw.json',
];

/** Whatever was written anew, by inode and time, or started anew, shows in this. */
export async function footprintOf(machine: Machine): Promise<readonly string[]> {
  const script = 'for path; do [ ! -e "$path" ] || find "$path" -printf "%p %y %m %u %i %T@ %C@ %l\\n"; done';
  const files = (await machine.succeed(['sh', '-ec', script, 'sh', ...PATHS])).split('\n').filter(Boolean);
  const starts = [...(await startTimes(machine))].map(([unit, time]) => `${unit} ${time}`);
  return [...files.toSorted(), ...starts];
}
