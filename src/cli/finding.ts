import { harmless } from '#src/adapters/terminal.ts';
import { printJson } from '#src/cli/print.ts';
import type { Finding } from '#src/core/finding.ts';
import { scrub } from '#src/core/secrets.ts';

/** Prints what a doctor found, each on a line with why and what to try below. Exit code 1 when something is broken. */
export function printFindings(findings: readonly Finding[], { json }: { readonly json: boolean }): number {
  if (json) printJson(findings.map(({ check, state, found, why, mend }) => ({ check, state, found, why, mend })));
  else for (const finding of findings) process.stdout.write(`${findingText(finding)}\n`);
  return findings.some(({ state }) => state === 'fail') ? 1 : 0;
}

const MARKS = { ok: 'ok  ', warn: 'warn', fail: 'FAIL' } as const;

/** What is found may be the words of a node or of a program: they steer no terminal and begin no line. */
export function findingText({ check, state, found, why, mend }: Finding): string {
  const lines = [`${MARKS[state]}  ${check}: ${found}`];
  if (why !== undefined) lines.push(`      why: ${why}`);
  if (mend !== undefined) lines.push(`      try: ${mend}`);
  return lines.map((line) => harmless(scrub(line).replaceAll('\n', '\u240a'))).join('\n');
}
