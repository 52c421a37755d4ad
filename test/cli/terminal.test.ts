import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { harmless, harmlessJson, reportError, say } from '#src/adapters/terminal.ts';
import { FederationError } from '#src/core/errors.ts';
import { sayResults } from '#src/cli/manage/job.ts';
import { collectedOutput, linedOutput } from '#src/cli/manage/output.ts';
import { ago, printFacts, printTable, shortId } from '#src/cli/print.ts';
import { resultText, summaryText } from '#src/core/result-text.ts';
import { OUTCOMES } from '#src/core/outcome.ts';
import type { Result } from '#src/protocol/hub-api/job.ts';

const screen = { stdout: '', stderr: '' };

beforeEach(() => {
  for (const name of ['stdout', 'stderr'] as const) {
    screen[name] = '';
    vi.spyOn(process[name], 'write').mockImplementation((text) => {
      screen[name] += String(text);
      return true;
    });
  }
});
afterEach(() => void vi.restoreAllMocks());

/** What a hostile node may say: clear the screen, name the window, go up a line, hide, write from right to left. */
const HOSTILE = '\u001b[2J\u001b]0;owned\u0007\u001b[1A\r\b\u009b31m\u202egnorw\u2066\u007f';
// oxlint-disable-next-line no-control-regex -- these are the characters that are looked for
const STEERS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/;

const RESULT: Result = {
  node: 'w1',
  id: 'a'.repeat(64),
  invocation: '0'.repeat(26),
  outcome: 'ok',
  exitCode: 0,
  signal: null,
  durationMs: 1,
  stdoutBytes: 0,
  stderrBytes: 0,
  truncated: false,
  replayed: false,
  reason: null,
};

function expectHarmless(): void {
  expect(screen.stdout + screen.stderr).toContain('owned');
  expect(screen.stdout + screen.stderr).not.toMatch(STEERS);
}

test('no character that steers a terminal is left, and nothing else is changed', () => {
  const plain = 'ümläut 漢字 🙂\tx\n|{}';
  expect(harmless(plain)).toBe(plain);
  for (let code = 0; code < 0x3000; code += 1) {
    const text = harmless(String.fromCodePoint(code));
    expect(text).not.toMatch(STEERS);
    expect(text).toHaveLength(1);
  }
  expect(harmless('\u001b[2J')).toBe('␛[2J');
});

test('what a node says of an end steers no terminal', () => {
  for (const outcome of OUTCOMES) {
    sayResults([{ ...RESULT, outcome: outcome === 'ok' ? 'failed' : outcome, reason: HOSTILE, signal: HOSTILE }]);
  }
  say(`w1: ${resultText({ ...RESULT, outcome: 'failed', reason: HOSTILE })}`);
  expectHarmless();
});

test('what a node prints steers no terminal, in whatever pieces it comes', () => {
  const output = linedOutput();
  output.opened({ job: 'j', targets: [{ node: 'w1', id: 'a' }], leftOut: [] });
  for (const byte of Buffer.from(`${HOSTILE}\nowned`)) output.output(0, 'stdout', Buffer.of(byte));
  output.ended(0, RESULT);
  expectHarmless();
  expect(screen.stdout.split('\n').every((line) => line === '' || line.startsWith('w1: '))).toBe(true);
});

test('tables, facts and errors steer no terminal', () => {
  printTable(['NAME'], [[HOSTILE]]);
  printFacts([['name', HOSTILE]]);
  reportError(new FederationError('NODE_NOT_FOUND', HOSTILE, { hint: HOSTILE }));
  expectHarmless();
});

test('a table has a line for each row, whatever stands in it, and cuts nothing in a pipe', () => {
  printTable(['NAME', 'COMMAND'], [['w1', `echo\n\n${'x'.repeat(300)}`]]);
  expect(screen.stdout).toBe(`NAME  COMMAND\nw1    echo ${'x'.repeat(300)}\n`);
});

test.each<[number, string]>([
  [
    100,
    'NAME  COMMAND                                 ID\nw1    echo a long text that is much too wide  abcdefghijkl\n',
  ],
  [46, 'NAME  COMMAND                     ID\nw1    echo a long text that is …  abcdefghijkl\n'],
  [30, 'NAME  COMMAND     ID\nw1    echo a lo…  abcdefghijkl\n'],
  [29, 'NAME  COMMAND\nw1    echo a long text that …\n'],
  [10, 'NAME\nw1\n'],
])('on a terminal of %i columns a table fits: text is cut, and no id', (columns, text) => {
  onTerminal(columns, () =>
    printTable(['NAME', 'COMMAND', 'ID'], [['w1', 'echo a long text that is much too wide', 'abcdefghijkl']]),
  );
  expect(screen.stdout).toBe(text);
});

test('an id is short on a terminal and whole for a program', () => {
  expect(shortId('a'.repeat(64))).toBe('a'.repeat(64));
  onTerminal(80, () => expect(shortId('a'.repeat(64))).toBe('a'.repeat(12)));
});

function onTerminal(columns: number, work: () => void): void {
  const before = { isTTY: process.stdout.isTTY, columns: process.stdout.columns };
  Object.assign(process.stdout, { isTTY: true, columns });
  try {
    work();
  } finally {
    Object.assign(process.stdout, before);
  }
}

test('an error is two lines, whatever it repeats, and no stack', () => {
  const error = new FederationError('NODE_NOT_FOUND', 'no node\nerror: all is lost', { hint: 'a\nb' });
  expect(reportError(error)).toBe(3);
  expect(screen.stderr).toBe('error: no node␊error: all is lost\n  try: a␊b\n');
  expect(screen.stdout).toBe('');
});

test('an error for a program is JSON alone, without a secret', () => {
  const token = `ocf1.${'a'.repeat(64)}.${'s'.repeat(43)}`;
  expect(reportError(new FederationError('USAGE', token), { json: true })).toBe(2);
  expect(JSON.parse(screen.stdout)).toEqual({ code: 'USAGE', message: '[secret]' });
  expect(screen.stderr).toBe('');
  say(token);
  expect(screen.stderr).toBe('[secret]\n');
});

test('a bug of ours shows its stack here, and says that it is one', () => {
  expect(reportError(new TypeError('x is not a function'))).toBe(1);
  expect(screen.stderr).toContain('terminal.test.ts');
});

test('lines of many nodes come whole, each with the name of its node', () => {
  const output = linedOutput();
  const targets = ['w1', 'w2'].map((node) => ({ node, id: node }));
  output.opened({ job: 'j', targets, leftOut: [{ node: 'w3', id: 'w3', state: 'offline', drained: true }] });
  output.output(0, 'stdout', Buffer.from('one\r\ntw'));
  output.output(1, 'stdout', Buffer.from('\xc3', 'latin1'));
  output.output(0, 'stdout', Buffer.from('o\nthree'));
  output.output(1, 'stdout', Buffer.from('\xbc\n', 'latin1'));
  output.output(1, 'stderr', Buffer.from('bad\n'));
  output.ended(0, RESULT);
  output.ended(1, RESULT);
  expect(screen.stdout).toBe('w1: one\nw1: two\nw2: ü\nw1: three\n');
  expect(screen.stderr).toBe('left out: w3 (offline, drained)\nw2: bad\n');
});

test('a line that never ends is printed in pieces and fills no memory', () => {
  const output = linedOutput();
  output.opened({ job: 'j', targets: [{ node: 'w1', id: 'a' }], leftOut: [] });
  for (let part = 0; part < 40; part += 1) output.output(0, 'stdout', Buffer.alloc(50_000, 'x'));
  output.ended(0, RESULT);
  expect(screen.stdout.replaceAll(/w1: |\n/g, '')).toHaveLength(2_000_000);
  expect(Math.max(...screen.stdout.split('\n').map(({ length }) => length))).toBeLessThan(200_000);
});

test('output that is kept has a bound for each node, and says where it was cut', () => {
  const output = collectedOutput();
  const targets = Array.from({ length: 2000 }, (_, at) => ({ node: `w${at}`, id: `${at}` }));
  output.opened({ job: 'j', targets, leftOut: [] });
  output.output(0, 'stdout', Buffer.alloc(65_536, 'x'));
  output.output(1, 'stdout', Buffer.alloc(65_536, 'x'));
  output.output(1, 'stderr', Buffer.from('y'));
  expect(output.of(0)).toMatchObject({ truncated: false });
  expect(output.of(1)).toMatchObject({ truncated: true, stderr: '' });
  expect(output.of(2)).toEqual({ stdout: '', stderr: '', truncated: false });
});

test('a summary names what there was, in the order of the outcomes', () => {
  expect(summaryText({ denied: 1, ok: 2, failed: 0 })).toBe('2 ok, 1 denied');
  expect(summaryText({})).toBe('nothing ran');
});

test.each([
  [0, 'just now'],
  [4, 'just now'],
  [-4, 'just now'],
  [30, '30 s ago'],
  [89, '89 s ago'],
  [90, '2 min ago'],
  [-900, 'in 15 min'],
  [5400, '2 h ago'],
  [86_400, '24 h ago'],
  [400 * 86_400, '400 d ago'],
])('%i seconds are said as %s', (seconds, text) => {
  const now = Date.UTC(2026, 0, 1);
  expect(ago(new Date(now - seconds * 1000).toISOString(), now)).toBe(text);
});

test('JSON says the same to a program, and steers no terminal', () => {
  const value = { text: 'a\u009b2Jb\u202ec\u2066\u007f', plain: 'über 🦞' };
  for (const text of [harmlessJson(value), harmlessJson(value, 2)]) {
    expect(JSON.parse(text)).toEqual(value);
    expect(harmless(text)).toBe(text);
  }
});
