import { FederationError } from '#src/core/errors.ts';
import type { Facts } from '#src/deploy/facts.ts';
import { linkIn } from '#src/deploy/facts.ts';
import { machineNode } from '#src/deploy/plan/node.ts';
import type { Wanted } from '#src/deploy/wanted.ts';

/** The release with its Node, twice: an update lays the new one beside the old. */
const RELEASE_BYTES = 500 << 20;
/** Measured with OpenClaw 2026.9.6: 0.8 GB installed, and what npm keeps while it installs. */
const OPENCLAW_BYTES = 1400 << 20;
const ARCHITECTURES = ['x64', 'arm64'];

/** Throws MACHINE_UNSUPPORTED or DISK_FULL where a deployment could not end well. */
export function checkMachine(facts: Facts, wanted: Wanted): void {
  const { machine, systemd } = facts;
  if (machine.platform !== 'linux') {
    throw unsupported(`${machine.platform} has no systemd`, 'run the daemon itself: --foreground');
  }
  if (machineNode(facts) === null && (!ARCHITECTURES.includes(machine.arch) || machine.libc !== 'glibc')) {
    const what = machine.libc === 'glibc' ? machine.arch : `${machine.arch} with ${machine.libc}`;
    throw unsupported(
      `there is no Node of ours for ${what}`,
      'install Node.js 24.16 or newer there, then run this again',
    );
  }
  if (!systemd.system) throw unsupported('systemd does not run there', 'run the daemon itself: --foreground');
  checkSpace(facts, wanted);
}

function checkSpace(facts: Facts, { light }: Wanted): void {
  const { machine, place, openclaw } = facts;
  const release = linkIn(facts, place.current) === null ? RELEASE_BYTES : 0;
  const needed = release + (light || openclaw !== null ? 0 : OPENCLAW_BYTES);
  if (machine.freeBytes >= needed) return;
  throw new FederationError(
    'DISK_FULL',
    `${place.prefix} needs ${megabytes(needed)}, ${megabytes(machine.freeBytes)} are free`,
    {
      hint: light ? 'make room' : 'make room, or go without OpenClaw: --light',
    },
  );
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / (1 << 20))} MiB`;
}

function unsupported(message: string, hint: string): FederationError {
  return new FederationError('MACHINE_UNSUPPORTED', message, { hint });
}
