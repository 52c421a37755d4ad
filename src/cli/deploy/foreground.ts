import { once } from 'node:events';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { homePath } from '#src/adapters/home.ts';
import { say } from '#src/adapters/terminal.ts';
import type { DeployFlags } from '#src/cli/deploy/flags.ts';
import { leaveFirstProcess } from '#src/cli/deploy/first-process.ts';
import { givenToken } from '#src/cli/deploy/join-token.ts';
import { announcedStop, interrupted, manageText } from '#src/cli/deploy/local.ts';
import { FederationError } from '#src/core/errors.ts';
import type { HubAddress } from '#src/core/hub-address.ts';
import { hubAddressText } from '#src/core/hub-address.ts';
import type { Role } from '#src/core/node.ts';
import { startForeground } from '#src/deploy/children/foreground.ts';
import { findOpenClaw } from '#src/deploy/children/openclaw-program.ts';

/** `deploy-federation ROLE --foreground`: the daemons as children of this command, until it is told to stop. */
export async function foreground(role: Role, master: HubAddress | null, flags: DeployFlags): Promise<number> {
  leaveFirstProcess();
  const directory = foregroundHome(role, flags.home);
  const token = await givenToken(flags);
  const openclaw = flags.light === true ? null : await openclawIfThere();
  const signal = announcedStop();
  try {
    const running = await startForeground({
      role,
      directory,
      hub: master === null ? undefined : hubAddressText(master),
      name: flags.name,
      exec: flags.exec,
      commands: flags.commands,
      port: flags.port,
      tailnet: flags.tailscale !== false,
      token,
      openclaw,
      light: flags.light === true,
      progress: say,
      signal,
    });
    if (role === 'master') sayNext(directory);
    try {
      if (!signal.aborted) await Promise.race([running.failed, once(signal, 'abort')]);
    } finally {
      await running.stop();
    }
    say('stopped');
    return 0;
  } catch (error) {
    if (signal.aborted) return interrupted();
    throw error;
  }
}

/** `--home`, else OPENCLAW_FEDERATION_HOME, else where a deployment of that role has it. */
export function foregroundHome(role: Role, flag: string | undefined, environment = process.env): string {
  if (role === 'master' || flag !== undefined || environment['OPENCLAW_FEDERATION_HOME']) {
    return homePath(flag, environment);
  }
  return join(homedir(), '.openclaw-worker');
}

async function openclawIfThere(): Promise<string | null> {
  try {
    return await findOpenClaw(undefined);
  } catch (error) {
    if (!(error instanceof FederationError) || error.code !== 'OPENCLAW_MISSING') throw error;
    say('there is no program openclaw here: going on without it');
    return null;
  }
}

function sayNext(directory: string): void {
  const manage = manageText(directory);
  say('ready; in another terminal:');
  for (const words of ['token create', 'pending', 'list']) say(`  ${manage} ${words}`);
}
