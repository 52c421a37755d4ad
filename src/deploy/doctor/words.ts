import { asDeployer, asRoot } from '#src/deploy/as-root.ts';
import type { UnitName } from '#src/deploy/action.ts';
import type { Facts } from '#src/deploy/facts.ts';
import type { Scope } from '#src/deploy/place.ts';
import type { Wanted } from '#src/deploy/wanted.ts';
import { hubAddressText } from '#src/core/hub-address.ts';
import { shellWord } from '#src/core/shell-word.ts';

/** `sudo systemctl restart openclaw-worker`, or `systemctl --user …`. */
export function systemctl(facts: Facts, words: string, { name, scope }: UnitName): string {
  const short = shellWord(name.replace(/\.service$/, ''));
  return scope === 'user' ? `systemctl --user ${words} ${short}` : asRoot(facts, `systemctl ${words} ${short}`);
}

/** Makes systemd read its files again. */
export function reload(facts: Facts, scope: Scope): string {
  return scope === 'user' ? 'systemctl --user daemon-reload' : asRoot(facts, 'systemctl daemon-reload');
}

/** Shows what a unit last said. */
export function journal(facts: Facts, { name, scope }: UnitName): string {
  const short = shellWord(name.replace(/\.service$/, ''));
  return scope === 'user' ? `journalctl --user -u ${short} -n 50` : asRoot(facts, `journalctl -u ${short} -n 50`);
}

/** The command that deploys this machine as it was deployed; `program` is which of ours does it. */
export function deployAgain(facts: Facts, { role, master }: Wanted, program = 'deploy-federation'): string {
  const command = `${program} ${role}`;
  const full = master === null ? command : `${command} ${hubAddressText(master)}`;
  return asDeployer(facts, full);
}

/** `512 MiB`, `76.8 GiB`. */
export function sizeText(bytes: number): string {
  return bytes < 1 << 30 ? `${Math.round(bytes / (1 << 20))} MiB` : `${(bytes / (1 << 30)).toFixed(1)} GiB`;
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** `42 s`, `3 min`, `5 h`, `12 d`. */
export function spanText(ms: number): string {
  const span = Math.abs(ms);
  if (span < 2 * MINUTE) return `${Math.round(span / SECOND)} s`;
  if (span < 2 * HOUR) return `${Math.round(span / MINUTE)} min`;
  return span < 2 * DAY ? `${Math.round(span / HOUR)} h` : `${Math.round(span / DAY)} d`;
}
