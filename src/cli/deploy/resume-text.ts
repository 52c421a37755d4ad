import type { DeployFlags } from '#src/cli/deploy/flags.ts';
import type { Role } from '#src/core/node.ts';
import { shellWord } from '#src/core/shell-word.ts';

type MachineFlags = Pick<DeployFlags, 'ssh' | 'system' | 'user' | 'yes'>;

/** What takes up a deployment that was cut off. */
export function resumeText(role: Role, flags: MachineFlags & Pick<DeployFlags, 'tokenFile'>): string {
  const { tokenFile } = flags;
  const token = tokenFile === undefined ? [] : ['--token-file', shellWord(tokenFile)];
  return commandText([role, '--resume', ...token], flags);
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
