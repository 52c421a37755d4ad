import { shown } from '#src/core/foreign-words.ts';

/** What a validator says of one place in the file; that of zod is one. */
export interface PolicyIssue {
  readonly code?: string | undefined;
  readonly path: readonly PropertyKey[];
  readonly message: string;
  /** Those that are not known. */
  readonly keys?: readonly string[];
  /** What is wrong with a key. */
  readonly issues?: readonly { readonly message: string }[];
  readonly maximum?: number | bigint;
}

/** What is written for each key of a rules file, as the end of a sentence that begins with "write". */
const WRITTEN: Readonly<Record<string, string>> = {
  mode: 'mode: enforce, or mode: warn',
  maxPerHour: 'a whole number from 1 to 10000, as maxPerHour: 10',
  rules: 'rules: and below it each rule with a - before it',
  name: 'name: and what to call the rule, as name: own servers',
  when: 'when: and below it what has to hold, as tag: tag:server',
  // oxlint-disable-next-line unicorn/no-thenable -- it is a word and no function, so nothing can await it
  then: 'then: approve, then: hold or then: reject',
  labels: 'labels: and below it pairs, as place: home',
  groups: 'a list, as groups: [servers]',
  expires: 'expires: 2027-01-31, or a time as 2027-01-31T18:00:00Z',
};

/** The same for what stands in a `when`. */
const CONDITIONS_WRITTEN: Readonly<Record<string, string>> = {
  tag: 'tag: tag:server, or a list of tags',
  user: 'user: ann@example.com, or a list of users',
  stableId: 'stableId: nAbCdEf1CNTRL, or a list of them',
  token: 'token: and the name of a join token, or a list of names',
  address: 'address: 192.168.1.0/24, or a list of addresses and ranges',
  name: 'name: pi-*, or a list of names',
  role: 'role: worker, hybrid, master or node-host, or a list of them',
  commands: 'commands: [system.which], a list of all that it may offer',
  openclaw: "one range of versions, as openclaw: '>=2026.9.0 <2027'",
};

const MAX_UNKNOWN = 21;

/**
 * What is wrong with a rules file, for whoever wrote it: each with its path, the name of its rule and what to write
 * instead. `file` is what was validated.
 */
export function problemsOf(issue: PolicyIssue, file: unknown): string[] {
  const { path } = issue;
  const place = path.map((step) => String(step)).join('.');
  if (issue.code === 'unrecognized_keys') {
    const known = `; known are ${Object.keys(knownAt(path)).join(', ')}`;
    return (issue.keys ?? [])
      .slice(0, MAX_UNKNOWN)
      .map((key) => `${place === '' ? '' : `${place}.`}${key}: unknown key${inRule(path, file)}${known}`);
  }
  if (issue.code === 'invalid_key') {
    return [`${place}: ${issue.issues?.[0]?.message ?? issue.message}${inRule(path, file)}`];
  }
  return [`${place || 'policy'}: ${wordsFor(issue, file)}`];
}

function wordsFor(issue: PolicyIssue, file: unknown): string {
  const { path } = issue;
  const value = valueAt(path, file);
  // These were written for this file: what is there is a text, and not the right one.
  const isOurs = issue.code === 'custom' || issue.code === 'invalid_format' || issue.code === 'invalid_union';
  if (isOurs && isText(value)) return `${issue.message}${inRule(path, file)}`;
  const key = keyOf(path);
  if (key === null) {
    if (path.length === 0)
      return `the file is ${kindOf(value)}; write rules: and below it each rule with a - before it`;
    return `rule ${Number(path[1]) + 1} is ${kindOf(value)}; write name:, when: and then: in it`;
  }
  const isLabel = path[0] === 'rules' && path[2] === 'labels' && path.length > 3;
  if (isLabel)
    return `a label is text${inRule(path, file)}; write it in quotes, as '${shown(JSON.stringify(value) ?? '')}'`;
  const written = knownAt(path.slice(0, path.indexOf(key)))[key] ?? key;
  if (value === undefined) return `${ruleAt(path, file) ?? 'the file'} has no ${key}; write ${written}`;
  const of = ruleAt(path, file);
  const subject = of === null ? key : `${key} of ${of}`;
  if (issue.code === 'too_big' && isText(value)) return `${subject} is longer than ${issue.maximum} characters`;
  if (issue.code === 'too_big' && Array.isArray(value)) return `${subject} is a list of more than ${issue.maximum}`;
  if (issue.code === 'invalid_value' && isText(value))
    return `${subject} can’t be ${shown(JSON.stringify(value))}; write ${written}`;
  return `${subject} is ${kindOf(value)}; write ${written}`;
}

const isText = (value: unknown): value is string => typeof value === 'string';

/** What may be written in the mapping at a path. */
function knownAt(path: readonly PropertyKey[]): Readonly<Record<string, string>> {
  const { mode, maxPerHour, rules, ...ofRule } = WRITTEN;
  if (path[0] !== 'rules') return { mode: mode!, maxPerHour: maxPerHour!, rules: rules! };
  return path[2] === 'when' ? CONDITIONS_WRITTEN : { ...ofRule, maxPerHour: maxPerHour! };
}

/** The last word of a path that stands in our format, not the place in a list. Null where the path has none of a rule. */
function keyOf(path: readonly PropertyKey[]): string | null {
  if (path[0] !== 'rules') return path.length === 0 ? null : String(path[0]);
  if (path.length === 1) return 'rules';
  if (path.length === 2) return null;
  return String(path[2] === 'when' && path.length > 3 ? path[3] : path[2]);
}

function valueAt(path: readonly PropertyKey[], file: unknown): unknown {
  let value = file;
  for (const step of path) {
    // A word alone is read as a list of one.
    if (step === 0 && !Array.isArray(value)) continue;
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as Record<PropertyKey, unknown>)[step];
  }
  return value;
}

/** `rule own servers`, or `rule 2` where it has no name. Null outside a rule. */
function ruleAt(path: readonly PropertyKey[], file: unknown): string | null {
  if (path[0] !== 'rules' || path.length < 2) return null;
  const name = valueAt([...path.slice(0, 2), 'name'], file);
  return `rule ${isText(name) && name !== '' ? shown(name) : Number(path[1]) + 1}`;
}

function inRule(path: readonly PropertyKey[], file: unknown): string {
  const rule = ruleAt(path, file);
  return rule === null ? '' : ` (in ${rule})`;
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return 'empty';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  if (typeof value === 'object') return 'a mapping';
  if (typeof value === 'string') return `the word ${shown(value)}`;
  return shown(JSON.stringify(value) ?? typeof value);
}
