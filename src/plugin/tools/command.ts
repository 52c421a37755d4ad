import { z } from 'zod';
import type { JobCreate } from '#src/protocol/hub-api/job.ts';

/** Seconds for a command of which nothing else is said. */
export const EXEC_SECONDS = 1800;
export const BROADCAST_SECONDS = 60;
const MAX_SECONDS = 7 * 86_400;

/** What the tools that run a command say of it. */
export function commandParameters(seconds: number) {
  return {
    command: z.string().min(1).describe('Command line for /bin/sh on that machine'),
    workdir: z.string().min(1).optional().describe('Folder to run it in; otherwise the home of the user it runs as'),
    timeout: z
      .int()
      .min(1)
      .max(MAX_SECONDS)
      .default(seconds)
      .describe(`Seconds until it is ended; ${seconds} if not given`),
  };
}

/** The command as the hub takes it, and as it is approved. */
export function commandOf({ command, workdir }: { command: string; workdir?: string | undefined }) {
  return { shell: command, ...(workdir === undefined ? {} : { cwd: workdir }) };
}

/** A job of it, with the approval and for the nodes of that where there is one. */
export function jobOf(
  kind: JobCreate['kind'],
  targets: readonly string[] | 'all',
  said: { command: string; workdir?: string | undefined; timeout: number },
  approved: { readonly id: string; readonly targets: readonly string[] } | null,
): JobCreate {
  const meant = approved?.targets ?? targets;
  return {
    kind,
    targets: meant === 'all' ? 'all' : [...meant],
    command: { ...commandOf(said), timeoutMs: said.timeout * 1000 },
    ...(approved === null ? {} : { approval: approved.id }),
  };
}
