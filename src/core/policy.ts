import type { Role } from '#src/core/node.ts';
import { isLook } from '#src/core/node-command.ts';

/** Who asks. It travels with every call to the worker, which decides once more. */
export type Asker =
  | {
      readonly kind: 'operator';
      readonly name: string;
      /** Id of the key by which it asks; none: by the master’s own socket. No node is told. */
      readonly key?: string | undefined;
      /** A program, by a key: all that it may do is hand work to these agents, as reach.ts reads them. */
      readonly agents?: readonly string[] | undefined;
    }
  | ChatAsker
  | { readonly kind: 'node'; readonly id: string };

/** Somebody in a chat, by the word of the gateway's plugin; `agent` is the one that acts on what they said. */
export interface ChatAsker {
  readonly kind: 'chat';
  readonly channel: string;
  readonly sender: string;
  readonly owner: boolean;
  readonly agent?: string | undefined;
  readonly session?: string | undefined;
}

/** As a node is told of it: by which key is the hub’s to know. */
export function askerForNodes(asker: Asker): Asker {
  if (asker.kind !== 'operator') return asker;
  const { key: _key, ...told } = asker;
  return told;
}

/** The asker in one word, for lists and the audit. */
export function askerText(asker: Asker): string {
  switch (asker.kind) {
    case 'operator':
      return asker.name;
    case 'chat':
      return `${asker.channel}:${asker.sender}`;
    case 'node':
      return asker.id;
  }
}

/**
 * A node's own word on what may run there. It narrows what the table below allows and never widens it.
 * A rule is an argv: a literal word, `*` for any one word, `**` at the end for any rest.
 */
export interface ExecSettings {
  readonly mode: 'full' | 'allowlist' | 'off';
  readonly allow: readonly (readonly string[])[];
  readonly deny: readonly (readonly string[])[];
}

export type Verdict =
  | { readonly kind: 'allow'; readonly rule: string }
  | { readonly kind: 'approval'; readonly rule: string }
  | { readonly kind: 'deny'; readonly rule: string };

const deny = (rule: string): Verdict => ({ kind: 'deny', rule });

/** Who may run what before anyone writes a policy. Deploying a machine as worker or hybrid is the consent to it. */
export function consent(asker: Asker, role: Role): Verdict {
  switch (asker.kind) {
    case 'operator':
      return { kind: 'allow', rule: 'operator' };
    case 'chat':
      if (!asker.owner) return deny('only the owner may run commands from a chat');
      if (role === 'worker') return { kind: 'allow', rule: 'owner-chat' };
      return { kind: 'approval', rule: `the owner approves each command on a ${role}` };
    case 'node':
      return deny('a node may not run commands on another');
  }
}

/**
 * The same for `node:COMMAND` on a node without a daemon of ours: nobody there has a list of what is open, so a chat may
 * look, and the owner is asked before anything else.
 */
export function consentToCommand(asker: Asker, tool: string): Verdict {
  const verdict = consent(asker, 'worker');
  if (asker.kind !== 'chat' || verdict.kind !== 'allow' || isLook(tool.replace(/^node:/, ''))) return verdict;
  return { kind: 'approval', rule: 'the owner approves what does more than look at a node without a worker' };
}

export interface CommandLine {
  readonly argv: readonly string[];
  /** Where it is to run; not given: the home of the worker's user. */
  readonly cwd?: string | undefined;
  readonly env: Readonly<Record<string, string>>;
}

/** The verdict of a node's own settings on one command. Deny wins; an empty allow-list allows nothing. */
export function judgeCommand(settings: ExecSettings, { argv, cwd, env }: CommandLine): Verdict {
  if (settings.mode === 'off') return deny('exec is off on this node');
  const denied = settings.deny.find((rule) => ruleMatches(rule, argv));
  if (denied !== undefined) return deny(`deny rule ${JSON.stringify(denied)}`);
  if (settings.mode === 'full') return { kind: 'allow', rule: 'exec full' };
  // A variable such as LD_PRELOAD or GIT_SSH would make any listed program run another.
  if (Object.keys(env).length > 0) return deny('an allow-list takes no environment from afar');
  // Many programs take orders from files of the folder they run in.
  if (cwd !== undefined) return deny('an allow-list takes no folder from afar');
  const allowed = settings.allow.find((rule) => ruleMatches(rule, argv));
  return allowed === undefined
    ? deny('not on this node’s allow-list')
    : { kind: 'allow', rule: `allow rule ${JSON.stringify(allowed)}` };
}

function ruleMatches(rule: readonly string[], argv: readonly string[]): boolean {
  const open = rule.at(-1) === '**';
  const words = open ? rule.slice(0, -1) : rule;
  if (open ? argv.length < words.length : argv.length !== words.length) return false;
  return words.every((word, at) => word === '*' || word === argv[at]);
}
