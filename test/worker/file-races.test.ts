import type { PathLike } from 'node:fs';
import * as disk from 'node:fs';
import type * as promises from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { FileSettings } from '#src/core/file-policy.ts';
import { openForReading } from '#src/worker/files/opening.ts';
import type { FilePolicy } from '#src/worker/files/rules.ts';
import { rulesOf } from '#src/worker/files/rules.ts';
import { writeFile } from '#src/worker/files/write.ts';
import { ANN, sha256 } from './file-requests.ts';

/** What somebody else does right after a step, and which steps there were. */
const seen = vi.hoisted(() => ({ steps: [] as string[], after: (_step: string): void => undefined }));

vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof promises>();
  const nameOf = (path: PathLike): string =>
    String(path)
      .replace(/.*\//, '')
      .replace(/.*\.part$/, 'part');
  const took = (step: string): void => {
    seen.steps.push(step);
    seen.after(step);
  };
  /** The step is told of also where it finds nothing. */
  const told =
    <Given extends [PathLike, ...unknown[]], Result>(step: string, work: (...given: Given) => Promise<Result>) =>
    async (...given: Given): Promise<Result> => {
      try {
        return await work(...given);
      } finally {
        took(`${step} ${nameOf(given[0])}`);
      }
    };
  return {
    ...real,
    lstat: told('lstat', real.lstat),
    readlink: told('readlink', real.readlink),
    rename: told('rename', real.rename),
    link: told('link', real.link),
    async open(...given: Parameters<typeof real.open>) {
      const handle = await real.open(...given);
      const sync = handle.sync.bind(handle);
      handle.sync = () => sync().finally(() => took(`sync ${nameOf(given[0])}`));
      took(`open ${nameOf(given[0])}`);
      return handle;
    },
  };
});

let folder: string;
let policy: FilePolicy;
const at = (...names: string[]): string => join(folder, ...names);

beforeEach(() => {
  folder = disk.realpathSync(disk.mkdtempSync(join(tmpdir(), 'federation-')));
  for (const name of ['open', 'shut']) {
    disk.mkdirSync(at(name));
    disk.writeFileSync(at(name, 'f'), name);
  }
  const rules = { roots: [at('open')], deny: [] };
  const files: FileSettings = { read: rules, write: rules, maxBytes: 1000 };
  policy = { files, exec: { mode: 'off' }, home: '/nonexistent', own: [] };
  seen.steps.length = 0;
});

afterEach(() => {
  seen.after = () => undefined;
  disk.rmSync(folder, { recursive: true });
});

/** Does something once, after a step has been taken so often. */
function afterStep(step: string, act: () => void, times = 1): void {
  let left = times;
  seen.after = (taken) => {
    if (taken === step && (left -= 1) === 0) act();
  };
}

async function contentAt(path: string): Promise<string> {
  const { handle } = await openForReading(path, await rulesOf(policy, 'read'));
  try {
    return await handle.readFile('utf8');
  } finally {
    await handle.close();
  }
}

function put(content: string, more: { if?: string } = {}) {
  const wish = { asker: ANN, path: at('open', 'new'), size: content.length, sha256: sha256(content), mode: null };
  const body = (async function* () {
    yield Buffer.from(content);
  })();
  return writeFile(body, { ...wish, if: null, ...more }, policy);
}

test('a file where it is not open is not even opened', async () => {
  disk.symlinkSync(at('shut', 'f'), at('open', 'way'));
  await expect(contentAt(at('open', 'way'))).rejects.toMatchObject({ code: 'PATH_DENIED' });
  expect(seen.steps).toEqual([]);
});

test('a folder that is swapped between the look and the opening leads nowhere', async () => {
  afterStep('lstat f', () => {
    disk.renameSync(at('open'), at('away'));
    disk.symlinkSync(at('shut'), at('open'));
  });
  await expect(contentAt(at('open', 'f'))).rejects.toMatchObject({ code: 'PATH_DENIED' });
  expect(seen.steps).toContain('open f');
});

test('a file that was replaced after the opening is not taken for the one of that name', async () => {
  const fds = /^readlink \d+$/;
  seen.after = (step) => {
    if (!fds.test(step)) return;
    disk.writeFileSync(at('open', 'other'), 'other');
    disk.renameSync(at('open', 'other'), at('open', 'f'));
  };
  await expect(contentAt(at('open', 'f'))).rejects.toMatchObject({ code: 'FILE_CHANGED' });
});

test('without anybody in between it is read', async () => {
  expect(await contentAt(at('open', 'f'))).toBe('open');
});

test('a file that somebody else makes in the last moment is not overwritten by one that is to be new', async () => {
  afterStep('lstat new', () => disk.writeFileSync(at('open', 'new'), 'theirs'), 2);
  await expect(put('ours', { if: 'absent' })).rejects.toMatchObject({ code: 'FILE_CHANGED' });
  expect(disk.readFileSync(at('open', 'new'), 'utf8')).toBe('theirs');
  expect(disk.readdirSync(at('open')).toSorted()).toEqual(['f', 'new']);
});

test('the content is on the medium before its name is, and the name before it is said', async () => {
  await put('ours');
  const steps = seen.steps.filter((step) => /^(?:sync|rename)/.test(step));
  expect(steps).toEqual(['sync part', 'rename part', 'sync open']);
});

test.each([0o4755, 0o2755, 0o1755])(
  'of %o no more stays with another content than who may read and run it',
  async (mode) => {
    disk.writeFileSync(at('open', 'new'), 'before');
    disk.chmodSync(at('open', 'new'), mode);
    await put('ours');
    expect(disk.statSync(at('open', 'new')).mode & 0o7777).toBe(0o755);
  },
);
