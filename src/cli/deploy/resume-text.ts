import type { DeployFlags } from '#src/cli/deploy/flags.ts';
import type { Role } from '#src/core/node.ts';
import { shellWord } from '#src/core/shell-word.ts';

/** What takes up a deployment that was cut off. */
export function resumeText(role: Role, { ssh, system, user, yes }: DeployFlags): string {
  const words = [
    'deploy-federation',
    role,
    '--resume',
    ...(ssh === undefined ? [] : ['--ssh', shellWord(ssh)]),
    ...(system === true ? ['--system'] : []),
    ...(user === true ? ['--user'] : []),
    ...(yes === true ? ['--yes'] : []),
  ];
  return words.join(' ');
}
