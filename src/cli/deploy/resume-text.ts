import type { DeployFlags } from '#src/cli/deploy/flags.ts';
import { masterText } from '#src/cli/deploy/master-address.ts';
import type { HubAddress } from '#src/core/hub-address.ts';
import type { Role } from '#src/core/node.ts';
import { shellWord } from '#src/core/shell-word.ts';

type MachineFlags = Pick<DeployFlags, 'ssh' | 'system' | 'user' | 'yes'>;

/**
 * What takes up a deployment that was cut off. By ssh with all that was said: what the other machine remembers of it
 * is its own word.
 */
export function resumeText(role: Role, flags: DeployFlags, master: HubAddress | null): string {
  const word = flags.ssh === undefined || master === null ? [] : [shellWord(masterText(master))];
  const { tokenFile, telegramTokenFile, telegramAllow } = flags;
  const wishes = wishWords(flags.ssh === undefined ? { tokenFile, telegramTokenFile, telegramAllow } : flags);
  return commandText([role, ...word, '--resume', ...wishes], flags);
}

/** A command of ours as the person has to type it once more, for the same machine. */
export function commandText(command: readonly string[], { ssh, system, user, yes }: MachineFlags): string {
  // Whoever came by sudo has to come by it again.
  const isBySudo = ssh === undefined && process.env['SUDO_USER'] !== undefined;
  const words = [
    ...(isBySudo ? ['sudo'] : []),
    'deploy-federation',
    ...command,
    ...(ssh === undefined ? [] : ['--ssh', shellWord(ssh)]),
    ...(system === true ? ['--system'] : []),
    ...(user === true ? ['--user'] : []),
    ...(yes === true ? ['--yes'] : []),
  ];
  return words.join(' ');
}

/** The wishes among the flags as they were typed; a token itself is never said again. */
function wishWords(flags: { readonly [K in keyof DeployFlags]: DeployFlags[K] | undefined }): string[] {
  const { name, tokenFile, runAs, exec, commands, port, telegramTokenFile, telegramAllow, openclawVersion } = flags;
  const { authKeyFile, loginServer, tailscaleBaseUrl, light, keepGateway, useModels, tailscale } = flags;
  const values: Record<string, string | number | undefined> = {
    '--name': name,
    '--token-file': tokenFile,
    '--run-as': runAs,
    '--exec': exec,
    '--commands': commands?.join(','),
    '--port': port,
    '--telegram-token-file': telegramTokenFile,
    '--telegram-allow': telegramAllow?.join(','),
    '--openclaw-version': openclawVersion,
    '--auth-key-file': authKeyFile,
    '--login-server': loginServer,
    '--tailscale-base-url': tailscaleBaseUrl,
  };
  return [
    ...Object.entries(values).flatMap(([flag, value]) => (value === undefined ? [] : [flag, shellWord(String(value))])),
    ...(light === undefined ? [] : [light ? '--light' : '--no-light']),
    ...(keepGateway === undefined ? [] : [keepGateway ? '--keep-gateway' : '--no-keep-gateway']),
    ...(useModels === undefined ? [] : [useModels ? '--use-models' : '--no-use-models']),
    ...(tailscale === false ? ['--no-tailscale'] : []),
  ];
}
