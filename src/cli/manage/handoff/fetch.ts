import { randomBytes } from 'node:crypto';
import { link, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { artefactBytes } from '#src/adapters/handoffs/artefact.ts';
import type { HubApi } from '#src/adapters/hub.ts';
import { say } from '#src/adapters/terminal.ts';
import { followInterrupts } from '#src/cli/interrupt.ts';
import type { GlobalFlags } from '#src/cli/manage/context.ts';
import { hubOf } from '#src/cli/manage/context.ts';
import { handoffId } from '#src/cli/manage/handoff/words.ts';
import { printJson } from '#src/cli/print.ts';
import { FederationError } from '#src/core/errors.ts';
import type { Artefact } from '#src/core/handoff/event.ts';
import { isArtefactName } from '#src/core/handoff/event.ts';
import type { HandoffView } from '#src/protocol/handoffs.ts';

export interface FetchFlags extends GlobalFlags {
  readonly outDir: string;
  readonly force?: boolean;
}

const INTERRUPTED = 130;

/** `manage-federation handoff fetch ID [NAME…]`: the files of its answer, each whole or not at all. */
export async function fetchArtefacts(word: string, names: readonly string[], flags: FetchFlags): Promise<number> {
  const id = handoffId(word);
  const hub = await hubOf(flags);
  const { artefacts } = await hub.ask<HandoffView>('GET', `/handoffs/${id}`);
  const chosen = chosenOf(artefacts, names);
  const leaving = new AbortController();
  const leave = (): void => leaving.abort();
  const interrupts = followInterrupts({ first: leave, second: leave });
  const fetched: (Artefact & { readonly path: string })[] = [];
  try {
    if (chosen.length > 0) await makeFolder(flags.outDir);
    for (const artefact of chosen) {
      const path = join(flags.outDir, artefact.name);
      await fetchOne(hub, id, artefact, {
        folder: flags.outDir,
        isForced: flags.force ?? false,
        signal: leaving.signal,
      });
      fetched.push({ ...artefact, path });
      if (flags.json !== true) say(`${path} (${artefact.size} bytes, sha256 ${artefact.sha256})`);
    }
  } catch (error) {
    if (!leaving.signal.aborted) throw error;
    say(`\nleft; ${fetched.length} of ${chosen.length} files are there, whole`);
    return INTERRUPTED;
  } finally {
    interrupts.stop();
  }
  if (flags.json === true) printJson(fetched);
  else if (chosen.length === 0) say('its answer has no files');
  return 0;
}

function chosenOf(artefacts: readonly Artefact[], names: readonly string[]): readonly Artefact[] {
  // Once more here: a name is where a file is written.
  const bad = artefacts.find(({ name }) => !isArtefactName(name));
  if (bad !== undefined) {
    const message = `the hub names a file ${JSON.stringify(bad.name)}, which is no name of one`;
    throw new FederationError('OUTPUT_LOST', message, { hint: 'manage-federation handoff show ID' });
  }
  const missing = names.find((name) => !artefacts.some((artefact) => artefact.name === name));
  if (missing !== undefined) {
    const known = artefacts.map(({ name }) => name).join(', ');
    throw new FederationError('NOT_FOUND', `its answer has no file ${JSON.stringify(missing)}`, {
      hint: known === '' ? 'it has none at all' : `it has ${known}`,
    });
  }
  return names.length === 0 ? artefacts : artefacts.filter(({ name }) => names.includes(name));
}

interface Place {
  readonly folder: string;
  /** Whether it takes the place of what is there. */
  readonly isForced: boolean;
  readonly signal: AbortSignal;
}

async function fetchOne(
  hub: HubApi,
  id: string,
  artefact: Artefact,
  { folder, isForced, signal }: Place,
): Promise<void> {
  const path = join(folder, artefact.name);
  const part = join(folder, `.openclaw-federation-${randomBytes(8).toString('hex')}`);
  try {
    const handle = await open(part, 'wx', 0o600);
    try {
      for await (const chunk of artefactBytes(hub, id, artefact, signal)) await handle.writeFile(chunk);
      await handle.sync();
    } finally {
      await handle.close();
    }
    // Both put it there in one step; a link never takes the place of anything, a rename does.
    await (isForced ? rename(part, path) : link(part, path));
  } catch (error) {
    throw unwritten(path, error);
  } finally {
    await rm(part, { force: true });
  }
}

/** Throws USAGE, DISK_FULL. */
async function makeFolder(path: string): Promise<void> {
  try {
    await makeFolders(path);
    if ((await stat(path)).isDirectory()) return;
  } catch (error) {
    throw unwritten(path, error);
  }
  throw new FederationError('USAGE', `${path} is no folder`, { hint: 'another --out-dir' });
}

/** A folder and those above it. With `recursive`, Node asks for ever in a file system that makes none, as /proc. */
async function makeFolders(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return;
    if (code !== 'ENOENT' || dirname(path) === path) throw error;
    await makeFolders(dirname(path));
    await mkdir(path);
  }
}

/** File systems without hard links. */
const NO_LINKS: ReadonlySet<string> = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']);

function unwritten(path: string, cause: unknown): unknown {
  const { code = '' } = cause as NodeJS.ErrnoException;
  if (cause instanceof FederationError || !/^E[A-Z0-9]+$/.test(code)) return cause;
  if (code === 'EEXIST') {
    return new FederationError('USAGE', `${path} is there already`, { hint: '--force, or another --out-dir', cause });
  }
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new FederationError('DISK_FULL', `there is no room for ${path}`, { hint: 'make room', cause });
  }
  const hint = NO_LINKS.has(code) ? '--force, or a folder on another disk' : 'name a folder that you can write to';
  return new FederationError('USAGE', `${path} can’t be written (${code})`, { hint, cause });
}
