import type { Facts } from '#src/deploy/facts.ts';

/** A command that takes root, as the person types it: whoever came by sudo has to come by it again. */
export function asRoot({ login }: Pick<Facts, 'login'>, command: string): string {
  return isRootsShell(login) ? command : `sudo ${command}`;
}

/** A command about a deployment, which takes root where that is the whole machine's. */
export function asDeployer(facts: Pick<Facts, 'login' | 'place'>, command: string): string {
  return facts.place.scope === 'system' ? asRoot(facts, command) : command;
}

/** Whether what the person types next runs as root by itself. */
export function isRootsShell({ root, bySudo }: Facts['login']): boolean {
  return root && !bySudo;
}
