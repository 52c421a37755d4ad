import { existsSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';

/**
 * Sums vitest's JSON reports, names what did not run, and ends with a plain line. A test that was skipped counts as
 * one that did not run, and so does a report without tests: both fail, but for reports after `--where-it-can`, and but
 * for tests that were skipped without root.
 */
const [required, optional] = splitAt(process.argv.slice(2), '--where-it-can').map((paths) => paths.map(read));
const reports = [...required, ...optional];
const missing = reports.flatMap((report) => report.missing);
const passed = sum(reports, 'passed');
const failed = sum(reports, 'failed');
const failedWhereItCan = sum(optional, 'failed');

process.stdout.write(`did not run: ${missing.length === 0 ? 'nothing' : `\n  ${missing.join('\n  ')}`}\n`);
if (missing.length > 0) process.stdout.write(`NOT RUN: ${missing.length} of ${missing.length + passed + failed}\n`);
if (failedWhereItCan > 0) process.stdout.write(`FAILED ON REAL MACHINES: ${failedWhereItCan}, named above\n`);
process.stdout.write(`${passed} passed, ${failed} failed\n`);
const mayMiss = process.getuid?.() !== 0;
const isWhole = required.every((report) => (mayMiss || report.missing.length === 0) && report.passed > 0);
// Whole machines beside each other on a busy host: what fails there is said, and holds nothing back until the lab has
// shown that it is steady.
process.exitCode = isWhole && failed === failedWhereItCan ? 0 : 1;

function splitAt(words, mark) {
  const at = words.indexOf(mark);
  return at === -1 ? [words, []] : [words.slice(0, at), words.slice(at + 1)];
}

function read(path) {
  const project = basename(path, '.json');
  if (!existsSync(path)) return { passed: 0, failed: 0, missing: [`${project}: it left no report`] };
  const tests = JSON.parse(readFileSync(path, 'utf8')).testResults.flatMap(({ name, status, assertionResults }) =>
    assertionResults.length === 0 ? [{ fullName: name, status }] : assertionResults,
  );
  const others = tests.filter(({ status }) => status !== 'passed' && status !== 'failed');
  return {
    passed: tests.filter(({ status }) => status === 'passed').length,
    failed: tests.filter(({ status }) => status === 'failed').length,
    missing:
      tests.length === 0
        ? [`${project}: no test at all`]
        : others.map(({ fullName, status }) => `${project}: ${fullName} (${status})`),
  };
}

function sum(counted, what) {
  return counted.reduce((total, report) => total + report[what], 0);
}
