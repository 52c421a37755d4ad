import { existsSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';

/**
 * Sums vitest's JSON reports, names what did not run, and ends with a plain line. A test that was skipped counts as
 * one that did not run, and so does a report without tests: both fail.
 */
const counts = { passed: 0, failed: 0 };
const missing = [];

for (const path of process.argv.slice(2)) {
  const project = basename(path, '.json');
  if (!existsSync(path)) {
    missing.push(`${project}: it left no report`);
    continue;
  }
  const tests = JSON.parse(readFileSync(path, 'utf8')).testResults.flatMap(({ name, status, assertionResults }) =>
    assertionResults.length === 0 ? [{ fullName: name, status }] : assertionResults,
  );
  if (tests.length === 0) missing.push(`${project}: no test at all`);
  for (const { fullName, status } of tests) {
    if (status === 'passed') counts.passed++;
    else if (status === 'failed') counts.failed++;
    else missing.push(`${project}: ${fullName} (${status})`);
  }
}

process.stdout.write(`did not run: ${missing.length === 0 ? 'nothing' : missing.join('\n  ')}\n`);
process.stdout.write(`${counts.passed} passed, ${counts.failed} failed\n`);
process.exitCode = missing.length > 0 || counts.failed > 0 || counts.passed === 0 ? 1 : 0;
