import { dirname } from 'node:path/posix';
import type { Owner } from '#src/deploy/action.ts';
import type { Answers } from '#src/deploy/doctor/answers.ts';
import type { FileAnswer } from '#src/deploy/doctor/ask/files.ts';
import type { Deployed, HomeOf } from '#src/deploy/doctor/deployed.ts';
import type { Fix, MachineFinding } from '#src/deploy/doctor/finding.ts';
import { asRoot, isRootsShell } from '#src/deploy/as-root.ts';
import { deployAgain } from '#src/deploy/doctor/words.ts';
import type { Facts } from '#src/deploy/facts.ts';
import { shellWord } from '#src/core/shell-word.ts';

/** Whether the homes and the keys in them belong to whom they should, and to nobody else. */
export function checkPermissions(
  facts: Facts,
  deployed: Deployed,
  { files }: Pick<Answers, 'files'>,
): MachineFinding[] {
  return deployed.homes.flatMap((home) => homeFindings(facts, deployed, home, files.get(home.path) ?? null));
}

/** Of a finding, so many paths are named. */
const NAMED = 3;

function checkOf({ path }: HomeOf): string {
  return `permissions of ${path}`;
}

function homeFindings(
  facts: Facts,
  deployed: Deployed,
  home: HomeOf,
  found: readonly FileAnswer[] | null,
): MachineFinding[] {
  const check = checkOf(home);
  if (found === null) {
    const mend = asRoot(facts, 'deploy-federation doctor');
    return [{ check, state: 'warn', found: 'they can’t be looked at', why: 'keys may be open to others', mend }];
  }
  const self = found.find(({ path }) => path === home.path);
  if (self === undefined) {
    const why = 'the daemon keeps its key and its memory there';
    return [{ check, state: 'fail', found: 'the folder is missing', why, mend: 'deploy-federation' }];
  }
  const strangers = found.filter(({ owner }) => owner !== home.owner);
  const open = found.filter((file) => isSecret(file, home) && isOpen(file));
  // In this order they can be mended: who is to close a file has to own it.
  const problems = [
    ...(strangers.length > 0 ? [ownerFinding(facts, deployed, home, strangers)] : []),
    ...(isOpen(self) ? [openHome(facts, home, self, check)] : []),
    ...(open.length > 0 ? [openSecrets(facts, home, open, check)] : []),
  ];
  return problems.length > 0 ? problems : [{ check, state: 'ok', found: `for ${home.owner} alone` }];
}

function isOpen({ mode }: FileAnswer): boolean {
  return (mode & 0o077) !== 0;
}

function openHome(facts: Facts, home: HomeOf, { mode }: FileAnswer, check: string): MachineFinding {
  return {
    check,
    state: 'fail',
    found: `others can look into it (${modeText(mode)})`,
    why: 'whoever has the key in it can be this node',
    mend: asOwner(facts, home, `chmod 700 ${shellWord(home.path)}`),
    fix: [{ do: 'folder', path: home.path, mode: 0o700, owner: ownerOf(facts, home) }],
  };
}

function openSecrets(facts: Facts, home: HomeOf, open: readonly FileAnswer[], check: string): MachineFinding {
  const paths = open.map(({ path }) => path);
  return {
    check,
    state: 'fail',
    found: `others may read ${paths.join(', ')}`,
    why: 'these are keys and tokens',
    mend: asOwner(facts, home, `chmod 600 ${paths.map(shellWord).join(' ')}`),
    fix: [run('Close keys to others', ['chmod', '600', '--', ...paths], ownerOf(facts, home))],
  };
}

/**
 * In a home that root once wrote into, a daemon can’t write any more. Root gives nothing away there: by the time it acts,
 * a path may lead elsewhere. Its owner can move aside what is in a folder of theirs, whosever it is.
 */
function ownerFinding(
  facts: Facts,
  deployed: Deployed,
  home: HomeOf,
  strangers: readonly FileAnswer[],
): MachineFinding {
  const named = strangers.slice(0, NAMED).map(({ path, owner: whose }) => `${path} belongs to ${whose}`);
  const more = strangers.length > named.length ? ` and ${strangers.length - named.length} more` : '';
  const outermost = strangers.filter(({ path }) => !strangers.some((other) => path.startsWith(`${other.path}/`)));
  const moves = outermost
    .slice(0, NAMED)
    .map(({ path }) => asOwner(facts, home, `mv ${shellWord(path)} ${shellWord(`${path}.old`)}`));
  return {
    check: checkOf(home),
    state: 'fail',
    found: `${named.join(', ')}${more}`,
    why: `the daemon runs as ${home.owner}, and can’t use what is somebody else’s`,
    mend: [...moves, deployAgain(facts, deployed.wanted)].join(' && '),
  };
}

/** Keys and tokens of ours, directly in a home; the folders in it are OpenClaw’s own business. */
function isSecret({ path, kind }: FileAnswer, home: HomeOf): boolean {
  return (
    dirname(path) === home.path && kind.startsWith('regular') && /(?:\.key|\.key\.next|-token|\.sqlite)$/.test(path)
  );
}

function ownerOf({ person }: Facts, { owner }: HomeOf): Owner {
  return owner === person.name ? 'person' : 'hub';
}

/** As its owner, also where root asks: a link in a home of theirs leads root no further than themselves. */
function asOwner({ login }: Facts, { owner }: HomeOf, command: string): string {
  if (login.name === owner) return command;
  return isRootsShell(login) ? `runuser -u ${owner} -- ${command}` : `sudo -u ${owner} ${command}`;
}

function run(title: string, argv: readonly [string, ...string[]], owner: Owner): Fix {
  return { do: 'run', title, argv, owner, undo: null, hint: 'do it by hand, as root' };
}

function modeText(mode: number): string {
  return mode.toString(8).padStart(4, '0');
}
