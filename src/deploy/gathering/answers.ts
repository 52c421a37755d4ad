import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import type { Machine, Person } from '#src/adapters/machine/machine.ts';
import { FederationError } from '#src/core/errors.ts';

/** What `templates/facts.sh` can be asked: a question’s name, and its arguments. */
export type Question =
  | readonly ['machine' | 'login' | 'ports' | 'tailscale']
  /** Name of a user; empty: who deploys. */
  | readonly ['person', name: string]
  | readonly ['file' | 'daemon' | 'folder' | 'link' | 'free' | 'node', path: string]
  | readonly ['unit', scope: 'system' | 'user', name: string, more: 'command' | '']
  | readonly ['programs', shell: string, openclawPrefix: string];

export interface Inquiry {
  /** In whose name. */
  readonly as: 'login' | 'root' | Person;
  readonly questions: readonly Question[];
}

/** What a machine answered. */
export interface Answers {
  /** Throws MACHINE_UNSUPPORTED where the answer doesn’t fit. */
  to<T extends z.ZodType>(question: Question, schema: T): z.output<T>;
}

type Answer = Record<string, string[]>;

/** A word that is said once. */
export const word = z.tuple([z.string()]).transform(([value]) => value);
export const count = word.pipe(z.string().regex(/^\d+$/).transform(Number));
/** A word that is said where it is so. */
export const flag = z
  .tuple([z.string()])
  .optional()
  .transform((value) => value !== undefined);

const SCRIPT = new URL('../../../templates/facts.sh', import.meta.url);

/** Asks a machine all that is to be known, in one go for each name. Nothing changes there. Throws as Machine.run does. */
export async function ask(machine: Machine, inquiries: readonly Inquiry[], signal: AbortSignal): Promise<Answers> {
  const script = await readFile(SCRIPT, 'utf8');
  const found = await Promise.all(inquiries.map((inquiry) => answersTo(machine, inquiry, script, signal)));
  const answers = new Map(found.flatMap((some) => [...some]));
  return {
    to(question, schema) {
      const parsed = schema.safeParse(answers.get(keyOf(question)) ?? {});
      if (!parsed.success) throw unsupported(machine, `${question.join(' ').trim()}: ${problemOf(parsed.error)}`);
      return parsed.data;
    },
  };
}

async function answersTo(
  machine: Machine,
  { as, questions }: Inquiry,
  script: string,
  signal: AbortSignal,
): Promise<Map<string, Answer>> {
  const { stdout, stderr } = await machine.run({
    argv: ['sh', '-s', '--', ...questions.flat()],
    as,
    input: script,
    signal,
  });
  const answers = questions.map((): Answer => ({}));
  const words = wordsOf(stdout);
  if (words.at(-2) !== `${questions.length}.end`) {
    throw unsupported(machine, stderr.trim().split('\n').at(-1) || 'its shell did not come to the end');
  }
  for (let index = 0; index < words.length - 2; index += 2) {
    const [key = '', value = ''] = words.slice(index, index + 2);
    const [number, name = ''] = key.split('.');
    const answer = answers[Number(number)];
    if (answer === undefined) throw unsupported(machine, 'it answers what was not asked');
    (answer[name] ??= []).push(value);
  }
  return new Map(questions.map((question, index) => [keyOf(question), answers[index]!]));
}

/** Keys and values in turn, out of whatever else a login shell printed. */
function wordsOf(stdout: string): string[] {
  const [, framed = ''] = /^federation facts begin\r?\n([A-Za-z0-9+/=\s]*)^federation facts end/m.exec(stdout) ?? [];
  return Buffer.from(framed, 'base64').toString('utf8').split('\0').slice(0, -1);
}

function keyOf(question: Question): string {
  return question.join('\0');
}

function problemOf(error: z.ZodError): string {
  const [issue] = error.issues;
  return `${issue?.path[0]?.toString() ?? 'its answer'} can’t be told`;
}

function unsupported(machine: Machine, problem: string): FederationError {
  return new FederationError('MACHINE_UNSUPPORTED', `can’t see how ${machine.name} stands: ${problem}`, {
    hint: 'it has to be a Linux with a POSIX shell, coreutils and base64',
  });
}
