import { existsSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';

/**
 * Sums vitest's JSON reports, names what did not run and what passed at a second try only, and ends with a plain line and
 * an exit code. A test that failed
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
const failures = reports.flatMap((report) => report.failures);
const failed = failures.length;
const unsteady = reports.flatMap((report) => report.unsteady);

// Said again at the end: of a long output, its end is what is kept and read.
for (const { test, why } of unsteady) process.stdout.write(`AT A SECOND TRY ONLY: ${test}\n${indented(why)}\n`);
for (const { test, why } of failures) process.stdout.write(`FAILED: ${test}\n${indented(why)}\n`);
process.stdout.write(`did not run: ${missing.length === 0 ? 'nothing' : `\n  ${missing.join('\n  ')}`}\n`);
if (missing.length > 0) process.stdout.write(`NOT RUN: ${missing.length} of ${missing.length + passed + failed}\n`);
const again = unsteady.length === 0 ? '' : ` (${unsteady.length} of them at a second try only)`;
process.stdout.write(`${passed} passed${again}, ${failed} failed\n`);
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
  const nothing = { passed: 0, failures: [], unsteady: [], skipped: [] };
  if (!existsSync(path)) return { ...nothing, absent: [`${project}: it left no report`] };
  const tests = JSON.parse(readFileSync(path, 'utf8')).testResults.flatMap(
    ({ name, status, message, assertionResults }) =>
      assertionResults.length === 0
        ? [{ fullName: name, status, failureMessages: [message], file: name }]
        : assertionResults.map((test) => ({ ...test, file: name })),
  );
  if (tests.length === 0) return { ...nothing, absent: [`${project}: no test at all`] };
  const named = ({ file, fullName, failureMessages = [] }) => ({
    test: `${project}: ${basename(file)}: ${fullName}`,
    why: failureMessages.join('\n'),
  });
  const others = tests.filter(({ status }) => status !== 'passed' && status !== 'failed');
  return {
    passed: tests.filter(({ status }) => status === 'passed').length,
    failures: tests.filter(({ status }) => status === 'failed').map(named),
    unsteady: tests.filter(({ status, failureMessages: [first] = [] }) => status === 'passed' && first).map(named),
    skipped: others.map(({ fullName, status }) => `${project}: ${fullName} (${status})`),
    absent: [],
  };
}

/** The first lines of what a test says of its failure. */
function indented(text) {
  const lines = text.split('\n').slice(0, 20);
  return lines.map((line) => `  ${line.slice(0, 300)}`).join('\n');
}

function sum(counted, what) {
  return counted.reduce((total, report) => total + report[what], 0);
}
