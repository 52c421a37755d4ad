import { dirname, join } from 'node:path/posix';
import type { Person } from '#src/adapters/machine/machine.ts';
import { SETTINGS_FILE } from '#src/adapters/settings-file.ts';

/** Whether units and programs are the whole machine's, or one person's. */
export type Scope = 'system' | 'user';

/** Where everything of a deployment is on a machine. */
export interface Place {
  readonly scope: Scope;
  /** Our programs, and what deploy remembers. */
  readonly prefix: string;
  /** Points to the release that runs. */
  readonly current: string;
  /** Where the commands are put on PATH. */
  readonly commands: string;
  /** The launchers of the release that runs. */
  readonly bin: string;
  /** OpenClaw, where deploy installs it: an npm prefix. */
  readonly openclaw: string;
  /** What was done and how it was before. */
  readonly record: string;
  readonly backups: string;
  readonly units: string;
  /** The user that the hub runs as; null: the person. */
  readonly hubUser: string | null;
  readonly hubHome: string;
  readonly hubSettings: string;
  /** The gateway's, for the hub. */
  readonly gatewayToken: string;
  /** Rules for approval, which are in force under another name. */
  readonly policyExample: string;
  readonly workerHome: string;
  readonly workerSettings: string;
  /** The id of the hub that has admitted the worker. */
  readonly hubPin: string;
  readonly joinToken: string;
  /** The person's OpenClaw: settings and state. */
  readonly openclawState: string;
  readonly openclawSettings: string;
  /** Where OpenClaw puts links to the skills of its plugins: it makes all that is in it, and makes it anew. */
  readonly openclawPluginSkills: string;
  /** The token of a Telegram bot, for the gateway. */
  readonly telegramToken: string;
  /** Our plugin for the gateway, in the release that runs. */
  readonly plugin: string;
}

/** Package name: the folder of a release that holds it. */
const PACKAGE = 'openclaw-federation';

/** The folder of a release that is our plugin for OpenClaw. */
export const PLUGIN_FOLDER = 'plugin';

/** Those that a person types. */
export const COMMANDS = ['manage-federation', 'deploy-federation', 'auto-register'] as const;

/** Where root deploys. */
export const SYSTEM_PREFIX = `/opt/${PACKAGE}`;

export function placeOf(scope: Scope, person: Person): Place {
  const { home } = person;
  const system = scope === 'system';
  const prefix = system ? SYSTEM_PREFIX : join(home, '.local/share', PACKAGE);
  const current = join(prefix, 'current');
  const hubHome = system ? `/var/lib/${PACKAGE}` : join(home, `.${PACKAGE}`);
  const workerHome = join(home, '.openclaw-worker');
  const openclawState = join(home, '.openclaw');
  return {
    scope,
    prefix,
    current,
    commands: system ? '/usr/local/bin' : join(home, '.local/bin'),
    bin: join(current, 'node_modules', PACKAGE, 'bin'),
    openclaw: join(prefix, 'openclaw'),
    record: join(prefix, 'deployment/record.json'),
    backups: join(prefix, 'deployment/backups'),
    units: system ? '/etc/systemd/system' : join(home, '.config/systemd/user'),
    hubUser: system ? PACKAGE : null,
    hubHome,
    hubSettings: join(hubHome, SETTINGS_FILE),
    gatewayToken: join(hubHome, 'gateway-token'),
    policyExample: join(hubHome, 'approval-policy.example.yaml'),
    workerHome,
    workerSettings: join(workerHome, SETTINGS_FILE),
    hubPin: join(workerHome, 'hub'),
    joinToken: join(workerHome, 'join-token'),
    openclawState,
    openclawSettings: join(openclawState, 'openclaw.json'),
    openclawPluginSkills: join(openclawState, 'plugin-skills'),
    telegramToken: join(openclawState, 'telegram-bot-token'),
    plugin: join(current, PLUGIN_FOLDER),
  };
}

/** Where it is remembered what the person deployed without root. */
export function ownDeployment({ workerHome }: Pick<Place, 'workerHome'>): string {
  return join(dirname(workerHome), '.local/share', PACKAGE, 'deployment');
}

/** Whether a path is in the home of the hub or of the worker. */
export function holdsData({ path }: { readonly path: string }, { hubHome, workerHome }: Place): boolean {
  return [hubHome, workerHome].some((home) => `${path}/`.startsWith(`${home}/`));
}
