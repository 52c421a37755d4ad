import ms from 'ms';
import type { StringValue } from 'ms';
import { FederationError } from '#src/core/errors.ts';

/** What the help of a flag that takes a time says of it. */
export const TIMES = '30s, 15m, 1h; a bare number is seconds';

/** The hub's bound on the life of a token, and near its bound on a timeout: timers count 31 bits of milliseconds. */
const MAX_DAYS = {
  '--ttl': 30,
  '--timeout': 24,
  '--unseen': 3650,
  '--deadline': 24,
  '--idle-timeout': 24,
  '--queue-timeout': 24,
} as const;

/** An hour for what was not seen for long: in less a machine has not even been started anew. */
const MIN_SECONDS = {
  '--ttl': 1,
  '--timeout': 1,
  '--unseen': 3600,
  '--deadline': 1,
  '--idle-timeout': 1,
  '--queue-timeout': 1,
} as const;

/** Milliseconds of `90s`, `15m`, `2h`; a bare number is seconds. Throws USAGE. */
export function parseDuration(text: string, flag: keyof typeof MAX_DAYS): number {
  const [, count, unit] = /^(\d{1,9}(?:\.\d{1,3})?)\s*([a-z]{0,12})$/i.exec(text) ?? [];
  const value = unit === '' ? Number(count) * 1000 : ms(`${count}${unit}` as StringValue);
  if (value === undefined || !(value >= 1000)) {
    throw new FederationError('USAGE', `${flag}: ${JSON.stringify(text)} is not a time`, {
      hint: `${flag} ${flag === '--unseen' ? '30d' : '15m'}`,
    });
  }
  if (value < MIN_SECONDS[flag] * 1000) {
    throw new FederationError('USAGE', `${flag}: ${text} is under ${MIN_SECONDS[flag] / 3600} h`, {
      hint: `${flag} 30d`,
    });
  }
  if (value <= MAX_DAYS[flag] * 86_400_000) return Math.round(value / 1000) * 1000;
  throw new FederationError('USAGE', `${flag}: ${text} is over ${MAX_DAYS[flag]} days`, {
    hint: `${flag} ${MAX_DAYS[flag]}d`,
  });
}
