import { fstatSync } from 'node:fs';
import { say } from '#src/adapters/terminal.ts';
import type { GlobalFlags } from '#src/cli/manage/context.ts';
import { hubOf } from '#src/cli/manage/context.ts';
import { canAsk, confirm } from '#src/cli/confirm.ts';
import { parseDuration } from '#src/cli/manage/duration.ts';
import { shellWord } from '#src/core/shell-word.ts';
import type { HubApi } from '#src/adapters/hub.ts';
import { runJob, sayResults } from '#src/cli/manage/job.ts';
import { collectedOutput, linedOutput, plainOutput } from '#src/cli/manage/output.ts';
import { printJson } from '#src/cli/print.ts';
import { resultText } from '#src/core/result-text.ts';
import { FederationError } from '#src/core/errors.ts';
import { parseSelector } from '#src/core/selector.ts';
import { broadcastExitCode, execExitCode, summarize } from '#src/core/outcome.ts';
import type { Verdicts, VerdictsCreate } from '#src/protocol/action.ts';
import type { JobCreate, Result } from '#src/protocol/hub-api/job.ts';

export interface ExecFlags extends GlobalFlags {
  readonly shell?: boolean;
  readonly cwd?: string;
  readonly env?: readonly string[];
  readonly timeout?: string;
  readonly all?: boolean;
  readonly raw?: boolean;
  readonly stdin?: boolean;
}

/** More targets than this are confirmed by a person or by --yes. */
const MANY = 10;

/**
 * `manage-federation exec NODE -- ARGV…`, `exec NODE "command line"`, `exec @GROUP|tags:NAME|KEY=VALUE -- ARGV…`,
 * `exec --all -- ARGV…`
 */
export async function exec(
  words: readonly string[],
  argv: readonly string[] | null,
  flags: ExecFlags,
): Promise<number> {
  const [node, ...rest] = flags.all === true ? ['', ...words] : words;
  if (node === undefined) throw usage('no node named', 'manage-federation exec NODE -- uname -a');
  const verb = flags.all === true ? 'exec --all' : `exec ${shellWord(node)}`;
  const command = commandOf(verb, rest, argv, flags);
  const hub = await hubOf(flags);
  if (flags.all === true) return manyNodes(hub, { kind: 'exec', targets: 'all', command }, flags);
  if (parseSelector(node).kind !== 'node') return manyNodes(hub, { kind: 'exec', targets: [node], command }, flags);
  return oneNode(hub, { kind: 'exec', targets: [node], command, stdin: takesStdin(flags) }, flags);
}

/** `manage-federation broadcast [NODE|@GROUP|tags:NAME|KEY=VALUE…] -- ARGV…`, `broadcast [@GROUP|tags:NAME…] "command line"` */
export async function broadcast(
  words: readonly string[],
  argv: readonly string[] | null,
  flags: ExecFlags,
): Promise<number> {
  const count = argv === null ? words.findIndex((word) => !isNoCommand(word)) : words.length;
  const named = words.slice(0, count === -1 ? words.length : count);
  const verb = ['broadcast', ...named.map(shellWord)].join(' ');
  const command = commandOf(verb, words.slice(named.length), argv, flags);
  const targets = named.length === 0 ? ('all' as const) : named;
  return manyNodes(await hubOf(flags), { kind: 'broadcast', targets, command }, flags);
}

/** Whether it can only stand for nodes: `A=1 make` may be a command line, too. */
function isNoCommand(word: string): boolean {
  return /^(?:@|tags?:)\S*$/.test(word);
}

/** What follows `--` is an argv; a single word before it is a line for the shell, as the older scripts had it. */
function commandOf(
  verb: string,
  words: readonly string[],
  argv: readonly string[] | null,
  flags: ExecFlags,
): JobCreate['command'] {
  return {
    ...programOf(verb, words, argv, flags),
    ...(flags.cwd === undefined ? {} : { cwd: flags.cwd }),
    env: Object.fromEntries((flags.env ?? []).map(parseVariable)),
    timeoutMs: flags.timeout === undefined ? null : parseDuration(flags.timeout, '--timeout'),
  };
}

function programOf(
  verb: string,
  words: readonly string[],
  argv: readonly string[] | null,
  { shell }: ExecFlags,
): { shell: string } | { argv: string[] } {
  const [line, ...more] = words;
  const example = `manage-federation ${verb} -- uname -a`;
  if (argv === null) {
    if (line === undefined) throw usage('no command given', example);
    if (more.length === 0) return { shell: line };
    throw usage(
      'a command of several words needs -- before it',
      `manage-federation ${verb} -- ${words.map(shellWord).join(' ')}`,
    );
  }
  if (line !== undefined) throw usage(`${JSON.stringify(line)} stands before --`, 'put the whole command behind --');
  if (argv.length === 0) throw usage('no command given behind --', example);
  return shell === true ? { shell: argv.join(' ') } : { argv: [...argv] };
}

/** `NAME=value`, or `NAME` for our own value: a secret need not be typed where others can read it. */
function parseVariable(text: string): [string, string] {
  const at = text.indexOf('=');
  if (at > 0) return [text.slice(0, at), text.slice(at + 1)];
  const value = process.env[text];
  if (value !== undefined) return [text, value];
  throw usage(`--env: ${JSON.stringify(text)} is not NAME=VALUE, and not set here`, '--env LANG=C');
}

/** A file or a pipe is passed on; a terminal only on demand; /dev/null is nothing to pass. */
function takesStdin({ stdin }: ExecFlags): boolean {
  if (stdin !== undefined) return stdin;
  if (process.stdin.isTTY) return false;
  try {
    const found = fstatSync(0);
    return found.isFile() || found.isFIFO() || found.isSocket();
  } catch {
    return false;
  }
}

async function oneNode(hub: HubApi, job: JobCreate, flags: ExecFlags): Promise<number> {
  const collected = flags.json === true ? collectedOutput() : null;
  const finished = await runJob(hub, job, collected ?? plainOutput(flags.raw ?? false));
  const [result] = finished.results;
  if (result === undefined) throw new FederationError('NOTHING_MATCHED', 'no node was meant');
  if (collected !== null) printJson(jobJson(finished.opened.job, finished.results, collected));
  else if (needsWords(result)) say(`${result.node}: ${resultText(result)}`);
  return finished.interrupted ? 130 : execExitCode(result);
}

/** The command speaks for itself where it ran; where it did not, somebody has to. */
function needsWords({ outcome, reason }: Result): boolean {
  return outcome !== 'ok' && (outcome !== 'failed' || reason !== null);
}

async function manyNodes(hub: HubApi, job: JobCreate, flags: ExecFlags): Promise<number> {
  await confirmMany(hub, job, flags);
  const collected = flags.json === true ? collectedOutput() : null;
  const finished = await runJob(hub, job, collected ?? linedOutput());
  if (collected !== null) printJson(jobJson(finished.opened.job, finished.results, collected));
  else sayResults(finished.results);
  return finished.interrupted ? 130 : broadcastExitCode(summarize(finished.results));
}

async function confirmMany(hub: HubApi, { targets, command }: JobCreate, { yes }: GlobalFlags): Promise<void> {
  if (yes === true) return;
  const wish: VerdictsCreate = { targets, action: { kind: 'exec', command } };
  const count = (await hub.ask<Verdicts>('POST', '/verdicts', wish)).targets.length;
  if (count <= MANY) return;
  if (canAsk()) return confirm(`run this on ${count} nodes?`);
  throw new FederationError('CONFIRMATION_NEEDED', `this runs on ${count} nodes`, { hint: 'add --yes' });
}

function jobJson(job: string, results: readonly Result[], output: ReturnType<typeof collectedOutput>) {
  return {
    job,
    summary: summarize(results),
    results: results.map(({ node, id, outcome, exitCode, signal, truncated, durationMs, replayed, reason }, target) => {
      const { truncated: cut, ...text } = output.of(target);
      return {
        node,
        id,
        outcome,
        exitCode,
        signal,
        ...text,
        truncated: truncated || cut,
        durationMs,
        replayed,
        reason,
      };
    }),
  };
}

function usage(message: string, hint: string): FederationError {
  return new FederationError('USAGE', message, { hint });
}
