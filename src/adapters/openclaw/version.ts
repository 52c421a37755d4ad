import { execFile } from 'node:child_process';
import { readFile, realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { findProgram, inheritedEnvironment } from '#src/adapters/openclaw/program.ts';

/** A small machine starts it slowly; who wants to know it waits no longer. */
const ANSWER_MS = 10_000;
const VERSION = /\b\d{4}\.\d{1,2}\.\d{1,3}(?:-[\w.]{1,32})?\b/;

/** Version of the openclaw program, which is a name on PATH or a path; null where it is not there or does not say. */
export async function openclawVersion(openclaw: string): Promise<string | null> {
  const environment = inheritedEnvironment();
  try {
    const program = findProgram(openclaw, environment.PATH);
    return (await packageVersion(program)) ?? (await saidVersion(program, environment));
  } catch {
    return null;
  }
}

/** As its package says it, which costs no process; null where the program is somebody's own script. */
async function packageVersion(program: string): Promise<string | null> {
  try {
    const manifest: unknown = JSON.parse(
      await readFile(join(dirname(await realpath(program)), 'package.json'), 'utf8'),
    );
    const { name, version } = manifest as { readonly name?: unknown; readonly version?: unknown };
    return name === 'openclaw' && typeof version === 'string' ? versionIn(version) : null;
  } catch {
    return null;
  }
}

async function saidVersion(program: string, env: NodeJS.ProcessEnv): Promise<string | null> {
  const { stdout } = await promisify(execFile)(program, ['--version'], {
    env,
    timeout: ANSWER_MS,
    killSignal: 'SIGKILL',
    maxBuffer: 65_536,
  });
  return versionIn(stdout);
}

function versionIn(text: string): string | null {
  return VERSION.exec(text)?.[0] ?? null;
}
