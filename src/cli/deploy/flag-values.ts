import { InvalidArgumentError } from 'commander';
import { FederationError } from '#src/core/errors.ts';
import type { ExecMode } from '#src/deploy/wanted.ts';

/** From the widest to the narrowest. */
export const EXEC_MODES: readonly ExecMode[] = ['full', 'allowlist', 'off'];

/** Each takes what stands behind a flag and throws commander’s InvalidArgumentError for what can’t be meant. */
type FlagValue<T> = (text: string) => T;

export const portNumber: FlagValue<number> = (text) => {
  const port = Number(text);
  if (/^\d+$/.test(text) && port >= 1 && port <= 65_535) return port;
  throw new InvalidArgumentError('not a number from 1 to 65535');
};

export const userName: FlagValue<string> = (text) => {
  if (/^[A-Za-z0-9_][A-Za-z0-9_.-]*$/.test(text)) return text;
  throw new InvalidArgumentError('not the name of a user');
};

export const commandList: FlagValue<readonly string[]> = (text) => {
  const commands = text.split(',').map((word) => word.trim());
  if (commands.every((command) => /^[A-Za-z][A-Za-z0-9]*(?:\.[A-Za-z][A-Za-z0-9]*)*$/.test(command))) return commands;
  throw new InvalidArgumentError('not commands with commas between them, as system.run,system.which');
};

export const webAddress: FlagValue<string> = (text) => {
  const url = URL.parse(text);
  if (url !== null && ['http:', 'https:'].includes(url.protocol) && url.username === '' && url.password === '') {
    return text.replace(/\/+$/, '');
  }
  throw new InvalidArgumentError('not an http or https address without a password');
};

export const openclawVersion: FlagValue<string> = (text) => {
  if (/^\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?$/.test(text)) return text;
  throw new InvalidArgumentError('not a version, as 2026.9.6');
};

/** Only a person’s number is theirs for good: a name at Telegram can be given up, and be somebody else’s the next day. */
export const telegramIds: FlagValue<readonly string[]> = (text) => {
  const ids = text.split(',').map((word) => word.trim());
  for (const id of ids) {
    if (/^[1-9]\d{0,15}$/.test(id)) continue;
    const problem = /^-\d+$/.test(id) ? 'is a group of Telegram, not a person' : 'is no number of a person at Telegram';
    throw new FederationError('USAGE', `--telegram-allow: ${JSON.stringify(id)} ${problem}`, {
      hint: 'write to @userinfobot at Telegram: it answers with your number, as 123456789',
    });
  }
  return [...new Set(ids)];
};
