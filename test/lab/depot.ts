import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventually } from '../support/eventually.ts';
import { startInBackground } from './background.ts';
import type { Network } from './network.ts';
import { SWITCH_ADDRESS } from './network.ts';
import type { Run } from './run-folder.ts';

const PROGRAM = fileURLToPath(new URL('./depot-process.ts', import.meta.url));

/** Folder of this host by the first part of the path that it is served under. */
export type Shelves = Readonly<Record<string, string>>;

/** Base URL, without a slash at its end, of what the machines download from: they have no internet. */
export async function openDepot(lab: Run, network: Network, shelves: Shelves): Promise<string> {
  const url = `http://${SWITCH_ADDRESS}`;
  const log = join(lab.folder, 'depot.log');
  const list = join(lab.folder, 'depot.json');
  await writeFile(list, JSON.stringify(shelves));
  const argv = [process.execPath, '--conditions=federation-source', PROGRAM, SWITCH_ADDRESS, list];
  await startInBackground(network.atSwitch(argv), log);
  await eventually('the depot listens', async () => (await readFile(log, 'utf8')).includes('listening'));
  return url;
}
