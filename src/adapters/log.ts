import { pino } from 'pino';
import { scrub } from '#src/core/secrets.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
type Details = Readonly<Record<string, unknown>>;

/** JSON lines with level, module, time and message. Details are plain values; secrets are cut from the text. */
export interface Log {
  debug(message: string, details?: Details): void;
  info(message: string, details?: Details): void;
  warn(message: string, details?: Details): void;
  error(message: string, details?: Details): void;
  child(module: string): Log;
}

export interface LogOptions {
  readonly level: LogLevel;
  readonly module: string;
  /** Takes whole lines; standard error where it is not given. */
  readonly write?: (line: string) => void;
}

export function createLog({ level, module, write = writeToStderr }: LogOptions): Log {
  const logger = pino(
    {
      level,
      base: null,
      messageKey: 'message',
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: (line: string) => write(scrub(line)) },
  );
  return wrap(logger, module);
}

/** A log that can't be written (its disk is full, its reader gone) is no reason for a daemon to end. */
function writeToStderr(line: string): void {
  if (process.stderr.listenerCount('error') === 0) process.stderr.on('error', () => undefined);
  process.stderr.write(line);
}

function wrap(root: pino.Logger, module: string): Log {
  const logger = root.child({ module });
  return {
    debug: (message, details = {}) => logger.debug(details, message),
    info: (message, details = {}) => logger.info(details, message),
    warn: (message, details = {}) => logger.warn(details, message),
    error: (message, details = {}) => logger.error(details, message),
    child: (inner) => wrap(root, inner),
  };
}
