import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { describe, expect, it, test } from 'vitest';
import { parse } from 'yaml';
import type { ApprovalPolicy, PolicyResult } from '#src/core/approval-policy.ts';
import { isVersionIn, parsePolicy } from '#src/core/approval-policy.ts';

const NOT_EVERYTHING = { approveEverything: false };

function read(yaml: string, options = NOT_EVERYTHING): PolicyResult {
  return parsePolicy(parse(yaml), options);
}

function problems(yaml: string): readonly string[] {
  const result = read(yaml);
  return result.ok ? [] : result.problems;
}

function policy(yaml: string): ApprovalPolicy {
  const result = read(yaml);
  if (!result.ok) throw new Error(result.problems.join('; '));
  return result.policy;
}

/** A policy of one rule that approves under these conditions. */
const approving = (when: string) => `rules: [{ name: r, when: { ${when} }, then: approve }]`;

test.each(['', '{}', 'rules:', 'rules: []'])('a file without rules is one that approves nobody: %j', (yaml) => {
  expect(policy(yaml)).toEqual({ mode: 'enforce', maxPerHour: 10, rules: [] });
});

test('a word is a list of one, and a date is its beginning in UTC', () => {
  const yaml = `
    mode: warn
    maxPerHour: 3
    rules:
      - name: own servers
        when: { tag: tag:server, role: [worker, hybrid], openclaw: '>=2026.9.0 <2027' }
        then: approve
        labels: { env: home }
        groups: [servers]
        maxPerHour: 1
        expires: 2027-01-31
      - { name: later, when: {}, then: hold, expires: '2027-01-31T18:00:00+01:00' }`;
  expect(policy(yaml)).toMatchObject({
    mode: 'warn',
    maxPerHour: 3,
    rules: [
      {
        name: 'own servers',
        labels: { env: 'home' },
        groups: ['servers'],
        when: { tag: ['tag:server'], role: ['worker', 'hybrid'], openclaw: '>=2026.9.0 <2027' },
        maxPerHour: 1,
        expires: Date.UTC(2027, 0, 31),
      },
      { name: 'later', when: {}, labels: {}, groups: [], expires: Date.UTC(2027, 0, 31, 17) },
    ],
  });
});

describe('what is wrong is named by its path', () => {
  const rule = (more: string) => `rules: [{ name: r, when: { tag: tag:a }, then: approve, ${more} }]`;
  it.each([
    ['[]', 'policy: '],
    ['approve', 'policy: '],
    ['mdoe: warn', 'mdoe: unknown key'],
    ['mode: off', 'mode: '],
    ['mode: null', 'mode: '],
    ['maxPerHour: 0', 'maxPerHour: '],
    ['maxPerHour: 1.5', 'maxPerHour: '],
    ['maxPerHour: .inf', 'maxPerHour: '],
    ['maxPerHour: "5"', 'maxPerHour: '],
    ['rules: {}', 'rules: '],
    ['rules: [approve]', 'rules.0: '],
    ['rules: [{ name: r, then: approve }]', 'rules.0.when: '],
    ['rules: [{ name: r, when: null, then: approve }]', 'rules.0.when: '],
    ['rules: [{ name: r, when: { tag: tag:a } }]', 'rules.0.then: '],
    ['rules: [{ name: r, when: { tag: tag:a }, then: Approve }]', 'rules.0.then: '],
    ['rules: [{ when: { tag: tag:a }, then: approve }]', 'rules.0.name: '],
    ['rules: [{ name: " r", when: { tag: tag:a }, then: approve }]', 'rules.0.name: '],
    ['rules: [{ name: "r\\e[2J", when: { tag: tag:a }, then: approve }]', 'rules.0.name: '],
    [rule('label: {}'), 'rules.0.label: unknown key'],
    [rule('labels: { self/x: y }'), 'rules.0.labels.self/x: '],
    [rule('labels: { A: y }'), 'rules.0.labels.A: '],
    [rule('labels: { a: 1 }'), 'rules.0.labels.a: '],
    [rule('labels: [a]'), 'rules.0.labels: '],
    [rule('groups: servers'), 'rules.0.groups: '],
    [rule('groups: [Servers]'), 'rules.0.groups.0: '],
    [rule('maxPerHour: -1'), 'rules.0.maxPerHour: '],
    [rule('expires: tomorrow'), 'rules.0.expires: '],
    [rule('expires: 2027-02-29'), 'rules.0.expires: '],
    [rule('expires: 2027'), 'rules.0.expires: '],
    [rule('expires: 2027-01-31T18:00:00'), 'rules.0.expires: '],
    [approving('tagg: tag:a'), 'rules.0.when.tagg: unknown key'],
    [approving('tag: server'), 'rules.0.when.tag.0: '],
    [approving('tag: "tag:*"'), 'rules.0.when.tag.0: '],
    [approving('tag: []'), 'rules.0.when.tag: '],
    [approving('tag: null'), 'rules.0.when.tag.0: '],
    [approving('tag: [tag:a, null]'), 'rules.0.when.tag.1: '],
    [approving('tag: [[tag:a]]'), 'rules.0.when.tag.0: '],
    [approving('tag: { any: tag:a }'), 'rules.0.when.tag.0: '],
    [approving('user: "*"'), 'rules.0.when.user.0: '],
    [approving('user: "*@example.com"'), 'rules.0.when.user.0: '],
    [approving('user: ""'), 'rules.0.when.user.0: '],
    [approving('stableId: n*'), 'rules.0.when.stableId.0: '],
    [approving('token: "*"'), 'rules.0.when.token.0: '],
    [approving('tag: tag:a, name: PI'), 'rules.0.when.name.0: '],
    [approving('tag: tag:a, name: pi.'), 'rules.0.when.name.0: '],
    [approving('tag: tag:a, name: "p?"'), 'rules.0.when.name.0: '],
    [approving('tag: tag:a, name: \u0440'), 'rules.0.when.name.0: '],
    [approving('tag: tag:a, role: admin'), 'rules.0.when.role.0: '],
    [approving('tag: tag:a, commands: []'), 'rules.0.when.commands: '],
    [approving('tag: tag:a, commands: "*"'), 'rules.0.when.commands.0: '],
    [approving('tag: tag:a, openclaw: latest'), 'rules.0.when.openclaw: '],
    [approving('tag: tag:a, openclaw: 2026.9'), 'rules.0.when.openclaw: '],
    [approving('tag: tag:a, openclaw: ""'), 'rules.0.when.openclaw: '],
    [approving('tag: tag:a, openclaw: "*"'), 'rules.0.when.openclaw: '],
    [approving('tag: tag:a, openclaw: ">=2026.9.0, <2027"'), 'rules.0.when.openclaw: '],
    [approving('tag: tag:a, openclaw: ">=2026.9.0.1"'), 'rules.0.when.openclaw: '],
    [approving('address: home'), 'rules.0.when.address.0: '],
    [approving('address: ::ffff:0:0/95'), 'rules.0.when.address.0: ::ffff:0:0 is not where'],
    [approving('address: 10.0.0.5/8'), 'rules.0.when.address.0: 10.0.0.5 is not where'],
  ])('%s', (yaml, problem) => {
    expect(problems(yaml)).toEqual([expect.stringContaining(problem)]);
  });
});

test('all that is wrong is named at once', () => {
  expect(problems('{ mdoe: warn, maxPerHour: 0, rules: [{ name: r, when: { tagg: a }, then: allow }] }')).toHaveLength(
    4,
  );
});

test.each([
  ['rules: [{ name: pi, then: approve }]', 'rules.0.when: rule pi has no when; write when: and below it'],
  ['rules: [{ name: pi, when: , then: hold }]', 'rules.0.when: when of rule pi is empty; write when: and below it'],
  ['rules: [{ name: pi, when: [tag], then: hold }]', 'rules.0.when: when of rule pi is a list; write when: '],
  ['rules: [{ name: pi, when: tag:a, then: hold }]', 'rules.0.when: when of rule pi is the word tag:a; write when: '],
  ['rules: [{ name: pi, when: {} }]', 'rules.0.then: rule pi has no then; write then: approve, '],
  ['rules: [{ name: pi, when: {}, then: [hold] }]', 'rules.0.then: then of rule pi is a list; write then: approve, '],
  ['rules: [{ name: pi, when: {}, then: allow }]', 'rules.0.then: then of rule pi can’t be "allow"; write then: '],
  ['rules: [{ when: {}, then: hold }]', 'rules.0.name: rule 1 has no name; write name: '],
  ['rules: [{ name: [pi], when: {}, then: hold }]', 'rules.0.name: name of rule 1 is a list; write name: '],
  ['rules: [pi]', 'rules.0: rule 1 is the word pi; write name:, when: and then: in it'],
  ['rules: { name: pi }', 'rules: rules is a mapping; write rules: and below it each rule with a - before it'],
  ['rules: [{ name: pi, when: { tag: }, then: hold }]', 'rules.0.when.tag.0: tag of rule pi is empty; write tag: '],
  [
    'rules: [{ name: pi, when: { tag: server }, then: hold }]',
    'rules.0.when.tag.0: a tailnet tag is written tag:server',
  ],
  ['rules: [{ name: pi, when: { openclaw: [">1"] }, then: hold }]', 'openclaw of rule pi is a list; write one range'],
  ['rules: [{ name: pi, when: {}, then: hold, groups: a }]', 'groups of rule pi is the word a; write a list'],
  ['rules: [{ name: pi, when: {}, then: hold, labels: { a: 1 } }]', "(in rule pi); write it in quotes, as '1'"],
  ['rules: [{ name: pi, when: { tagg: a }, then: hold }]', 'tagg: unknown key (in rule pi); known are tag, user, '],
  ['mode: off', 'mode: mode can’t be "off"; write mode: enforce, or mode: warn'],
  ['[]', 'policy: the file is an empty list; write rules: '],
])('%s: what to write is said', (yaml, problem) => {
  const said = problems(yaml);
  expect(said).toEqual([expect.stringContaining(problem)]);
  expect(said[0]).not.toMatch(/expected|received|invalid/i);
});

test('two rules can’t have one name', () => {
  const rule = '{ name: r, when: { tag: tag:a }, then: approve }';
  expect(problems(`rules: [${rule}, ${rule}]`)).toEqual(['rules.1 (r): rules.0 has this name, too']);
});

describe('a name needs something beside it that a node can’t choose', () => {
  it.each(['hold', 'reject', 'approve'])('whatever becomes of it: %s', (verdict) => {
    const yaml = `rules: [{ name: r, when: { name: pi-*, address: 10.0.0.0/24 }, then: ${verdict} }]`;
    expect(problems(yaml)).toEqual(['rules.0 (r): a node chooses its name itself; add tag, user, stableId or token']);
  });
  it.each(['tag: tag:a', 'user: a@b', 'stableId: n1', 'token: pi'])('%s will do', (anchor) => {
    expect(problems(approving(`name: pi-*, ${anchor}`))).toEqual([]);
  });
  it('even where everything may be approved', () => {
    expect(read(approving('name: pi-*'), { approveEverything: true }).ok).toBe(false);
  });
});

describe('a rule that approves everybody is refused, unless that is said in full', () => {
  it.each([
    ['', 'it has no condition'],
    ['role: worker', 'role is what a node says of itself'],
    ['role: worker, commands: [exec], openclaw: ">=2026"', 'role and commands and openclaw are what a node says'],
    ['address: 0.0.0.0/0', 'most of the world'],
    ['address: 0.0.0.0/1', 'most of the world'],
    ['address: 64.0.0.0/7', 'most of the world'],
    ['address: ::/0', 'most of the world'],
    ['address: 2000::/3', 'most of the world'],
    ['address: ::ffff:0.0.0.0/96', 'most of the world'],
    ['address: ::fffe:0:0/95', 'most of the world'],
    ['address: 127.0.0.1', 'loopback'],
    ['address: 127.0.0.0/8', 'loopback'],
    ['address: ::1', 'loopback'],
    ['address: ::/64', 'most of the world'],
    ['address: ::/120', 'loopback'],
    ['address: ::ffff:127.0.0.1', 'loopback'],
    ['address: [10.0.0.5, 127.0.0.1]', 'loopback'],
    ['address: fe80::/64', 'link-local'],
    ['address: 169.254.0.0/16', 'link-local'],
    ['address: 100.64.0.0/10', 'the whole tailnet'],
    ['address: 100.0.0.0/8', 'the whole tailnet'],
    ['address: 100.64.0.0/11', 'the whole tailnet'],
    ['address: ::ffff:100.64.0.0/106', 'the whole tailnet'],
    ['address: [100.64.0.0/16, 100.65.0.0/16]', 'the whole tailnet'],
    ['address: fd7a:115c:a1e0::/48', 'the whole tailnet'],
    ['address: fd7a:115c:a1e0::/96', 'the whole tailnet'],
    ['address: 100.64.0.0/10, role: worker', 'the whole tailnet'],
  ])('%s', (when, why) => {
    const yaml = approving(when);
    expect(problems(yaml)).toEqual([expect.stringContaining(why)]);
    expect(problems(yaml)[0]).toMatch(
      /^rules\.0 \(r\): would approve everybody: .*; add tag, user, stableId or token, or a narrow address, or say --approve-everything$/,
    );
    expect(read(yaml, { approveEverything: true }).ok).toBe(true);
    expect(read(yaml.replace('approve', 'hold')).ok).toBe(true);
    expect(read(yaml.replace('approve', 'reject')).ok).toBe(true);
    const beside = yaml.replace('when: {', 'when: { tag: tag:a,');
    expect(read(beside).ok).toBe(true);
  });
  it.each([
    'tag: tag:a',
    'user: a@b',
    'stableId: n1',
    'token: pi',
    'address: 100.64.3.4',
    'address: 100.64.0.0/16',
    'address: 192.168.1.0/24',
    'address: 10.0.0.0/8',
    'address: "fd00:1:2::/48"',
  ])('%s does not approve everybody', (when) => {
    expect(problems(approving(when))).toEqual([]);
  });
});

describe('whatever a file holds, what is said of it is bounded', () => {
  const many = (count: number, value: (index: number) => unknown) =>
    Array.from({ length: count }, (_, at) => value(at));
  const rule = parse('{ when: { tag: tag:a }, then: approve }') as object;
  const good = (name: string) => ({ ...rule, name });
  const huge = 'x'.repeat(5_000_000);
  let deep: unknown = 'tag:a';
  for (let level = 0; level < 100_000; level += 1) deep = [deep];
  const circle: Record<string, unknown> = { mode: 'warn' };
  circle.rules = [circle];

  it.each<[string, unknown]>([
    ['10 000 rules', { rules: many(10_000, (at) => good(`r${at}`)) }],
    ['10 000 wrong rules', { rules: many(10_000, () => 1) }],
    ['1000 wrong rules', { rules: many(1000, () => ({ when: 1 })) }],
    ['1000 rules of one name', { rules: many(1000, () => good('r')) }],
    ['10 000 unknown keys', Object.fromEntries(many(10_000, (at) => [`k${at}`, 1]) as [string, unknown][])],
    ['a huge unknown key', { [huge]: 1 }],
    ['a huge mode', { mode: huge }],
    ['a huge name', { rules: [good(huge)] }],
    ['huge words', { rules: [{ ...good('r'), when: { tag: huge, user: huge, address: huge, openclaw: huge } }] }],
    ['a range of huge length', { rules: [{ ...good('r'), when: { openclaw: '>=1 '.repeat(1_000_000) } }] }],
    ['10 000 words', { rules: [{ ...good('r'), when: { tag: many(10_000, () => 'tag:a') } }] }],
    [
      '10 000 labels',
      {
        rules: [
          { ...good('r'), labels: Object.fromEntries(many(10_000, (at) => [`k${at}`, 'v']) as [string, string][]) },
        ],
      },
    ],
    ['a huge label', { rules: [{ ...good('r'), labels: { [huge]: 'v' } }] }],
    ['a huge value', { rules: [{ ...good('r'), labels: { a: huge } }] }],
    ['10 000 groups', { rules: [{ ...good('r'), groups: many(10_000, () => 'g') }] }],
    ['a deep nesting', { rules: [{ ...good('r'), when: { tag: deep } }] }],
    ['a deep nesting where nothing is', { deep }],
    ['a circle', circle],
    ['__proto__ above', JSON.parse('{"__proto__":{"mode":"warn"}}')],
    ['__proto__ in a rule', { rules: [JSON.parse('{"name":"r","when":{},"then":"hold","__proto__":{"x":1}}')] }],
    [
      '__proto__ in when',
      { rules: [JSON.parse('{"name":"r","when":{"__proto__":{"tag":"tag:a"}},"then":"approve"}')] },
    ],
    ['__proto__ in labels', { rules: [{ ...good('r'), labels: JSON.parse('{"__proto__":"x"}') as unknown }] }],
    ['a function', () => ({})],
    ['a number', 7],
    ['nothing in a rule', { rules: [undefined] }],
  ])('%s', (_, value) => {
    const result = parsePolicy(value, NOT_EVERYTHING);
    if (result.ok) throw new Error('it was accepted');
    expect(Object.keys(result)).toEqual(['ok', 'problems']);
    expect(result.problems.length).toBeGreaterThan(0);
    expect(result.problems.length).toBeLessThanOrEqual(21);
    expect(Math.max(...result.problems.map((problem) => problem.length))).toBeLessThanOrEqual(300);
    expect(({} as { mode?: string }).mode).toBeUndefined();
  });
});

test.each<[string, string, boolean]>([
  ['2026.9.6', '>=2026.9.0 <2027', true],
  ['2026.9.0', '>=2026.9.0 <2027', true],
  ['2026.8.9', '>=2026.9.0 <2027', false],
  ['2027.0.0', '>=2026.9.0 <2027', false],
  ['2026.10.1', '>=2026.9.0', true],
  ['2026.9.6', '2026.9.6', true],
  ['2026.9.60', '2026.9.6', false],
  ['2026.9.6', '=2026.9', true],
  ['2026.9.6', '<=2026.9', true],
  ['2026.9.6', '>2026.9', false],
  ['2026.10.0', '>2026.9', true],
  ['2026.9.6', '<2026.9', false],
  ['2026.9.6', '>= 2026.9.0', true],
  ['2026.10.1', '2026.9.x || 2026.10.x', true],
  ['2026.11.1', '2026.9.x || 2026.10.x', false],
  ['2026.9.6', '~2026.9.5', true],
  ['2026.9.6-beta.1', '>=2026', false],
  ['2026.9.6-beta.2', '>=2026.9.6-beta.1', true],
  ['2026.10.0-beta.2', '>=2026.9.6-beta.1', false],
  ['2026.9.6+build', '>=2026', false],
  ['2026.9.6-1', '>=2026', false],
  ['v2026.9.6', '>=2026', false],
  ['2026.9', '>=2026', false],
  ['', '>=2026', false],
  ['2026.9.6\n', '>=2026', false],
  ['9'.repeat(1000), '>=2026', false],
])('OpenClaw %j in %s: %s', (version, range, expected) => {
  expect(isVersionIn(version, range)).toBe(expected);
});

describe('templates/approval-policy.yaml', async () => {
  const template = await readFile(resolve(import.meta.dirname, '../../templates/approval-policy.yaml'), 'utf8');
  /** Words are one blank behind the `#`, examples none or several. */
  const uncommented = template.replaceAll(/^#(?=[a-z]| {2})/gm, '');

  it('approves nobody as it is shipped', () => {
    expect(policy(template)).toEqual({ mode: 'warn', maxPerHour: 10, rules: [] });
  });
  it('has examples that are accepted as they are', () => {
    expect(policy(uncommented).rules.map(({ name }) => name)).toEqual([
      'own servers',
      'own laptops',
      'pis',
      'own apps',
      'gpu box',
      'guests',
    ]);
  });
});

test('the page about rules has examples that are accepted, and names every condition', async () => {
  const page = await readFile(resolve(import.meta.dirname, '../../docs/approval.md'), 'utf8');
  const example = /(?:^ {4}\S.*\n)(?:^ {4}.*\n)*/m.exec(page)![0];
  const [rule] = policy(example.replaceAll(/^ {4}/gm, '')).rules;
  expect(rule?.name).toBe('own servers');
  const conditions = [...page.matchAll(/^\| `(\w+)` \|/gm)].map(([, name]) => name!);
  const when = problems(
    `rules: [{ name: r, then: hold, when: { ${conditions.map((name) => `${name}: {}`).join(', ')} } }]`,
  );
  expect(when).toHaveLength(9);
  expect(when.filter((problem) => problem.includes('unknown key'))).toEqual([]);
});
