import { createTwoFilesPatch, FILE_HEADERS_ONLY } from 'diff';
import { findNodeAtLocation, parseTree } from 'jsonc-parser';
import type { ActionOf } from '#src/deploy/action.ts';
import { mergedText } from '#src/deploy/actions/merge-text.ts';

const SECRET = '‹secret›';
/** Values that a person's file may have beside ours, and which would stand around a change. */
const SECRET_VALUE = /((?:token|secret|password|apiKey|api_key)["']?\s*:\s*)(["'])(?!‹)(?:\\.|(?!\2).)+\2/gi;

/**
 * What an action does to a file, as a unified diff in which no secret is; `now` is its text, null where there is none.
 * Empty where nothing changes. Throws SETTINGS_INVALID as merging does.
 */
export function changeText(action: ActionOf<'write' | 'merge'>, now: string | null): string {
  const { path } = action;
  const next = action.do === 'write' ? action.text : mergedText(path, now, action.values);
  if (next === now) return '';
  const hidden = (text: string): string =>
    action.do === 'merge' ? withoutValues(text, action.secrets) : action.secret === true ? `${SECRET}\n` : text;
  const before = now === null ? '' : hidden(now);
  const after = hidden(next);
  if (before === after) return `${path}: ${SECRET} becomes another\n`;
  const from = now === null ? '/dev/null' : path;
  return createTwoFilesPatch(from, path, before, after, undefined, undefined, { headerOptions: FILE_HEADERS_ONLY });
}

function withoutValues(text: string, keys: readonly string[]): string {
  const hidden = keys.reduce((hiding, key) => {
    const tree = parseTree(hiding, [], { allowTrailingComma: true });
    const node = tree === undefined ? undefined : findNodeAtLocation(tree, key.split('.'));
    if (node === undefined) return hiding;
    return `${hiding.slice(0, node.offset)}"${SECRET}"${hiding.slice(node.offset + node.length)}`;
  }, text);
  return hidden.replace(SECRET_VALUE, `$1$2${SECRET}$2`);
}
