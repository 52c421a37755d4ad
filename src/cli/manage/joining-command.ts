import type { Role } from '#src/core/node.ts';
import { shellWord } from '#src/core/shell-word.ts';
import type { Status } from '#src/protocol/hub-api/status.ts';

export interface JoiningCommand {
  readonly where: string;
  /** Lines for sh, bash and zsh. The token stands in none of their arguments: others could read those. */
  readonly command: string;
}

/** What brings a machine in by a token, from where the hub can be reached: the tailnet, or only this machine. */
export function joiningCommand(
  token: string,
  { name, role }: { readonly name?: string; readonly role?: Role },
  { listening, tailnet }: Pick<Status, 'listening' | 'tailnet'>,
): JoiningCommand {
  const named = name === undefined ? '' : ` --name ${name}`;
  const [, ...places] = listening;
  const beyond = places.find((place) => !/^(?:127\.|\[::1\])/.test(place));
  if (beyond === undefined) {
    const home = `~/${name ?? 'federation-worker'}`;
    const file = `mkdir -p -m 700 ${home} && (umask 077 && cat > ${home}/join-token)`;
    const environment = role === undefined || role === 'worker' ? '' : `OPENCLAW_FEDERATION_ROLE=${role} `;
    const daemon = `${environment}federation-worker --home ${home}${named} --hub ${places[0] ?? ''}`;
    return { where: 'on this machine', command: withInput(file, token, ` && ${daemon}`) };
  }
  const port = beyond.slice(beyond.lastIndexOf(':'));
  const hub = tailnet.dnsName === null ? beyond : `${tailnet.dnsName}${port === ':19000' ? '' : port}`;
  // It can't ask on the terminal: its input is the token. sudo asks there all the same.
  const deploy = `sudo deploy-federation ${role ?? 'worker'} ${shellWord(hub)}${named} --yes --token-file -`;
  return { where: 'on the other machine, where it deploys without asking', command: withInput(deploy, token) };
}

/** The delimiter is quoted: the shell looks for nothing in the text. */
function withInput(command: string, token: string, after = ''): string {
  return `${command} <<'END'${after}\n${token}\nEND`;
}
