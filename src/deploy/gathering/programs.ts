import { z } from 'zod';
import type { Machine } from '#src/adapters/machine/machine.ts';
import type { ProgramFact } from '#src/deploy/facts.ts';
import type { Answers, Question } from '#src/deploy/gathering/answers.ts';
import { ask, word } from '#src/deploy/gathering/answers.ts';
import { compareVersions, runsOpenClaw, supportsOpenClaw } from '#src/deploy/openclaw-version.ts';
import type { Scope } from '#src/deploy/place.ts';

const list = z.array(z.string()).default([]);
const programsSchema = z.object({ node: list, node_version: list, openclaw: list, openclaw_version: list });

/** Of those that are there, what a deployment would use. */
export async function programsOf(answers: Answers, question: Question, { machine, scope, signal }: Asking) {
  const found = answers.to(question, programsSchema);
  const nodes = versions(found.node, found.node_version).toSorted((a, b) => compareVersions(b.version, a.version));
  const suitable = nodes.filter(({ version }) => runsOpenClaw(version));
  // Ours comes first, so that what was deployed once stays; then in the order of the person’s PATH.
  const openclaws = versions(found.openclaw, found.openclaw_version);
  return {
    node: scope === 'system' ? await rootsNode(suitable, machine, signal) : (suitable[0] ?? nodes[0] ?? null),
    openclaw: openclaws.find(({ version }) => supportsOpenClaw(version)) ?? openclaws[0] ?? null,
  };
}

export interface Asking {
  readonly machine: Machine;
  readonly scope: Scope;
  readonly signal: AbortSignal;
}

/** More than a person has, and few enough for a command line. */
const MAX_NODES = 32;

const nodeSchema = z.object({ node_version: word.optional() });

/** What the person names is run by root too, in time: one counts where root alone can change it, as root sees it. */
async function rootsNode(
  named: readonly ProgramFact[],
  machine: Machine,
  signal: AbortSignal,
): Promise<ProgramFact | null> {
  if (named.length === 0) return null;
  const questions = named.slice(0, MAX_NODES).map(({ program }) => ['node', program] as const);
  const answers = await ask(machine, [{ as: 'root', questions }], signal);
  const nodes = questions.flatMap((question) =>
    versions([question[1]], [answers.to(question, nodeSchema).node_version ?? '']),
  );
  return nodes.find(({ version }) => runsOpenClaw(version)) ?? null;
}

function versions(programs: readonly string[], texts: readonly string[]): ProgramFact[] {
  return programs.flatMap((program, index) => {
    const version = versionIn(texts[index] ?? '');
    return version === undefined ? [] : [{ program, version }];
  });
}

const packageSchema = z.object({ version: z.string() });

/** Of a package.json, or of what a program says of itself: `v24.21.0`, `OpenClaw 2026.9.6 (eb377ac)`. */
function versionIn(text: string): string | undefined {
  const version = text.startsWith('{') ? packageSchema.safeParse(parsed(text)).data?.version : text;
  return /\d+\.\d+\.\d+(?:-[\w.-]+)?/.exec(version ?? '')?.[0];
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}
