import type { Duplex, Readable } from 'node:stream';
import type { HubAddress } from '#src/core/hub-address.ts';

/** A person of a machine, as its user database has them. */
export interface Person {
  readonly name: string;
  readonly uid: number;
  readonly group: string;
  readonly home: string;
}

export interface Command {
  readonly argv: readonly [string, ...string[]];
  /** `login`: whoever we are there; `root` asks sudo where that is somebody else. */
  readonly as: 'login' | 'root' | Person;
  /** Standard input; none means that it is at its end. */
  readonly input?: string | Readable;
  /** Set for the command alone. It is seen in `ps`: never a secret. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Takes each line of output as it comes, for progress. */
  readonly onLine?: (line: string) => void;
  readonly signal: AbortSignal;
}

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Where a deployment does its work: this machine, or another one that ssh reaches. */
export interface Machine {
  /** For people: `this machine`, or what ssh was given. */
  readonly name: string;
  /** Whether it is the machine that this runs on. */
  readonly isLocal: boolean;
  /**
   * Runs a program to its end, whatever its exit code. Throws MACHINE_UNREACHABLE, SUDO_REFUSED, PROGRAM_MISSING, and
   * the signal's reason when it is aborted: the program has ended then.
   */
  run(command: Command): Promise<Ran>;
  /** A TCP connection from there. Throws HUB_UNREACHABLE. */
  connect(to: HubAddress, signal: AbortSignal): Promise<Duplex>;
  close(): Promise<void>;
}
