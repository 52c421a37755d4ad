import { FederationError } from '#src/core/errors.ts';
import type { Ran } from '#src/adapters/machine/machine.ts';

interface Failure {
  readonly pattern: RegExp;
  readonly problem: string;
  readonly hint: (target: string) => string;
}

/** What ssh says on standard error when it ends with 255, the more particular first (OpenSSH 8 to 10). */
const FAILURES: readonly Failure[] = [
  {
    pattern: /REMOTE HOST IDENTIFICATION HAS CHANGED|Offending .* key in/,
    problem: 'shows another host key than before',
    hint: (target) => `if the machine was set up anew: ssh-keygen -R HOST, then: ssh ${target}`,
  },
  {
    pattern: /Host key verification failed|No \S+ host key is known/,
    problem: 'has a host key that is not known here',
    hint: (target) => `compare its fingerprint and accept it once: ssh ${target}`,
  },
  {
    pattern: /Permission denied \(|Too many authentication failures|no mutual signature/,
    problem: 'does not let us in',
    hint: (target) => `make this work first: ssh ${target} (ssh-copy-id, or ssh-add)`,
  },
  {
    pattern: /Could not resolve hostname|Name or service not known/,
    problem: 'is a name that nobody knows',
    hint: () => 'check the name; in a tailnet: tailscale status',
  },
  {
    pattern: /timed out|Timeout, server/i,
    problem: 'does not answer in time',
    hint: (target) => `see that it is up and its port 22 open: ssh ${target}`,
  },
  {
    pattern: /Connection refused/,
    problem: 'has no ssh server at that port',
    hint: (target) => `start sshd there, or name the port: ssh://${target}:PORT`,
  },
  {
    pattern: /No route to host|Network is unreachable/,
    problem: 'can’t be reached from here',
    hint: () => 'see that both machines are on the network; in a tailnet: tailscale status',
  },
  {
    pattern:
      /Connection .*(?:closed|reset)|closed by remote host|Broken pipe|^mux_client|^ssh: |^kex_|banner exchange/m,
    problem: 'was lost on the way',
    hint: (target) => `see whether this works: ssh ${target}`,
  },
];

/** Throws MACHINE_UNREACHABLE where ssh itself has failed. */
export function checkSsh(target: string): (ran: Ran) => void {
  return ({ code, stderr }) => {
    if (code !== 255) return;
    const failure = FAILURES.find(({ pattern }) => pattern.test(stderr));
    // Programs may end with 255 too.
    if (failure === undefined && stderr !== '') return;
    throw new FederationError('MACHINE_UNREACHABLE', `${target} ${failure?.problem ?? 'can’t be reached by ssh'}`, {
      hint: failure?.hint(target) ?? `see whether this works: ssh ${target}`,
      cause: new Error(stderr),
    });
  };
}
