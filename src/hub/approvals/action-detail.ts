import { createHash } from 'node:crypto';
import type { Action } from '#src/core/action.ts';
import { actionText } from '#src/core/action.ts';
import type { Asker } from '#src/core/policy.ts';
import { scrub } from '#src/core/secrets.ts';
import { shellWord } from '#src/core/shell-word.ts';

/** What an approval is bound to: SHA-256 of an action's text, hex. */
export function actionHash(action: Action): string {
  return createHash('sha256').update(actionText(action)).digest('hex');
}

/** An action as the audit has it: `sha256` proves what it was, and no secret can be read from it. */
export function actionDetail(action: Action): Readonly<Record<string, unknown>> {
  return { action: action.kind, ...shownPart(action), sha256: actionHash(action) };
}

/** Characters of a long text that the audit shows; its hash stands for the rest. */
const MAX_SHOWN = 2000;

function shownPart(action: Action): Readonly<Record<string, unknown>> {
  switch (action.kind) {
    case 'exec': {
      const { argv = [], shell, cwd, env = {} } = action.command;
      // Names only: a value may well be a secret.
      return { command: scrub(shell ?? argv.map(shellWord).join(' ')), cwd: cwd ?? null, env: Object.keys(env) };
    }
    case 'read':
      return { path: action.path };
    case 'write':
      return { path: action.path, size: action.size, content: action.sha256 };
    case 'handoff': {
      const files = action.files.map(({ name, size, sha256 }) => ({ name, size, sha256 }));
      return { agent: action.agent, task: scrub(action.task.slice(0, MAX_SHOWN)), files };
    }
    case 'message':
      return { agent: action.agent, message: scrub(action.message.slice(0, MAX_SHOWN)) };
    case 'tool':
      return { tool: action.tool, args: scrub(JSON.stringify(action.args)) };
  }
}

/** Who asked, beyond the one word: nothing for whoever is no chat. */
export function askerDetail(asker: Asker): Readonly<Record<string, unknown>> {
  if (asker.kind !== 'chat') return {};
  const { channel, sender, agent = null, session = null } = asker;
  return { chat: { channel, sender, agent, session } };
}
