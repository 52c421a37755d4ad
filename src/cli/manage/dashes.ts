import { shellWord } from '#src/core/shell-word.ts';
import { FederationError } from '#src/core/errors.ts';

/** What stands behind `--` is somebody else's command line and not looked at. */
export function splitAtDashes(argv: readonly string[]): {
  own: readonly string[];
  command: readonly string[] | null;
} {
  const at = argv.indexOf('--');
  return at < 0 ? { own: argv, command: null } : { own: argv.slice(0, at), command: argv.slice(at + 1) };
}

/** An option that was not known, behind the program that a person wants to run, is most likely one of that program. */
export function withDashesHint(error: unknown, argv: readonly string[]): unknown {
  if (!(error instanceof FederationError) || argv.includes('--')) return error;
  const [, option = ''] = /^unknown option '(.+)'$/.exec(error.message) ?? [];
  const [verb, words] = behindVerb(argv, option);
  if (words.length === 0) return error;
  const program = words.slice(verb === 'exec' ? 1 : 0).map(shellWord);
  const head = `manage-federation ${verb}${verb === 'exec' ? ` ${words[0]}` : ''}`;
  return new FederationError(error.code, error.message, {
    hint: `put -- before the program (${head} -- ${program.join(' ')})`,
    cause: error,
  });
}

/** The words behind exec or broadcast where a program stands among them before the option; else none. */
function behindVerb(argv: readonly string[], option: string): [verb: string, words: readonly string[]] {
  const at = argv.findIndex((word) => word === 'exec' || word === 'broadcast');
  const verb = argv[at] ?? '';
  const words = argv.slice(at + 1);
  const before = words.slice(0, words.indexOf(option));
  const isBehind = before.length >= (verb === 'exec' ? 2 : 1) && !before.some((word) => word.startsWith('-'));
  return [verb, at >= 0 && words.includes(option) && isBehind ? words : []];
}
