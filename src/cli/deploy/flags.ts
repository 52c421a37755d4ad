import { FederationError } from '#src/core/errors.ts';
import type { Role } from '#src/core/node.ts';
import type { ExecMode } from '#src/deploy/wanted.ts';

/** What `deploy-federation master|worker|hybrid` takes; values are checked one by one where they are parsed. */
export interface DeployFlags {
  readonly name?: string;
  readonly tokenFile?: string;
  readonly token?: string;
  readonly ssh?: string;
  readonly system?: boolean;
  readonly user?: boolean;
  readonly runAs?: string;
  readonly light?: boolean;
  readonly keepGateway?: boolean;
  readonly useModels?: boolean;
  readonly exec?: ExecMode;
  readonly commands?: readonly string[];
  readonly port?: number;
  readonly telegramTokenFile?: string;
  readonly telegramAllow?: readonly string[];
  readonly openclawVersion?: string;
  readonly authKeyFile?: string;
  readonly loginServer?: string;
  readonly tailscaleBaseUrl?: string;
  /** False for --no-tailscale; commander says true where it wasn't given. */
  readonly tailscale?: boolean;
  readonly dryRun?: boolean;
  readonly json?: boolean;
  readonly yes?: boolean;
  readonly resume?: boolean;
  readonly foreground?: boolean;
  readonly home?: string;
}

type Flag = keyof DeployFlags;

/** Flags that can't stand together, with what to do instead. */
const CONFLICTS: readonly (readonly [Flag, Flag, string])[] = [
  ['system', 'user', 'choose one of them'],
  ['token', 'tokenFile', 'choose one of them; --token-file keeps the token out of sight'],
  ['light', 'commands', '--commands is for OpenClaw’s node host, which --light leaves out'],
  ['light', 'telegramTokenFile', 'leave --light out: it is OpenClaw’s gateway that talks to Telegram'],
  ['telegramTokenFile', 'foreground', 'set Telegram up in the gateway’s own openclaw.json'],
  ['useModels', 'foreground', 'write it in the gateway’s own openclaw.json: docs/models.md'],
  ['ssh', 'foreground', 'run it on that machine: ssh -t USER@HOST deploy-federation … --foreground'],
  ['dryRun', 'foreground', 'leave --dry-run out: --foreground changes nothing but its own --home'],
  ['system', 'foreground', 'leave --system out: --foreground makes no units'],
  ['user', 'foreground', 'leave --user out: --foreground makes no units'],
  ['runAs', 'foreground', 'start it as that user'],
  ['resume', 'foreground', 'leave --resume out: the folder of --home is taken up where it was'],
  ['authKeyFile', 'foreground', 'bring the machine into the tailnet first'],
  ['loginServer', 'foreground', 'bring the machine into the tailnet first'],
  ['tailscaleBaseUrl', 'foreground', 'bring the machine into the tailnet first'],
  ['openclawVersion', 'foreground', 'install that OpenClaw first'],
];

/** Throws USAGE where flags contradict each other or don't fit the role. */
export function checkFlags(role: Role, flags: DeployFlags): void {
  for (const [one, other, hint] of CONFLICTS) {
    if (isGiven(flags, one) && isGiven(flags, other)) throw together(one, other, hint);
  }
  if (flags.tailscale === false) {
    for (const other of ['authKeyFile', 'loginServer', 'tailscaleBaseUrl'] as const) {
      if (isGiven(flags, other)) throw together('tailscale', other, 'leave one of them out');
    }
  }
  if ((flags.telegramTokenFile === undefined) !== (flags.telegramAllow === undefined)) {
    const [given, missing] =
      flags.telegramAllow === undefined
        ? ['--telegram-token-file', '--telegram-allow ID, with the number of who may write to the bot']
        : ['--telegram-allow', '--telegram-token-file FILE, with the token of the bot'];
    throw wrong(`${given} alone is not enough`, `add ${missing}`);
  }
  if (role === 'hybrid' && flags.keepGateway === true) {
    throw wrong('--keep-gateway is for a worker', 'leave it out: a hybrid always keeps its own gateway');
  }
  if (flags.home !== undefined && flags.foreground !== true) {
    throw wrong('--home is for --foreground', 'leave it out: a deployment has folders of its own');
  }
}

export function isGiven(flags: DeployFlags, flag: Flag): boolean {
  return flags[flag] !== undefined && flags[flag] !== (flag === 'tailscale');
}

function together(one: Flag, other: Flag, hint: string): FederationError {
  return wrong(`${flagText(one)} and ${flagText(other)} don’t go together`, hint);
}

/** `tokenFile` as it is typed: `--token-file`. */
function flagText(flag: Flag): string {
  if (flag === 'tailscale') return '--no-tailscale';
  return `--${flag.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

function wrong(message: string, hint: string): FederationError {
  return new FederationError('USAGE', message, { hint });
}
