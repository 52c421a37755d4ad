import { readFile } from 'node:fs/promises';
import { FederationError } from '#src/core/errors.ts';
import type { Scope } from '#src/deploy/place.ts';

export type UnitName =
  | 'federation-hub.service'
  | 'federation-hub.socket'
  | 'federation-hub-plugin.socket'
  | 'auto-register.service'
  | 'auto-register.path'
  | 'openclaw-worker.service'
  | 'openclaw-gateway.service';

/** What a template leaves open, as `@NAME@`. A template uses some of them. */
export interface UnitValues {
  /** Folder of our launchers. */
  readonly BIN: string;
  /** User name. */
  readonly PERSON: string;
  readonly PERSON_HOME: string;
  readonly HUB_USER: string;
  readonly HUB_HOME: string;
  readonly WORKER_HOME: string;
  /** The person's PATH. */
  readonly PATH: string;
  /** The openclaw program. */
  readonly OPENCLAW: string;
  /** Folder of the Node that runs it. */
  readonly NODE_FOLDER: string;
  readonly GATEWAY_PORT: string;
  /** State directory of the person's OpenClaw. */
  readonly OPENCLAW_STATE: string;
}

/** The template of a unit, as this package brings it. There is no user unit of a socket. */
export function readUnitTemplate(scope: Scope, name: UnitName): Promise<string> {
  // Of the checkout as of the installed package, `systemd` stands two folders above.
  return readFile(new URL(`../../systemd/${scope}/${name}`, import.meta.url), 'utf8');
}

/** The rules by which nodes are let in, with examples; as they stand they let nobody in. */
export function readPolicyTemplate(): Promise<string> {
  return readFile(new URL('../../templates/approval-policy.yaml', import.meta.url), 'utf8');
}

/** The unit with its values in place, whatever characters they hold. Throws USAGE for one that no unit can express. */
export function renderUnit(template: string, values: Partial<UnitValues>): string {
  return template
    .split('\n')
    .map((line) => renderLine(line, values))
    .join('\n');
}

/** Settings whose value is a list of words, with quotes and escapes; that of any other is taken as it stands. */
const WORDS = /^(?:Exec[A-Za-z]+|Environment)=/;

function renderLine(line: string, values: Partial<UnitValues>): string {
  const escape = WORDS.test(line) ? escapedWord : escapedText;
  const rendered = line.replaceAll(/@([A-Z_]+)@/g, (_, name: string) => escape(name, valueOf(name, values)));
  if (rendered === line) return line;
  // There is no escape for it outside of words: the next line would become a part of this one.
  if (rendered.endsWith('\\')) throw inexpressible(nameIn(line), 'ends with a backslash');
  // Escaped or not, systemd takes no program of such a name.
  if (/^Exec\w+=\S*\\x(?:22|27|5c)/.test(rendered)) throw inexpressible(nameIn(line), 'holds a quote or a backslash');
  return rendered;
}

/** The first placeholder of a line. */
function nameIn(line: string): string {
  return /@([A-Z_]+)@/.exec(line)?.[1] ?? '';
}

function valueOf(name: string, values: Partial<UnitValues>): string {
  const value = Object.hasOwn(values, name) ? values[name as keyof UnitValues] : undefined;
  // An empty User= would mean root.
  if (value === undefined || value === '') throw new Error(`a unit wants ${name}, and has no value for it`);
  if (/\p{Cc}/u.test(value)) throw inexpressible(name, 'holds a control character');
  if (!value.isWellFormed()) throw inexpressible(name, 'is not text');
  return value;
}

/** The grammar of systemd.syntax(7), Quoting; no variables to think of, since each ExecStart begins with `:`. */
function escapedWord(_: string, value: string): string {
  return value
    .replaceAll(/["'\\; ]/g, (character) => `\\x${character.charCodeAt(0).toString(16)}`)
    .replaceAll('%', '%%');
}

/** Only specifiers are looked for, and blanks at the ends are cut off. */
function escapedText(name: string, value: string): string {
  if (value !== value.trim()) throw inexpressible(name, 'begins or ends with a blank');
  return value.replaceAll('%', '%%');
}

function inexpressible(name: string, problem: string): FederationError {
  return new FederationError('USAGE', `${name} can’t stand in a systemd unit: it ${problem}`, {
    hint: 'choose a folder or a user without it',
  });
}
