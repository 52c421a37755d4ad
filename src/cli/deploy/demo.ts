import { homedir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { execa } from 'execa';
import { say } from '#src/adapters/terminal.ts';
import { shellWord } from '#src/core/shell-word.ts';
import {
  announcedStop,
  interrupted,
  localDirectory,
  manageText,
  stay,
  startFederation,
} from '#src/cli/deploy/local.ts';
import { FederationError } from '#src/core/errors.ts';

export interface DemoFlags {
  readonly dir?: string;
  /** Ends by itself after the tour. */
  readonly once?: boolean;
  readonly openclaw?: string | false;
}

/** What the tour shows, as a person would type it. */
const TOUR: readonly (readonly string[])[] = [
  ['status'],
  ['list'],
  ['exec', 'w1', '--', 'uname', '-a'],
  ['exec', 'w2', 'for n in 1 2 3; do echo line $n; sleep 0.3; done'],
  ['broadcast', 'echo "$(hostname) has been up since $(uptime -s 2>/dev/null || uptime)"'],
];

/** `deploy-federation demo`: a whole federation on this machine, and a tour of it. */
export async function demo(flags: DemoFlags): Promise<number> {
  const directory = localDirectory(flags.dir ?? join(homedir(), '.openclaw-federation-demo'));
  const signal = announcedStop();
  try {
    const federation = await startFederation(directory, { workers: 3, ...flags }, say, signal);
    let shown = false;
    try {
      await tour(federation.home, signal);
      shown = true;
    } finally {
      if (shown && flags.once === true && !signal.aborted) say('\nstopping');
      if (!shown || flags.once === true) await federation.stop();
    }
    if (flags.once === true) {
      say('the demo is over; everything is stopped');
      return 0;
    }
    say('');
    await stay(federation, signal);
    return 0;
  } catch (error) {
    if (signal.aborted) return interrupted();
    throw error;
  }
}

async function tour(home: string, signal: AbortSignal): Promise<void> {
  const script = fileURLToPath(new URL('../../../bin/manage-federation.js', import.meta.url));
  for (const words of TOUR) {
    say(`\n$ ${manageText(home)} ${words.map(shellWord).join(' ')}`);
    const { exitCode, isCanceled } = await execa(
      process.execPath,
      [...process.execArgv, script, '--home', home, ...words],
      {
        stdin: 'ignore',
        stdout: 'inherit',
        stderr: 'inherit',
        reject: false,
        cancelSignal: signal,
        // The signal ends it; a cleanup of its own would take our Ctrl-C for the end of this process.
        cleanup: false,
      },
    );
    if (isCanceled) signal.throwIfAborted();
    if (exitCode !== 0) {
      throw new FederationError('START_FAILED', `that ended with exit code ${exitCode}`, {
        hint: `see the logs below ${home}`,
      });
    }
  }
}
