import { renderUnicodeCompact } from 'uqr';
import { harmless, say } from '#src/adapters/terminal.ts';
import type { GlobalFlags } from '#src/cli/manage/context.ts';
import { hubOf } from '#src/cli/manage/context.ts';
import { parseDuration } from '#src/cli/manage/duration.ts';
import { joiningCommand } from '#src/cli/manage/joining-command.ts';
import { ago, printJson, printTable } from '#src/cli/print.ts';
import { FederationError } from '#src/core/errors.ts';
import { checkNodeName } from '#src/core/node.ts';
import type { Role } from '#src/core/node.ts';
import type { Status } from '#src/protocol/hub-api/status.ts';
import type { TokenCreate, TokenCreated, TokenView } from '#src/protocol/hub-api/token.ts';

export interface TokenFlags extends GlobalFlags {
  readonly name?: string;
  readonly role?: Role;
  readonly labels?: string;
  readonly ttl: string;
  readonly uses: number;
  readonly byRules?: string;
  /** False for `--no-models`. */
  readonly models: boolean;
  readonly qr?: boolean;
}

/**
 * `manage-federation token create`: the token is alone on standard output, so that a script can take it; what to do with
 * it is said on standard error.
 */
export async function createToken(flags: TokenFlags): Promise<number> {
  const wanted: TokenCreate = {
    ...(flags.name === undefined ? {} : { name: checkNodeName(flags.name) }),
    ...(flags.role === undefined ? {} : { role: flags.role }),
    ...(flags.byRules === undefined ? {} : { rules: checkNodeName(flags.byRules) }),
    labels: parseLabels(flags.labels),
    ttlSeconds: parseDuration(flags.ttl, '--ttl') / 1000,
    uses: flags.uses,
    models: flags.models,
  };
  if (flags.qr === true) checkQr(flags);
  const hub = await hubOf(flags);
  const created = await hub.ask<TokenCreated>('POST', '/tokens', wanted);
  if (flags.json) {
    printJson(created);
    return 0;
  }
  process.stdout.write(`${created.token}\n`);
  const status = await hub.ask<Status>('GET', '/status');
  // Who sends standard output to a file wants it there, and not on the screen or in a log beside it.
  const isShown = process.stdout.isTTY;
  const { where, command } = joiningCommand(isShown ? created.token : PLACEHOLDER, flags, status);
  const uses = created.uses === 1 ? 'once' : `${created.uses} times`;
  const until = `expires ${ago(created.expiresAt)}`;
  say(`good ${uses}, ${until}; it is not shown again`);
  if (flags.byRules !== undefined) say('it lets nobody in by itself: the rules of auto-register decide');
  say(`to paste ${where}${isShown ? '' : `, with the token from standard output in the place of ${PLACEHOLDER}`}:\n`);
  // Past what keeps secrets off the terminal: this one is shown on purpose, this once.
  process.stderr.write(`${harmless(command)}\n`);
  if (flags.qr === true) printQr(joiningCommand(created.token, flags, status).command);
  return 0;
}

/** Where the token goes in a command that does not hold it. */
const PLACEHOLDER = 'TOKEN';

/** `manage-federation token list` */
export async function listTokens(flags: GlobalFlags): Promise<number> {
  const tokens = await (await hubOf(flags)).ask<TokenView[]>('GET', '/tokens');
  if (flags.json) printJson(tokens);
  else if (tokens.length === 0) say('no join token is good for anything; make one: manage-federation token create');
  else {
    printTable(
      ['ID', 'FOR', 'ROLE', 'USES', 'EXPIRES', 'MADE BY', 'LABELS'],
      tokens.map((token) => [
        token.id.slice(0, 12),
        forText(token),
        token.role,
        String(token.usesLeft),
        ago(token.expiresAt),
        token.createdBy,
        Object.entries(token.labels)
          .map(([key, value]) => `${key}=${value}`)
          .join(',') || '-',
      ]),
    );
  }
  return 0;
}

/** `manage-federation token revoke ID|NAME` */
export async function revokeToken(word: string, flags: GlobalFlags): Promise<number> {
  const hub = await hubOf(flags);
  const token = await hub.ask<TokenView>('POST', `/tokens/${encodeURIComponent(word)}/revoke`);
  if (flags.json) printJson(token);
  else say(`revoked the token ${token.id.slice(0, 12)} for ${forText(token)}; who joined by it stays`);
  return 0;
}

function forText({ name, rules }: TokenView): string {
  return [name ?? 'any node', ...(rules === null ? [] : [`by the rules for ${rules}`])].join(', ');
}

/** Before a token is made, which would be lost. */
function checkQr({ json }: TokenFlags): void {
  if (json === true) throw new FederationError('USAGE', '--qr shows what --json does not', { hint: 'leave one out' });
  if (process.stderr.isTTY) return;
  throw new FederationError('USAGE', '--qr: standard error is no terminal, which could show it', {
    hint: 'leave out --qr',
  });
}

function printQr(command: string): void {
  const { columns, rows } = process.stderr;
  const lines = renderUnicodeCompact(command, { border: 2 }).split('\n');
  const width = Math.max(...lines.map((line) => line.length));
  // One row is the prompt's.
  if (width <= columns && lines.length < rows) say(`\n${lines.join('\n')}`);
  else
    say(
      `the QR code does not fit: it takes ${width} columns and ${lines.length + 1} rows, here are ${columns} and ${rows}`,
    );
}

function parseLabels(text: string | undefined): Record<string, string> {
  if (text === undefined) return {};
  return Object.fromEntries(
    text.split(',').map((pair) => {
      const at = pair.indexOf('=');
      if (at > 0) return [pair.slice(0, at), pair.slice(at + 1)] as const;
      throw new FederationError('USAGE', `--labels: ${JSON.stringify(pair)} is not KEY=VALUE`, {
        hint: '--labels env=home,gpu=yes',
      });
    }),
  );
}
