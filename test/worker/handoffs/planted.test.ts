import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import type { GatewayRun } from './scripted-gateway.ts';
import { startNode } from './node-under-test.ts';

const outOf = ({ message }: GatewayRun): string => /put them into (\S+), /.exec(message)?.[1] ?? '';

/** A folder that is nobody's to touch, as a home is. */
function elsewhere(): string {
  const folder = mkdtempSync(join(tmpdir(), 'ocf-elsewhere-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, '.ssh'));
  writeFileSync(join(folder, '.ssh', 'id'), 'a key');
  writeFileSync(join(folder, 'letter'), 'a letter');
  return folder;
}

it('nothing is taken or removed where a link leads that the agent put in the place of a folder', async () => {
  const home = elsewhere();
  await using node = await startNode((run) => {
    const out = outOf(run);
    if (run.message.startsWith('plant out')) {
      renameSync(out, `${out}.old`);
      symlinkSync(home, out);
    } else symlinkSync(home, join(dirname(out), 'kept'));
  });
  for (const task of ['plant out', 'plant kept']) {
    const events = await node.events((await node.order({ task })).id);
    expect(events.map(({ type }) => type)).toEqual(['started', 'ended']);
    expect(existsSync(join(home, '.ssh', 'id'))).toBe(true);
    expect(readFileSync(join(home, 'letter'), 'utf8')).toBe('a letter');
  }
});

it('what the agent put where files are kept has to have a plain name, too', async () => {
  await using node = await startNode((run) => {
    const kept = join(dirname(outOf(run)), 'kept');
    mkdirSync(join(kept, 'folder'), { recursive: true });
    writeFileSync(join(kept, 'folder', 'a'), 'x');
    writeFileSync(join(kept, 'two\nlines'), 'x');
    writeFileSync(join(kept, 'plain'), 'x');
  });
  const events = await node.events((await node.order()).id);
  expect(events).toMatchObject([
    { type: 'started' },
    { type: 'artefact', name: 'plain' },
    { type: 'ended', outcome: 'completed' },
  ]);
});
