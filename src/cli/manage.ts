import { Argument, Command, InvalidArgumentError, Option } from 'commander';
import { runCommandLine } from '#src/adapters/command-line.ts';
import { reportError, say } from '#src/adapters/terminal.ts';
import { VERSION } from '#src/adapters/version.ts';
import { refuseEmpty } from '#src/cli/empty-argument.ts';
import { Interrupted } from '#src/cli/deploy/question.ts';
import { fitHelp, helpText } from '#src/cli/deploy/help-text.ts';
import type { ApproveFlags } from '#src/cli/manage/approve.ts';
import type { GlobalFlags } from '#src/cli/manage/context.ts';
import type { ExecFlags } from '#src/cli/manage/exec.ts';
import type { ReadFlags, WriteFlags } from '#src/cli/manage/files.ts';
import type { ToolFlags } from '#src/cli/manage/tool.ts';
import type { LoginFlags } from '#src/cli/manage/login.ts';
import { addHandoffCommands } from '#src/cli/manage/handoff/commands.ts';
import { addModelCommands } from '#src/cli/manage/models/commands.ts';
import { splitAtDashes, withDashesHint } from '#src/cli/manage/dashes.ts';
import { TIMES } from '#src/cli/manage/duration.ts';
import type { TokenFlags } from '#src/cli/manage/token.ts';
import { FederationError } from '#src/core/errors.ts';
import { ROLES } from '#src/core/node.ts';

/** `manage-federation`: the operator's commands, on the master. Returns the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  let exitCode = 0;
  const ends = (work: Promise<number>): Promise<void> => work.then((code) => void (exitCode = code));
  // The reader of a pipe has gone: nobody is left to tell anything, as for any program that gets SIGPIPE. What goes on
  // in this process, such as a job's answer, must not keep it; the hub ends the job of a client that leaves.
  process.stdout.on('error', (error: NodeJS.ErrnoException) =>
    process.exit(error.code === 'EPIPE' ? 128 + 13 : lost(error)),
  );
  try {
    const { own, command } = splitAtDashes(argv);
    await runCommandLine(commands(command, ends), own);
    return exitCode;
  } catch (error) {
    if (error instanceof Interrupted) {
      say('\nnothing was done');
      return INTERRUPTED;
    }
    return reportError(withDashesHint(error, argv), { json: splitAtDashes(argv).own.includes('--json') });
  }
}

const INTERRUPTED = 130;

/** Results that can't be written are no success, however well the command went. */
function lost(cause: NodeJS.ErrnoException): number {
  const message = `the output can’t be written (${cause.code})`;
  return reportError(new FederationError('OUTPUT_LOST', message, { hint: 'make room, or write it elsewhere', cause }));
}

type ApproveOptions = Pick<ApproveFlags, 'replace' | 'models' | 'wait' | 'timeout'>;
type TokenOptions = Omit<TokenFlags, keyof GlobalFlags>;
type Ends = (work: Promise<number>) => Promise<void>;

/** Each command loads its own module, so that none waits for what only another one needs. */
function commands(dashed: readonly string[] | null, ends: Ends): Command {
  const program = fitHelp(new Command('manage-federation'), { showGlobalOptions: true, subcommandTerm })
    .description('See and steer a federation: on the master, as the person who deployed it, or where you logged in.')
    .version(VERSION)
    .option('--home <folder>', 'home of the master (default: ~/.openclaw-federation)')
    .option('--json', 'answer as JSON on standard output')
    .option('--yes', 'do not ask, where a command on many nodes, prune or revoke would')
    .addHelpText('after', EXAMPLES)
    .hook('preAction', (_, command) => refuseEmpty(command, dashed !== null));
  const command = (usage: string, description: string, ...examples: string[]) =>
    program.command(usage).description(description).addHelpText('after', examplesText(examples));
  const all = <T extends object>(own: T): T & GlobalFlags => ({ ...program.opts<GlobalFlags>(), ...own });

  command('status', 'the hub in numbers', 'status', 'status --json').action(async (own: object) =>
    ends((await import('#src/cli/manage/status.ts')).showStatus(all(own))),
  );
  command('list', 'every node and its state', 'list', `list --json | jq -r '.[].name'`).action(async (own: object) =>
    ends((await import('#src/cli/manage/nodes.ts')).listNodes(all(own))),
  );
  command('show <node>', 'all that is known of one node', 'show home-server').action(
    async (node: string, own: object) => ends((await import('#src/cli/manage/show.ts')).showNode(node, all(own))),
  );
  command('pending', 'all that wait for approval, of whatever kind', 'pending').action(async (own: object) =>
    ends((await import('#src/cli/manage/pending.ts')).listPending(all(own))),
  );
  command(
    'approve <node...>',
    'let in what waits, by name, id or fingerprint, and wait until it can be used',
    'approve home-server',
    'approve pi nas --no-wait',
    'approve 896f-3850-0352-d5be --replace',
  )
    .option('--replace', 'let a new key take over a name; its former holder is revoked')
    .option('--no-models', 'its models are for its own programs: models allow NODE changes that')
    .option('--no-wait', 'do not wait until it can be used')
    .option('--timeout <time>', `wait for so long (${TIMES})`, '120s')
    .action(async (nodes: string[], own: ApproveOptions) =>
      ends((await import('#src/cli/manage/approve.ts')).approveNodes(nodes, all(own))),
    );
  command('reject <node...>', 'refuse what waits', 'reject home-server').action(async (nodes: string[], own: object) =>
    ends((await import('#src/cli/manage/reject.ts')).rejectNodes(nodes, all(own))),
  );
  command(
    'revoke <node>',
    'put a node out: its link closes and its jobs end; OpenClaw’s own is removed there',
    'revoke home-server',
  ).action(async (node: string, own: object) =>
    ends((await import('#src/cli/manage/revoke.ts')).revokeNode(node, all(own))),
  );
  command('rename <node> <name>', 'give a member another name', 'rename home-server cellar').action(
    async (node: string, name: string, own: object) =>
      ends((await import('#src/cli/manage/member.ts')).renameNode(node, name, all(own))),
  );
  command(
    'label <node> <changes...>',
    'set labels of a member, or take them away (env-)',
    'label pi env=home gpu=no',
    'label pi env-',
  ).action(async (node: string, changes: string[], own: object) =>
    ends((await import('#src/cli/manage/member.ts')).labelNode(node, changes, all(own))),
  );
  const group = command('group', 'groups of nodes, which @GROUP names', 'group', 'exec @gpu -- nvidia-smi').action(
    async () => ends((await import('#src/cli/manage/group.ts')).listGroups(all({}))),
  );
  group
    .command('add <group> <node...>')
    .description('put nodes into a group')
    .addHelpText('after', examplesText(['group add gpu box1 box2']))
    .action(async (name: string, nodes: string[]) =>
      ends((await import('#src/cli/manage/group.ts')).addToGroup(name, nodes, all({}))),
    );
  group
    .command('remove <group> <node...>')
    .description('take nodes out of a group; it is gone with its last node')
    .addHelpText('after', examplesText(['group remove gpu box2']))
    .action(async (name: string, nodes: string[]) =>
      ends((await import('#src/cli/manage/group.ts')).removeFromGroup(name, nodes, all({}))),
    );
  command('drain <node...>', 'leave nodes out of what means all, or a group', 'drain pi').action(
    async (nodes: string[], own: object) =>
      ends((await import('#src/cli/manage/member.ts')).drainNodes(nodes, all(own))),
  );
  command('undrain <node...>', 'end that', 'undrain pi').action(async (nodes: string[], own: object) =>
    ends((await import('#src/cli/manage/member.ts')).undrainNodes(nodes, all(own))),
  );
  command('prune', 'take away what is of no use any more', 'prune --dry-run', 'prune --unseen 90d --yes')
    .option('--unseen <time>', 'members and devices that were not seen for so long', '30d')
    .option('--dry-run', 'only show them')
    .action(async (own: { unseen: string; dryRun?: boolean }) =>
      ends((await import('#src/cli/manage/prune.ts')).prune(all(own))),
    );
  command(
    'lockdown',
    'end all that runs on every node, and let nothing run until it is lifted',
    'lockdown --reason "a key was stolen"',
    'lockdown --lift',
  )
    .option('--reason <text>', 'shown to everybody whose command is denied')
    .option('--lift', 'let commands run again')
    .action(async (own: { reason?: string; lift?: boolean }) =>
      ends((await import('#src/cli/manage/lockdown.ts')).lockdown(all(own))),
    );
  const token = program.command('token').description('join tokens');
  token
    .command('create')
    .description('a token that lets a machine join without waiting, and the command that uses it; shown once')
    .addHelpText('after', examplesText(['token create', 'token create --name pi --labels env=home --ttl 1h --qr']))
    .option('--name <name>', 'good for a node of this name only')
    .addOption(new Option('--role <role>', 'what the node becomes').choices(ROLES).default('worker'))
    .option('--labels <k=v,...>', 'labels that the node gets')
    .option('--ttl <time>', `how long it is good (${TIMES})`, '15m')
    .option('--uses <n>', 'how many nodes may use it', upTo1000, 1)
    .option('--no-models', 'models of who joins by it are for its own programs')
    .option('--by-rules <name>', 'lets nobody in by itself: approval rules that name it decide')
    .option('--qr', 'show the command as a QR code, too')
    .action(async (own: TokenOptions) => ends((await import('#src/cli/manage/token.ts')).createToken(all(own))));
  token
    .command('list')
    .description('the tokens that are good for something')
    .action(async () => ends((await import('#src/cli/manage/token.ts')).listTokens(all({}))));
  token
    .command('revoke <token>')
    .description('end a token, by its id or by the name that it is for; who joined by it stays')
    .addHelpText('after', examplesText(['token revoke pi']))
    .action(async (word: string) => ends((await import('#src/cli/manage/token.ts')).revokeToken(word, all({}))));

  const runs = (usage: string, description: string) =>
    command(usage, description)
      .option('--shell', 'the words are one line for the shell')
      .option('--cwd <folder>', 'where to run it (default: the home of the worker’s user)')
      .option('--env <name=value>', 'set a variable; NAME alone takes it from here', collect)
      .option('--timeout <time>', `end it on the node after this time (${TIMES})`)
      .addArgument(new Argument('[words...]', 'the command'));
  runs('exec', 'run a command on one node; the exit code is the command’s')
    .usage(
      '[options] <node> -- <program> [arguments...]  |  <node> "<line for the shell>"  |  @<group>|tags:<name>|<key>=<value> …',
    )
    .option('--all', 'on every online worker and hybrid instead of one node')
    .option('--raw', 'bytes as they are, also on a terminal')
    .option('-i, --stdin', 'pass standard input, also from a terminal')
    .option('--no-stdin', 'do not pass standard input')
    .addHelpText('after', helpText(EXEC_EXAMPLES))
    .action(async (words: string[], own: ExecFlags) =>
      ends((await import('#src/cli/manage/exec.ts')).exec(words, dashed, all(own))),
    );
  runs('broadcast', 'run a command on every online worker and hybrid at once')
    .usage(
      '[options] -- <program> [arguments...]  |  "<line for the shell>"  |  <node|@group|tags:name|key=value...> -- …',
    )
    .addHelpText('after', helpText(BROADCAST_EXAMPLES))
    .action(async (words: string[], own: ExecFlags) =>
      ends((await import('#src/cli/manage/exec.ts')).broadcast(words, dashed, all(own))),
    );

  command(
    'read <node> <path>',
    'a file of a node, on standard output',
    'read home-server /var/log/syslog --offset=-10000',
    'read nas photos/a.jpg > a.jpg',
  )
    .option('--offset <bytes>', 'from this byte on; below zero from the end')
    .option('--length <bytes>', 'this many bytes at most')
    .option('--raw', 'bytes as they are, also on a terminal')
    .action(async (node: string, path: string, own: ReadFlags) =>
      ends((await import('#src/cli/manage/files.ts')).readFile(node, path, all(own))),
    );
  command(
    'write <node> <path>',
    'write a file of a node, whole or not at all, from standard input',
    'write pi notes.txt --from notes.txt',
    'write pi /tmp/hello --if-absent < hello',
  )
    .option('--from <file>', 'a file of this machine; - is standard input', '-')
    .option('--mode <octal>', 'its permissions (default: as before, or 644)')
    .option('--if-absent', 'only where there is none yet')
    .action(async (node: string, path: string, own: WriteFlags) =>
      ends((await import('#src/cli/manage/files.ts')).writeFile(node, path, all(own))),
    );
  command(
    'tool <node> <tool> [json]',
    'call a tool of a node: one of its own OpenClaw, or node:COMMAND of its node host',
    `tool vps sessions_list '{"limit": 5}'`,
    `tool macbook node:camera.snap --json`,
  )
    .option('--timeout <time>', `give it up after this time (${TIMES})`)
    .action(async (node: string, tool: string, json: string | undefined, own: ToolFlags) =>
      ends((await import('#src/cli/manage/tool.ts')).callTool(node, tool, json, all(own))),
    );
  addHandoffCommands(program, { ends, all, examples: examplesText, dashed, prose: helpText });
  addModelCommands(program, { ends, all, examples: examplesText });
  command('jobs', 'what ran, the latest first', 'jobs --limit 5')
    .option('--limit <n>', 'how many', upTo1000, 20)
    .action(async (own: { limit: number }) => ends((await import('#src/cli/manage/history.ts')).listJobs(all(own))));
  const audit = command('audit', 'who did what', 'audit --limit 100', 'audit verify')
    .option('--limit <n>', 'how many records', upTo1000, 50)
    .action(async (own: { limit: number }) => ends((await import('#src/cli/manage/history.ts')).listAudit(all(own))));
  audit
    .command('verify')
    .description('whether a record was changed, cut or moved; exit code 1 if so')
    .action(async () => ends((await import('#src/cli/manage/history.ts')).verifyAudit(all({}))));
  command(
    'login <hub>',
    'let this machine operate a federation whose master is another one',
    'login vps',
    'login vps.tail.example --name laptop --hub-key 896f-3850-0352-d5be',
  )
    .option('--name <name>', 'what this machine’s operator is called (default: the host name)')
    .option('--hub-key <fingerprint>', 'the hub’s key, as the master’s status shows it, instead of asking')
    .action(async (hub: string, own: LoginFlags) =>
      ends((await import('#src/cli/manage/login.ts')).login(hub, all(own))),
    );
  command('logout', 'end the login of this machine', 'logout').action(async (own: object) =>
    ends((await import('#src/cli/manage/operators.ts')).logout(all(own))),
  );
  const operators = command(
    'operators',
    'who may operate from another machine',
    'operators',
    'operators revoke laptop',
  ).action(async (own: object) => ends((await import('#src/cli/manage/operators.ts')).listOperators(all(own))));
  operators
    .command('revoke <name>')
    .description('put an operator out: what that key does ends at once')
    .action(async (name: string) => ends((await import('#src/cli/manage/operators.ts')).revokeOperator(name, all({}))));
  command('doctor', 'what is wrong, why it matters and what mends it', 'doctor').action(async (own: object) =>
    ends((await import('#src/cli/manage/doctor.ts')).doctor(all(own))),
  );
  return program;
}

/** In the list of commands: what to type, without what every command takes. */
function subcommandTerm(command: Command): string {
  const [usage = ''] = command.usage().replace('[options]', '').split('  |  ');
  return `${command.name()} ${usage.trim()}`.trim();
}

/** The hub takes no larger number, so that no answer is without bounds. */
function upTo1000(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= 1000) return value;
  throw new InvalidArgumentError('not a whole number from 1 to 1000');
}

function collect(value: string, before: string[] = []): string[] {
  return [...before, value];
}

function examplesText(examples: readonly string[]): string {
  if (examples.length === 0) return '';
  return [
    '',
    examples.length === 1 ? 'Example:' : 'Examples:',
    ...examples.map((line) => `  manage-federation ${line}`),
    '',
  ].join('\n');
}

const EXAMPLES = `
Examples:
  manage-federation list
  manage-federation approve home-server
  manage-federation exec home-server -- df -h /
  manage-federation broadcast "uptime"
`;

const EXEC_EXAMPLES = `
Examples:
  manage-federation exec home-server -- uname -a
  manage-federation exec home-server "docker ps | wc -l"
  manage-federation exec pi --timeout 30s -- apt-get update
  tar c photos | manage-federation exec home-server -- tar x -C /backup

Exit codes: the command's own; 124 timed out, 126 not executable, 127 no such program or folder,
128+n signal n, 130 interrupted, 254 unknown, 255 never ran; 3 no such node, 2 wrong use, 1 a fault of this machine.
`;

const BROADCAST_EXAMPLES = `
Examples:
  manage-federation broadcast -- uptime
  manage-federation broadcast "df -h / | tail -1"
  manage-federation broadcast --json -- uname -r

Exit codes: 0 all ok, 1 some failed, 3 nothing matched, 4 some unreachable, unknown or timed out, 6 denied,
130 interrupted; the highest of 130, 6, 5, 4, 1 wins.
`;
