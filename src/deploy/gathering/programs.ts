import { z } from 'zod';
import type { Person } from '#src/adapters/machine/machine.ts';
import type { ProgramFact } from '#src/deploy/facts.ts';
import type { Answers, Question } from '#src/deploy/gathering/answers.ts';
import { compareVersions, runsOpenClaw, supportsOpenClaw } from '#src/deploy/openclaw-version.ts';
import type { Place } from '#src/deploy/place.ts';

const list = z.array(z.string()).default([]);
const programsSchema = z.object({ node: list, node_version: list, openclaw: list, openclaw_version: list });

/** The Node and the OpenClaw that a deployment would use, of all that are there. */
export function programsOf(
  answers: Answers,
  question: Question,
  person: Person,
  { scope }: Place,
): { readonly node: ProgramFact | null; readonly openclaw: ProgramFact | null } {
  const found = answers.to(question, programsSchema);
  const isPersonal = ({ program }: ProgramFact): boolean => scope === 'system' && program.startsWith(`${person.home}/`);
  const nodes = versions(found.node, found.node_version).toSorted((a, b) => compareVersions(b.version, a.version));
  const suitable = nodes.filter(({ version }) => runsOpenClaw(version));
  // Ours comes first, so that what was deployed once stays; then in the order of the person’s PATH.
  const openclaws = versions(found.openclaw, found.openclaw_version);
  return {
    node: suitable.find((one) => !isPersonal(one)) ?? suitable[0] ?? nodes[0] ?? null,
    openclaw: openclaws.find(({ version }) => supportsOpenClaw(version)) ?? openclaws[0] ?? null,
  };
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
