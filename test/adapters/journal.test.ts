import { execFileSync, spawnSync } from 'node:child_process';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { journalFile } from '#src/adapters/store/journal-file.ts';
import { type Journal, type JournalOptions, openJournal } from '#src/adapters/store/journal.ts';
import type { ExitRecord } from '#src/core/outcome.ts';

const EXIT: ExitRecord = {
  exitCode: 0,
  signal: null,
  ended: 'itself',
  durationMs: 1.5,
  stdoutBytes: 3,
  stderrBytes: 0,
  truncated: false,
  survivors: 0,
};

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'federation-'));
  path = join(directory, 'invocations.ndjson');
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function open(options: Partial<JournalOptions> = {}): Promise<Journal> {
  return openJournal({ directory, maxBytes: 1 << 20, retainMs: 1000, bootId: 'boot-1', now: () => 5000, ...options });
}

describe('a journal', () => {
  it('tells what never started, what runs and what has ended', async () => {
    const journal = await open();
    await Promise.all([journal.start('A'), journal.start('B')]);
    journal.end('B', EXIT);
    expect(['A', 'B', 'C'].map((id) => journal.state(id))).toEqual([
      { state: 'running' },
      { state: 'ended', exit: EXIT },
      { state: 'never-started' },
    ]);
    await journal.close();
  });

  it('knows after a restart what ended, and that the rest is lost', async () => {
    const before = await open();
    await Promise.all([before.start('A'), before.start('B')]);
    before.end('B', EXIT);
    await before.close();
    const after = await open({ bootId: 'boot-2' });
    expect(after.lost).toEqual(['A']);
    expect(after.state('A')).toEqual({ state: 'lost' });
    expect(after.state('B')).toEqual({ state: 'ended', exit: EXIT });
    await after.close();
  });

  it('has the start in the file before it says so, with the boot that it happened in', async () => {
    const journal = await open();
    await journal.start('A');
    expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({ start: 'A', boot: 'boot-1', at: 5000 });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    await journal.close();
  });

  it.each(['{"start":"B","bo', '{"end":"A","exit":{"exitCode"', '\0\0\0\0', '{"end":"A","exit":{}}'])(
    'passes over a line that power cut short: %j',
    async (torn) => {
      const before = await open();
      await before.start('A');
      await before.close();
      appendFileSync(path, torn);
      const journal = await open();
      expect(journal.state('A')).toEqual({ state: 'lost' });
      await journal.start('C');
      journal.end('C', EXIT);
      await journal.close();
      const after = await open();
      expect([after.lost, after.state('C')]).toEqual([['A'], { state: 'ended', exit: EXIT }]);
      await after.close();
    },
  );

  it('can be cut at any byte and is still read', async () => {
    const before = await open();
    await before.start('A');
    before.end('A', EXIT);
    await before.close();
    const whole = readFileSync(path);
    for (let length = 0; length <= whole.length; length++) {
      writeFileSync(path, whole.subarray(0, length));
      const journal = await open();
      expect(['never-started', 'lost', 'ended']).toContain(journal.state('A').state);
      await journal.close();
    }
  });

  it('takes a start at any moment of the one before', async () => {
    const journal = await open();
    for (let at = 0; at < 200; at++) {
      await journal.start(`I${at}`);
      for (let turn = 0; turn < at % 8; turn++) await Promise.resolve();
      journal.end(`I${at}`, EXIT);
    }
    await journal.close();
    expect((await open()).lost).toEqual([]);
  });

  it('shares one sync among the starts that wait', async () => {
    const file = journalFile(path);
    const batches: number[] = [];
    const counting = {
      ...file,
      append: (lines: string, durable: boolean) => (
        batches.push(lines.split('\n').length - 1),
        file.append(lines, durable)
      ),
    };
    const journal = await open({ file: counting });
    await Promise.all(Array.from({ length: 100 }, (_, at) => journal.start(`I${at}`)));
    expect(batches).toEqual([1, 99]);
    await journal.close();
  });
});

describe('a journal that is full', () => {
  const fill = async (journal: Journal, count: number) => {
    for (let at = 0; at < count; at++) {
      await journal.start(`I${at}`);
      journal.end(`I${at}`, EXIT);
    }
  };

  it('drops the oldest that ended and keeps what runs', async () => {
    const journal = await open({ maxBytes: 4096 });
    await journal.start('RUNS');
    await fill(journal, 100);
    expect(journal.state('RUNS')).toEqual({ state: 'running' });
    expect(journal.state('I0')).toEqual({ state: 'never-started' });
    expect(journal.state('I99')).toEqual({ state: 'ended', exit: EXIT });
    await journal.close();
    expect(statSync(path).size).toBeLessThan(4096 + 512);
    const after = await open({ maxBytes: 4096 });
    expect([after.lost, after.state('I99').state]).toEqual([['RUNS'], 'ended']);
    await after.close();
  });

  it('drops what is older than it has to remember', async () => {
    let time = 5000;
    const journal = await open({ maxBytes: 4096, now: () => time });
    await journal.start('OLD');
    journal.end('OLD', EXIT);
    time = 7000;
    for (let at = 0; journal.state('OLD').state === 'ended'; at++) await fill(journal, at);
    expect(journal.state('OLD')).toEqual({ state: 'never-started' });
    await journal.close();
  });

  it('refuses when all of it runs, and takes more when something has ended', async () => {
    const journal = await open({ maxBytes: 1024 });
    const started: string[] = [];
    const starting = async () => {
      for (let at = 0; at < 100; at++) {
        await journal.start(`I${at}`);
        started.push(`I${at}`);
      }
    };
    await expect(starting()).rejects.toMatchObject({ code: 'JOURNAL_FULL' });
    expect(started.length).toBeGreaterThan(5);
    expect(journal.state(`I${started.length}`)).toEqual({ state: 'never-started' });
    for (const id of started) journal.end(id, EXIT);
    await journal.start('NEXT');
    expect(journal.state('NEXT')).toEqual({ state: 'running' });
    await journal.close();
  });

  it('refuses while the disk fails, keeps the ends, and goes on when it works again', async () => {
    const file = journalFile(path);
    let broken = false;
    const failing = {
      ...file,
      append: async (lines: string, durable: boolean) => {
        if (broken) throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
        await file.append(lines, durable);
      },
    };
    const journal = await open({ file: failing });
    await journal.start('A');
    broken = true;
    journal.end('A', EXIT);
    await expect(journal.start('B')).rejects.toMatchObject({
      code: 'JOURNAL_FULL',
      message: expect.stringContaining('ENOSPC'),
    });
    expect(journal.state('B')).toEqual({ state: 'never-started' });
    broken = false;
    await journal.start('C');
    await journal.close();
    const after = await open();
    expect([after.state('A').state, after.state('B').state, after.state('C').state]).toEqual([
      'ended',
      'never-started',
      'lost',
    ]);
    await after.close();
  });

  it('survives a disk that is really full', async (context) => {
    if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', directory]).status !== 0) {
      process.stderr.write('NOT TESTED: no small disk can be mounted here, so none was filled\n');
      context.skip();
    }
    try {
      const journal = await open({ maxBytes: 1 << 24 });
      await journal.start('A');
      writeFileSync(join(directory, 'ballast'), Buffer.alloc(40_000));
      const filling = async () => {
        for (let at = 0; ; at++) await journal.start(`${at}-`.padEnd(400, 'x'));
      };
      await expect(filling()).rejects.toMatchObject({
        code: 'JOURNAL_FULL',
        message: expect.stringContaining('ENOSPC'),
      });
      rmSync(join(directory, 'ballast'));
      await journal.start('B');
      await journal.close();
      const after = await open({ maxBytes: 1 << 24 });
      expect(after.lost).toContain('A');
      expect(after.lost.at(-1)).toBe('B');
      await after.close();
    } finally {
      execFileSync('umount', [directory]);
    }
  });

  it('that can’t be read is the fault of its home', async () => {
    writeFileSync(path, '');
    await expect(open({ directory: path })).rejects.toMatchObject({ code: 'HOME_UNUSABLE' });
  });

  it('that can’t be written opens, and refuses to start anything', async () => {
    const journal = await open({ directory: join(directory, 'no', 'folder') });
    await expect(journal.start('A')).rejects.toMatchObject({ code: 'JOURNAL_FULL' });
    await journal.close();
  });
});
