import { dirname } from 'node:path/posix';
import type { Owner } from '#src/deploy/action.ts';
import type { Answers } from '#src/deploy/doctor/answers.ts';
import type { FileAnswer } from '#src/deploy/doctor/ask/files.ts';
import type { Deployed, HomeOf } from '#src/deploy/doctor/deployed.ts';
import type { Fix, MachineFinding } from '#src/deploy/doctor/finding.ts';
import { asRoot } from '#src/deploy/doctor/words.ts';
import type { Facts } from '#src/deploy/facts.ts';
import { shellWord } from '#src/core/shell-word.ts';

/** Whether the homes and the keys in them belong to whom they should, and to nobody else. */
export function checkPermissions(
  facts: Facts,
  { homes }: Deployed,
  { files }: Pick<Answers, 'files'>,
): MachineFinding[] {
  return homes.flatMap((home) => homeFindings(facts, home, files.get(home.path) ?? null));
}

function homeFindings(facts: Facts, home: HomeOf, found: readonly FileAnswer[] | null): MachineFinding[] {
  const check = `permissions of ${home.path}`;
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
    ...(strangers.length > 0 ? [ownerFinding(facts, home, strangers, check)] : []),
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

/** In a home that root once wrote into, a daemon can’t write any more. */
function ownerFinding(facts: Facts, home: HomeOf, strangers: readonly FileAnswer[], check: string): MachineFinding {
  const owner =
    home.owner === facts.person.name ? `${home.owner}:${facts.person.group}` : `${home.owner}:${home.owner}`;
  // A second name of a file may be anywhere: who made it decides what would be given away.
  const safe = strangers.filter(
    ({ links, kind }) => kind === 'directory' || (links === 1 && kind.startsWith('regular')),
  );
  const named = strangers.slice(0, 3).map(({ path, owner: whose }) => `${path} belongs to ${whose}`);
  const more = strangers.length > named.length ? ` and ${strangers.length - named.length} more` : '';
  return {
    check,
    state: 'fail',
    found: `${named.join(', ')}${more}`,
    why: `the daemon runs as ${home.owner}, and can’t use what is somebody else’s`,
    mend: asRoot(facts, `chown -R ${owner} ${shellWord(home.path)}`),
    ...(safe.length === 0
      ? {}
      : {
          fix: [
            run(
              'Give files back to their owner',
              ['chown', '-h', owner, '--', ...safe.map(({ path }) => path)],
              'root',
            ),
          ],
        }),
  };
}

/** Keys and tokens of ours, directly in a home; the folders in it are OpenClaw’s own business. */
function isSecret({ path, kind }: FileAnswer, home: HomeOf): boolean {
  return dirname(path) === home.path && kind.startsWith('regular') && /(?:\.key|-token|\.sqlite)$/.test(path);
}

function ownerOf({ person }: Facts, { owner }: HomeOf): Owner {
  return owner === person.name ? 'person' : 'hub';
}

function asOwner(facts: Facts, { owner }: HomeOf, command: string): string {
  return facts.login.name === owner ? command : asRoot(facts, command);
}

function run(title: string, argv: readonly [string, ...string[]], owner: Owner): Fix {
  return { do: 'run', title, argv, owner, undo: null, hint: 'do it by hand, as root' };
}

function modeText(mode: number): string {
  return mode.toString(8).padStart(4, '0');
}
