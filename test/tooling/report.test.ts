import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const REPORT = resolve(import.meta.dirname, '../../.ci/report.js');
const UNABLE = 'a lab of four machines (not run: the lab needs root) is reached by ssh';
const isRoot = process.getuid?.() === 0;

type Tests = Readonly<Record<string, 'passed' | 'failed' | 'skipped' | 'passed again'>>;

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'federation-report-'));
});

afterEach(() => rm(folder, { recursive: true }));

/** What the check ends with where the projects ended so; null: one that left no report. */
async function judge(unit: Tests | null, lab: Tests | null): Promise<{ code: number | undefined; words: string[] }> {
  for (const [name, tests] of Object.entries({ unit, lab })) {
    await rm(join(folder, `${name}.json`), { force: true });
    if (tests === null) continue;
    const assertionResults = Object.entries(tests).map(([fullName, status]) => ({
      ...{ fullName, status: status === 'passed again' ? 'passed' : status },
      failureMessages: status === 'failed' || status === 'passed again' ? ['expected 1 to be 2'] : [],
    }));
    const testResults =
      assertionResults.length === 0 ? [] : [{ name: 'a.test.ts', status: 'passed', assertionResults }];
    await writeFile(join(folder, `${name}.json`), JSON.stringify({ testResults }));
  }
  const paths = [join(folder, 'unit.json'), '--where-it-can', join(folder, 'lab.json')];
  const { exitCode, stdout } = await execa(process.execPath, [REPORT, ...paths], { reject: false });
  return { code: exitCode, words: stdout.split('\n') };
}

const unit: Tests = { adds: 'passed' };

describe('the report of a whole check', () => {
  it('passes what passed', async () => {
    expect(await judge(unit, { boots: 'passed' })).toEqual({
      code: 0,
      words: ['did not run: nothing', '2 passed, 0 failed'],
    });
  });

  it('fails for a test that failed, on machines too', async () => {
    expect(await judge({ adds: 'failed' }, { boots: 'passed' })).toMatchObject({ code: 1 });
    expect(await judge(unit, { boots: 'passed', reboots: 'failed' })).toMatchObject({ code: 1 });
  });

  it('says at its end which tests failed, and why', async () => {
    const { words } = await judge({ adds: 'failed' }, { boots: 'passed' });
    expect(words).toEqual([
      'FAILED: unit: a.test.ts: adds',
      '  expected 1 to be 2',
      'did not run: nothing',
      '1 passed, 1 failed',
    ]);
  });

  it('names what passed at a second try only, and passes that', async () => {
    expect(await judge(unit, { boots: 'passed again' })).toEqual({
      code: 0,
      words: [
        'AT A SECOND TRY ONLY: lab: a.test.ts: boots',
        '  expected 1 to be 2',
        'did not run: nothing',
        '2 passed (1 of them at a second try only), 0 failed',
      ],
    });
  });

  it('says what this host can’t run, and passes that', async () => {
    expect(await judge(unit, { [UNABLE]: 'skipped' })).toEqual({
      code: 0,
      words: ['did not run: ', `  lab: ${UNABLE} (skipped)`, 'NOT RUN: 1 of 2', '1 passed, 0 failed'],
    });
  });

  it('fails for a test on machines that was skipped for any other reason', async () => {
    expect(await judge(unit, { boots: 'passed', 'reboots (not run)': 'skipped' })).toMatchObject({ code: 1 });
  });

  it('takes no reason of a test that needs no machines, but that it wants root', async () => {
    expect(await judge({ adds: 'passed', [UNABLE]: 'skipped' }, { boots: 'passed' })).toMatchObject({
      code: isRoot ? 1 : 0,
    });
  });

  it('fails for a project that left no report, or one without tests', async () => {
    for (const none of [null, {}]) {
      expect(await judge(none, { boots: 'passed' })).toMatchObject({ code: 1 });
      expect(await judge(unit, none)).toMatchObject({ code: 1 });
    }
  });
});
