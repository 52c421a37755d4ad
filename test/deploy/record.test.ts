import { readFile } from 'node:fs/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { DeploymentRecord } from '#src/deploy/record/record.ts';
import { parseRecord } from '#src/deploy/record/file.ts';
import { DEFAULTS, execMode } from '#src/deploy/wanted.ts';
import type { ScratchMachine } from '../support/scratch-machine.ts';
import { scratchMachine } from '../support/scratch-machine.ts';

/** Each kind of change as the first version wrote it: this file stays as it is, and what it says can be read for ever. */
const FIRST = new URL('../fixtures/record-1.json', import.meta.url);

interface Json {
  wanted: Record<string, unknown> & { tailscale: Record<string, unknown> };
  entries: { key: string; action: Record<string, unknown>; before: unknown }[];
}

let scratch: ScratchMachine;
let first: Json;

beforeEach(async () => {
  scratch = await scratchMachine();
  first = JSON.parse(await readFile(FIRST, 'utf8')) as Json;
});

afterEach(() => scratch.dispose());

async function reading(record: unknown): Promise<DeploymentRecord> {
  const { place, ...context } = scratch.context;
  return parseRecord({ ...context, place: { ...place, scope: 'system' } }, JSON.stringify(record));
}

test('what a person says was done by root is not taken back by it', () => {
  expect(() => parseRecord(scratch.context, JSON.stringify(first))).toThrow(/root alone/);
});

/** What it called `invite`, from `here` or `there`. */
function inWordsOfNow(entry: Json['entries'][0]): object {
  if (entry.action['do'] !== 'invite') return entry;
  const { do: _, from, ...same } = entry.action;
  return { ...entry, action: { ...same, do: 'mint-token', by: from === 'here' ? 'deployer' : 'machine' } };
}

test('a record of the first version is read whole', async () => {
  const { foreground: _, ...wanted } = first.wanted;
  // More than it says may be there: what later versions wish for, by default.
  expect(await reading(first)).toMatchObject({ ...first, wanted, entries: first.entries.map(inWordsOfNow) });
});

test('a wish that a record does not know yet is as by default', async () => {
  const { role, master, scope } = first.wanted;
  const found = await reading({ ...first, wanted: { role, master, scope } });
  expect(found.wanted).toEqual({ role, master, scope, runAs: null, token: null, ...DEFAULTS });
  expect(execMode(found.wanted)).toBe('allowlist');
  first.wanted.tailscale = { use: false };
  expect((await reading(first))?.wanted.tailscale).toEqual({ ...DEFAULTS.tailscale, use: false });
});

test('what a later version says of a deployment is passed over', async () => {
  const more = structuredClone(first);
  more.wanted['colour'] = 'red';
  more.wanted.tailscale['funnel'] = true;
  for (const entry of more.entries) {
    entry.action['comment'] = 'later';
    if (typeof entry.before === 'object' && entry.before !== null) Object.assign(entry.before, { comment: 'later' });
  }
  const known = {
    ...first,
    entries: first.entries.map((entry, at) => ({ ...entry, before: more.entries[at]!.before })),
  };
  expect(await reading({ ...more, comment: 'later' })).toEqual(await reading(known));
});

test('a change that a later version made is named, and taken back by that version', async () => {
  first.entries.push({ ...first.entries[1]!, key: 'sysctl net.core', action: { do: 'sysctl', name: 'net.core' } });
  await expect(reading(first)).rejects.toMatchObject({
    code: 'STORE_DAMAGED',
    message: expect.stringContaining('sysctl net.core') as string,
    hint: expect.stringContaining(`${scratch.context.place.commands}/deploy-federation`) as string,
  });
});
