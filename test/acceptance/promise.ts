/** What the four systems before this one promised, and how that is kept. */
export interface Kept {
  /** Letter of the system, and number of the promise: `F-01`. */
  readonly row: string;
  readonly promise: string;
  readonly proof: Proof;
}

/** Parts of the product that are still to come, and answer what is open. */
export type Part = 'api' | 'chat' | 'documents' | 'handoff' | 'leadership' | 'models' | 'tasks';

/** A decision says what stands in the place of a promise, and why. With a test it says in what way that proves it. */
export type Proof =
  | { readonly test: string; readonly name: string; readonly decision?: string }
  | { readonly decision: string }
  /** Not met yet. `test` and `name`: where the proof is expected. */
  | { readonly open: Part; readonly test?: string; readonly name?: string; readonly decision?: string };

const LAB = 'test/lab/deploy.test.ts';

/** Titles of the tests on machines that are deployed for it. */
export const IN_LAB = {
  master: 'a master is deployed by one command, and ends with its address and what to do next',
  light: 'a light worker joins by one command and a token',
  worker: 'a worker with OpenClaw joins, and the gateway that it had is stopped',
  hybrid: 'a hybrid joins, and its own gateway is as it was',
  ssh: 'one command on the master adds a machine by ssh',
  approval: 'a worker without a token waits, and says what to run on the master',
  again: 'a second run changes nothing, and says so',
  reboot: 'every node is back by itself after a reboot',
  partition: 'a node that the tailnet lost is noticed, and comes back',
  update: 'a newer version takes the place of an older one, and is taken back',
  journal: 'the journal of each unit tells what its daemon did',
  uninstall: 'uninstall leaves exactly what was there before',
  units: 'the units are hardened as far as their work allows',
} as const;

/** A promise that the lab proves. */
export function inLab(name: keyof typeof IN_LAB, decision?: string): Proof {
  return { test: LAB, name: IN_LAB[name], ...(decision === undefined ? {} : { decision }) };
}

/** A promise that daemons keep where no systemd runs. */
export function inForeground(decision: string): Proof {
  return {
    test: 'test/lab/people.test.ts',
    name: 'a worker runs in the foreground where there is no systemd',
    decision,
  };
}
