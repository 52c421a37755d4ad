import { say } from '#src/adapters/terminal.ts';
import type { GlobalFlags } from '#src/cli/manage/context.ts';
import { hubOf } from '#src/cli/manage/context.ts';
import { apiOf, complete, findModel } from '#src/cli/manage/models/completion.ts';
import { printFacts, printJson } from '#src/cli/print.ts';
import { FederationError } from '#src/core/errors.ts';

/** Longer than it takes to load a large model from a disk. */
const PATIENCE_MS = 300_000;

/** `manage-federation models test NODE/MODEL`: one short question, and how it went. */
export async function testModel(model: string, flags: GlobalFlags): Promise<number> {
  const hub = await hubOf(flags);
  const listed = await findModel(hub, model);
  if (flags.json !== true) say(`asking ${model} for one word; a model that is loaded first takes a while`);
  const messages = [{ role: 'user', content: 'Reply with the one word: ok' }] as const;
  const ask = { model, api: apiOf(listed), messages, maxTokens: 64 };
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(tooLate(model)), PATIENCE_MS);
  const answer = await complete(hub, ask, () => undefined, late.signal).finally(() => clearTimeout(timer));
  if (flags.json === true) {
    printJson(answer);
    return 0;
  }
  const { node, attempts, firstByteMs, totalMs, tokens, text } = answer;
  printFacts([
    ['answered by', node ?? 'a node that does not say its name'],
    ['nodes tried', String(attempts)],
    ['first byte', `${Math.round(firstByteMs)} ms`],
    ['whole answer', `${Math.round(totalMs)} ms`],
    ['tokens', tokens === null ? 'not told' : `${tokens.input} in, ${tokens.output} out`],
    ['said', text.trim() === '' ? '(no text within 64 tokens)' : text.trim().replace(/\s+/g, ' ').slice(0, 200)],
  ]);
  return 0;
}

function tooLate(model: string): FederationError {
  return new FederationError('UPSTREAM_FAILED', `${model} has not answered in ${PATIENCE_MS / 60_000} minutes`, {
    hint: 'look into the log of the model server',
  });
}
