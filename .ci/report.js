import { existsSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';

/**
 * Sums vitest's JSON reports, names what did not run, and ends with a plain line and an exit code. A test that failed
 * fails the check, and so does one that was skipped, a report that is not there, and one without tests; but for what
 * this host can't run:
 * - of reports after `--where-it-can`, tests whose names say so: `(not run: there is no go …)`;
 * - without root, of the others, tests that were skipped.
 */
const NOT_RUN = /\(not run: [^)]+\)/;
const [required, optional] = splitAt(process.argv.slice(2), '--where-it-can').map((paths) => paths.map(read));
const reports = [...required, ...optional];
const skipped = reports.flatMap((report) => report.skipped);
const absent = reports.flatMap((report) => report.absent);
const missing = [...absent, ...skipped];
const passed = sum(reports, 'passed');
const failed = sum(reports, 'failed');

process.stdout.write(`did not run: ${missing.length === 0 ? 'nothing' : `\n  ${missing.join('\n  ')}`}\n`);
if (missing.length > 0) process.stdout.write(`NOT RUN: ${missing.length} of ${missing.length + passed + failed}\n`);
process.stdout.write(`${passed} passed, ${failed} failed\n`);
const mayMiss = process.getuid?.() !== 0;
const isWhole =
  absent.length === 0 &&
  required.every((report) => report.passed > 0 && (mayMiss || report.skipped.length === 0)) &&
  optional.every((report) => report.skipped.every((name) => NOT_RUN.test(name)));
process.exitCode = isWhole && failed === 0 ? 0 : 1;

function splitAt(words, mark) {
  const at = words.indexOf(mark);
  return at === -1 ? [words, []] : [words.slice(0, at), words.slice(at + 1)];
}

function read(path) {
  const project = basename(path, '.json');
  const nothing = { passed: 0, failed: 0, skipped: [] };
  if (!existsSync(path)) return { ...nothing, absent: [`${project}: it left no report`] };
  const tests = JSON.parse(readFileSync(path, 'utf8')).testResults.flatMap(({ name, status, assertionResults }) =>
    assertionResults.length === 0 ? [{ fullName: name, status }] : assertionResults,
  );
  if (tests.length === 0) return { ...nothing, absent: [`${project}: no test at all`] };
  const others = tests.filter(({ status }) => status !== 'passed' && status !== 'failed');
  return {
    passed: tests.filter(({ status }) => status === 'passed').length,
    failed: tests.filter(({ status }) => status === 'failed').length,
    skipped: others.map(({ fullName, status }) => `${project}: ${fullName} (${status})`),
    absent: [],
  };
}

function sum(counted, what) {
  return counted.reduce((total, report) => total + report[what], 0);
}
