import { describe, expect, it, test } from 'vitest';
import { parse } from 'yaml';
import type { ApprovalContext, ApprovalRequest, Decision, PastApproval } from '#src/core/approval.ts';
import { explain, judge } from '#src/core/approval.ts';
import type { ApprovalPolicy } from '#src/core/approval-policy.ts';
import { parsePolicy } from '#src/core/approval-policy.ts';
import { randomNumbers } from '../support/random.ts';

const NOW = Date.UTC(2026, 10, 21, 12);
const HOUR_MS = 3600_000;

const request = (changed: Partial<ApprovalRequest> = {}): ApprovalRequest => ({
  kind: 'join',
  keyId: '1a2b'.repeat(16),
  name: 'pi-3',
  role: 'worker',
  address: '100.64.0.7',
  offers: ['exec', 'node-host'],
  commands: ['system.run', 'system.which'],
  openclawVersion: '2026.9.6',
  tailnet: { stableId: 'n1', name: 'pi-3.tail.ts.net', user: null, tags: ['tag:server', 'tag:pi'] },
  isIdentified: true,
  token: 'pi',
  held: null,
  rejected: false,
  ...changed,
});
const owned = (user: string | null, tags: readonly string[] = []): Partial<ApprovalRequest> => ({
  tailnet: { stableId: 'n1', name: 'pi-3.tail.ts.net', user, tags },
});

function policy(yaml: string): ApprovalPolicy {
  const result = parsePolicy(parse(yaml), { approveEverything: true });
  if (!result.ok) throw new Error(result.problems.join('; '));
  return result.policy;
}

function decide(
  yaml: string,
  changed: Partial<ApprovalRequest> = {},
  context: ApprovalContext = { now: NOW, approvals: [] },
): Decision {
  return judge(request(changed), policy(yaml), context);
}

const rule = (when: string, then = 'approve', more = '') => `{ name: r, when: { ${when} }, then: ${then} ${more} }`;

describe('a condition alone', () => {
  it.each<[string, boolean, Partial<ApprovalRequest>?]>([
    ['tag: tag:server', true],
    ['tag: [tag:gpu, tag:pi]', true],
    ['tag: tag:serve', false],
    ['tag: tag:Server', false],
    ['tag: tag:server', false, { tailnet: null }],
    ['tag: tag:server', false, owned('ann@example.com')],
    ['user: ann@example.com', true, owned('ann@example.com')],
    ['user: [bob@example.com, ann@example.com]', true, owned('ann@example.com')],
    ['user: ann@example.com', false, owned('Ann@example.com')],
    ['user: ann@example.com', false, owned('\u0430nn@example.com')],
    ['user: ann@example.com', false, owned('ann@example.com.evil.org')],
    ['user: ann@example.com', false, owned('ann@example.com', ['tag:server'])],
    ['user: ann@example.com', false, owned(null)],
    ['user: ann@example.com', false, { tailnet: null }],
    ['stableId: n1', true],
    ['stableId: [n2, n1]', true],
    ['stableId: n12', false],
    ['stableId: N1', false],
    ['stableId: n1', false, { tailnet: null }],
    ['token: pi', true],
    ['token: [nas, pi]', true],
    ['token: Pi', false],
    ['token: p', false],
    ['token: pi', false, { token: null }],
    ['address: 100.64.0.7', true],
    ['address: [10.0.0.0/8, 100.64.0.0/24]', true],
    ['address: 10.0.0.0/8', false],
    ['address: 100.64.0.7', true, { address: '::ffff:100.64.0.7' }],
    ['address: ::/0', false, { address: 'localhost' }],
    ['role: worker', true],
    ['role: [hybrid, worker]', true],
    ['role: hybrid', false],
    ['role: node-host', false],
    ['role: [worker, node-host]', true, { role: 'node-host' }],
    ['commands: [exec, node-host, system.run, system.which]', true],
    ['commands: [exec, node-host, system.run, system.which, camera.snap]', true],
    ['commands: [exec, node-host, system.run]', false],
    ['commands: [exec, system.run, system.which]', false],
    ['commands: [node-host, system.run, system.which]', false],
    ['commands: [exec, node-host]', true, { commands: [] }],
    ['commands: camera.snap', true, { offers: [], commands: ['camera.snap'] }],
    ['commands: camera.snap', false, { offers: [], commands: ['camera.snap', 'camera.SNAP'] }],
    ['commands: [exec, node-host]', true, { commands: null }],
    ['commands: [node-host]', false, { commands: null }],
    ['openclaw: ">=2026.9.0 <2027"', true],
    ['openclaw: ">=2026.10.0"', false],
    ['openclaw: ">=2026"', false, { openclawVersion: null }],
    ['openclaw: ">=2026"', false, { openclawVersion: '2026.9.6-beta.1' }],
  ])('%s: %s', (when, expected, changed = {}) => {
    const yaml = `rules: [${rule(when)}]`;
    expect(decide(yaml, changed).verdict).toBe(expected ? 'approve' : 'hold');
    const [explained] = explain(request(changed), policy(yaml), { now: NOW, approvals: [] }).rules;
    expect(explained!.conditions.map(({ holds }) => holds)).toEqual([expected]);
  });
});

describe('a name', () => {
  it.each<[string, string, boolean]>([
    ['pi-3', 'pi-3', true],
    ['pi-*', 'pi-3', true],
    ['*', 'pi-3', true],
    ['**', 'pi-3', true],
    ['pi-3*', 'pi-3', true],
    ['*pi-3', 'pi-3', true],
    ['*-*', 'pi-3', true],
    ['p*i*3', 'pi-3', true],
    ['*i-*3', 'pi-i-33', true],
    ['a*b*c', 'aXbc', false],
    ['a*bc', 'abcbc', true],
    ['a*bc*d', 'abcxbcd', true],
    ['pi-*', 'pi-', false],
    ['pi-*', 'pi', false],
    ['pi', 'pi-3', false],
    ['i-3', 'pi-3', false],
    ['pi-*-*', 'pi-3', false],
    ['*4', 'pi-3', false],
    ['pi-*', 'PI-3', false],
    ['*', 'PI-3', false],
    ['*', 'pi-3.', false],
    ['*', 'pi.3', false],
    ['*', '\u0440i-3', false],
    ['*', 'pi\u20113', false],
    ['*', 'pi-3\n', false],
    ['*', '', false],
    ['*', 'pi-', false],
    ['*', 'a'.repeat(64), false],
    ['*', 'deadbeefdead', false],
    [`${'*x'.repeat(31)}b`, 'x'.repeat(63), false],
    [`${'*x'.repeat(31)}*`, 'x'.repeat(63), true],
  ])('%s and %j: %s', (pattern, name, expected) => {
    const when = `tag: tag:server, name: '${pattern}'`;
    expect(decide(`rules: [${rule(when)}]`, { name }).verdict).toBe(expected ? 'approve' : 'hold');
  });
});

describe('which rule decides', () => {
  it('is the first that matches', () => {
    const rules = `rules:
      - { name: one, when: { tag: tag:gpu }, then: approve }
      - { name: two, when: { tag: tag:pi }, then: hold }
      - { name: three, when: { tag: tag:pi }, then: reject }
      - { name: four, when: {}, then: approve, labels: { a: b }, groups: [g] }`;
    const given = { labels: {}, groups: [], models: false, enforced: true, retryAt: null };
    expect(decide(rules)).toEqual({
      ...given,
      ...{ verdict: 'hold', rule: 'two', reason: 'rule two holds it: its tailnet tag is tag:pi' },
    });
    const other = owned(null, ['tag:other']);
    expect(decide(rules, other)).toEqual({
      ...given,
      ...{
        verdict: 'approve',
        rule: 'four',
        reason: 'rule four approves every node',
        labels: { a: 'b' },
        groups: ['g'],
      },
    });
  });

  it('is none where none matches, and the node is held', () => {
    expect(decide('{}')).toMatchObject({ verdict: 'hold', rule: null, reason: 'there are no rules' });
    expect(decide(`rules: [${rule('tag: tag:gpu')}]`)).toMatchObject({
      ...{ verdict: 'hold', rule: null, reason: 'no rule matches it' },
    });
  });

  it('labels and groups are for those that are approved', () => {
    const more = ', labels: { a: b }, groups: [g]';
    expect(decide(`rules: [${rule('tag: tag:pi', 'hold', more)}]`)).toMatchObject({ labels: {}, groups: [] });
    expect(decide(`rules: [${rule('tag: tag:pi', 'reject', more)}]`)).toMatchObject({ labels: {}, groups: [] });
  });

  it('is told in one sentence with the facts it stands on', () => {
    const when = 'tag: tag:pi, address: 100.64.0.0/24, name: pi-*, role: worker, openclaw: ">=2026"';
    expect(decide(`rules: [${rule(when)}]`).reason).toBe(
      'rule r approves it: its tailnet tag is tag:pi; it comes from 100.64.0.7, in 100.64.0.0/24; its name is pi-3; its role is worker; its OpenClaw is 2026.9.6',
    );
  });
});

test('with mode warn a decision is the same, and not to be done', () => {
  const rules = `rules: [${rule('tag: tag:pi')}]`;
  expect(decide(`{ mode: warn, ${rules} }`)).toEqual({ ...decide(`{ mode: enforce, ${rules} }`), enforced: false });
  expect(decide('mode: warn').enforced).toBe(false);
});

describe('no rule approves', () => {
  const held = 'the name pi-3 belongs to another node';
  it('a node that is held for who it is', () => {
    expect(decide(`rules: [${rule('')}]`, { held })).toMatchObject({
      ...{ verdict: 'hold', rule: 'r', labels: {}, reason: `${held}, and only a person may approve that` },
    });
    expect(decide('{}', { held }).reason).toContain(held);
  });
  it('yet may reject it', () => {
    expect(decide(`rules: [${rule('tag: tag:pi', 'reject')}]`, { held }).verdict).toBe('reject');
  });
  it('a node that was rejected', () => {
    expect(decide(`rules: [${rule('')}]`, { rejected: true })).toMatchObject({
      ...{ verdict: 'reject', reason: 'it was rejected, and only a person lets it in after that' },
    });
  });
});

describe('OpenClaw’s own nodes', () => {
  const device: Partial<ApprovalRequest> = {
    kind: 'device',
    role: 'node-host',
    offers: [],
    commands: null,
    token: null,
  };
  const surface = (...commands: string[]): Partial<ApprovalRequest> => ({ ...device, kind: 'surface', commands });
  const yaml = `rules: [${rule('tag: tag:pi, role: node-host, commands: [camera.snap]', 'approve', ', labels: { a: b }, groups: [g]')}]`;

  it('are let in by a ceiling that they are held to when they offer their commands', () => {
    expect(decide(yaml, device)).toMatchObject({
      verdict: 'approve',
      reason:
        'rule r approves it: its tailnet tag is tag:pi; its role is node-host; its commands are judged when it offers them',
    });
    expect(decide(yaml, surface('camera.snap')).verdict).toBe('approve');
    expect(decide(yaml, surface('camera.snap', 'system.run'))).toMatchObject({
      ...{ verdict: 'hold', rule: null, reason: 'no rule matches it' },
    });
  });

  it('get neither labels nor groups', () => {
    for (const changed of [device, surface('camera.snap')]) {
      expect(decide(yaml, changed)).toMatchObject({ verdict: 'approve', labels: {}, groups: [] });
    }
  });

  it('match no name where they call themselves what no node may be called', () => {
    const named = `rules: [${rule("tag: tag:pi, name: '*'")}]`;
    expect(decide(named, { ...device, name: 'Ann’s iPhone' }).verdict).toBe('hold');
    expect(decide(named, { ...device, name: 'anns-iphone' }).verdict).toBe('approve');
  });

  it('are rejected as others are', () => {
    expect(decide(`rules: [${rule('tag: tag:pi', 'reject')}]`, device).verdict).toBe('reject');
  });

  it('say what they want where they are explained', () => {
    const head = (changed: Partial<ApprovalRequest>) =>
      explain(request(changed), policy(yaml), { now: NOW, approvals: [] }).lines[0];
    expect(head(device)).toBe('pi-3 (1a2b-1a2b-1a2b-1a2b), node-host, from 100.64.0.7, wants to pair with OpenClaw');
    expect(head(surface())).toMatch(/, wants to offer its commands to OpenClaw$/);
  });
});

describe('what only a person decides', () => {
  it('a key that asks from another machine, which may be rejected', () => {
    expect(decide(`rules: [${rule('tag: tag:pi')}]`, { kind: 'moved' })).toMatchObject({
      verdict: 'hold',
      rule: 'r',
      reason: 'its key asks from another machine than its own, and only a person may approve that',
    });
    expect(decide(`rules: [${rule('tag: tag:pi', 'reject')}]`, { kind: 'moved' }).verdict).toBe('reject');
  });

  it.each(['approve', 'reject', 'hold'])('whoever wants to operate, whatever a rule says: %s', (verdict) => {
    const rules = policy(`rules: [${rule('', verdict)}]`);
    const asking = request({ kind: 'operator', role: 'operator' });
    const { decision, rules: explained, lines } = explain(asking, rules, { now: NOW, approvals: [] });
    const reason = 'it would steer all nodes, and only a person may approve that';
    expect(decision).toMatchObject({ verdict: 'hold', rule: null, reason });
    expect(explained).toEqual([]);
    expect(lines).toEqual(['pi-3 (1a2b-1a2b-1a2b-1a2b), operator, from 100.64.0.7', `hold: ${reason}`]);
  });
});

describe('a rule that expires', () => {
  const yaml = `rules: [${rule('tag: tag:pi', 'approve', ', expires: 2026-11-21T12:00:00Z')}]`;
  const at = (now: number, changed: Partial<ApprovalRequest> = {}) => decide(yaml, changed, { now, approvals: [] });
  it('matches up to that time and not at it', () => {
    expect(at(NOW - 1).verdict).toBe('approve');
    expect(at(NOW)).toMatchObject({ verdict: 'hold', rule: null });
  });
  it('is named where nothing else matches', () => {
    expect(at(NOW).reason).toBe('no rule matches it; rule r did until it expired at 2026-11-21T12:00:00Z');
    expect(at(NOW, owned('ann@example.com')).reason).toBe('no rule matches it');
  });
  it('lets the next one decide', () => {
    const both = yaml.replace(']', ', { name: next, when: { tag: tag:pi }, then: reject }]');
    expect(decide(both)).toMatchObject({ verdict: 'reject', rule: 'next' });
  });
});

describe('the limits of an hour', () => {
  const yaml = `{ maxPerHour: 2, rules: [${rule('tag: tag:pi')}, { name: s, when: { tag: tag:s }, then: approve, maxPerHour: 1 }] }`;
  const ago = (ms: number, by = 'r', keyId = 'ff'): PastApproval => ({ at: NOW - ms, rule: by, keyId });
  const after = (approvals: readonly PastApproval[], changed: Partial<ApprovalRequest> = {}) =>
    decide(yaml, changed, { now: NOW, approvals });
  const other = owned(null, ['tag:s']);

  it.each<[string, readonly PastApproval[], number | null]>([
    ['none', [], null],
    ['one of two', [ago(0)], null],
    ['both', [ago(HOUR_MS - 1), ago(5)], NOW + 1],
    ['both, in any order', [ago(5), ago(HOUR_MS - 1)], NOW + 1],
    ['one of them an hour ago', [ago(HOUR_MS), ago(5)], null],
    ['more than the limit, from before it was lowered', [ago(30), ago(20), ago(10)], NOW + HOUR_MS - 20],
    ['by any rule', [ago(7, 'gone'), ago(5, 's')], NOW + HOUR_MS - 7],
    ['in what is the future since the clock was set back', [ago(-HOUR_MS), ago(-HOUR_MS)], NOW + 2 * HOUR_MS],
  ])('all rules together: %s', (_, approvals, retryAt) => {
    expect(after(approvals)).toMatchObject({ verdict: retryAt === null ? 'approve' : 'hold', rule: 'r', retryAt });
  });

  it('a rule’s own counts what it approved', () => {
    expect(after([ago(5, 'r')], other).verdict).toBe('approve');
    expect(after([ago(5, 's')], other)).toMatchObject({
      ...{ verdict: 'hold', rule: 's', retryAt: NOW + HOUR_MS - 5 },
      reason: 'the limit of 1 approvals an hour by rule s is reached until 2026-11-21T12:59:59.995Z',
    });
  });

  it('of both the one that lasts longer is told', () => {
    expect(after([ago(9, 'r'), ago(5, 's')], other).reason).toContain(
      'by rule s is reached until 2026-11-21T12:59:59.995Z',
    );
    expect(after([ago(0, 'r'), ago(0, 'r'), ago(5, 's')], other).reason).toBe(
      'the limit of 2 approvals an hour is reached until 2026-11-21T13:00:00Z',
    );
  });

  it('when it said that there is room again, there is', () => {
    const approvals = [ago(400), ago(300), ago(200), ago(100)];
    const { retryAt } = after(approvals);
    expect(decide(yaml, {}, { now: retryAt! - 1, approvals }).verdict).toBe('hold');
    expect(decide(yaml, {}, { now: retryAt!, approvals }).verdict).toBe('approve');
  });

  it('count a device and its commands as one', () => {
    const full = { now: NOW, approvals: [ago(9, 'r', 'ab'), ago(5, 'r', 'cd')] };
    const surface = (keyId: string) => decide(yaml, { kind: 'surface', role: 'node-host', keyId }, full).verdict;
    expect([surface('ab'), surface('cd'), surface('ef')]).toEqual(['approve', 'approve', 'hold']);
    expect(decide(yaml, { kind: 'device', role: 'node-host', keyId: 'ab' }, full).verdict).toBe('hold');
    const later = { now: NOW, approvals: [ago(HOUR_MS, 'r', 'ab'), ago(5, 'r', 'cd'), ago(4, 'r', 'ef')] };
    expect(decide(yaml, { kind: 'surface', role: 'node-host', keyId: 'ab' }, later).verdict).toBe('hold');
  });

  it('do not keep a node from being rejected', () => {
    const full = { now: NOW, approvals: [ago(1), ago(1)] };
    expect(decide(yaml.replace('approve', 'reject'), {}, full)).toMatchObject({ verdict: 'reject', retryAt: null });
  });
});

describe('an explanation', () => {
  const yaml = `
    mode: warn
    rules:
      - { name: gpu, when: { tag: tag:gpu, role: worker }, then: approve }
      - { name: old, when: { tag: tag:pi }, then: approve, expires: 2026-01-01 }
      - { name: pis, when: { token: pi, commands: [exec] }, then: approve }
      - { name: servers, when: { tag: [tag:server, tag:nas] }, then: hold }
      - { name: rest, when: {}, then: reject }`;

  it('tells of each rule and each condition why or why not', () => {
    const { decision, rules, lines } = explain(request(), policy(yaml), { now: NOW, approvals: [] });
    expect(decision).toEqual(decide(yaml));
    expect(
      rules.map(({ rule: name, verdict, matches, decides, expired }) => [name, verdict, matches, decides, expired]),
    ).toEqual([
      ['gpu', 'approve', false, false, null],
      ['old', 'approve', false, false, Date.UTC(2026, 0, 1)],
      ['pis', 'approve', false, false, null],
      ['servers', 'hold', true, true, null],
      ['rest', 'reject', true, false, null],
    ]);
    expect(rules[2]!.conditions).toEqual([
      { condition: 'token', wanted: ['pi'], holds: true, why: 'it brought the join token pi' },
      {
        condition: 'commands',
        wanted: ['exec'],
        holds: false,
        why: 'it also offers node-host, system.run, system.which',
      },
    ]);
    expect(lines.join('\n')).toMatchInlineSnapshot(`
      "pi-3 (1a2b-1a2b-1a2b-1a2b), worker, from 100.64.0.7
      hold: rule servers holds it: its tailnet tag is tag:server (mode is warn: it is not done)
      1. gpu (approve): does not match
         no   tag tag:gpu: its tailnet tags are tag:server, tag:pi
         yes  role worker: its role is worker
      2. old (approve): expired at 2026-01-01T00:00:00Z
         yes  tag tag:pi: its tailnet tag is tag:pi
      3. pis (approve): does not match
         yes  token pi: it brought the join token pi
         no   commands exec: it also offers node-host, system.run, system.which
      4. servers (hold): decides
         yes  tag tag:server, tag:nas: its tailnet tag is tag:server
      5. rest (reject): matches, but an earlier rule decides"
    `);
  });

  it('shows what a node says of itself in a way that steers no terminal and looks like nothing else', () => {
    const evil = `\u001b]0;x\u0007\u009b2J\u202e\u0440i${'x'.repeat(10_000)}`;
    const all = `rules: [${rule("tag: tag:a, name: '*', user: a, stableId: a, token: a, address: 10.0.0.1, openclaw: '1', commands: a")}]`;
    for (const tags of [[], Array<string>(1000).fill(evil)]) {
      const changed: Partial<ApprovalRequest> = {
        ...{ name: evil, address: evil, openclawVersion: evil, token: evil },
        ...{ offers: Array.from({ length: 1000 }, (_, at) => `${at}${evil}`), commands: [evil] },
        tailnet: { stableId: evil, name: evil, user: evil, tags },
      };
      const { lines, decision } = explain(request(changed), policy(all), { now: NOW, approvals: [] });
      expect(decision.verdict).toBe('hold');
      expect(lines.join('')).toMatch(/^[\x20-\x7e]*$/);
      expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(4000);
      expect(lines.join('')).toContain('\\u001b]0;x\\u0007\\u009b2J\\u202e\\u0440i');
    }
  });
});

describe('a member that wants more', () => {
  const WANTS_MORE = { kind: 'more', offers: ['exec'], commands: ['system.which'] } as const;

  it('is approved by a rule that names all that it may offer, and by no other', () => {
    const narrow = 'tag: tag:server, commands: [exec, system.which]';
    expect(decide(`rules: [${rule(narrow)}]`, WANTS_MORE).verdict).toBe('approve');
    expect(decide(`rules: [${rule('tag: tag:server')}]`, WANTS_MORE)).toMatchObject({
      ...{ verdict: 'hold', rule: 'r' },
      reason: 'rule r names no commands, and only a person may grant a member more then',
    });
    const more = { ...WANTS_MORE, commands: ['system.which', 'system.run'] };
    expect(decide(`rules: [${rule(narrow)}]`, more)).toMatchObject({ verdict: 'hold', rule: null });
  });

  it('gets no labels and groups for it: what an operator took away does not come back', () => {
    const text = `rules: [${rule('commands: [exec, system.which], tag: tag:server', 'approve', ', labels: { env: prod }, groups: [prod]')}]`;
    const { kind: _, ...newcomer } = WANTS_MORE;
    expect(decide(text, newcomer)).toMatchObject({ labels: { env: 'prod' }, groups: ['prod'] });
    expect(decide(text, WANTS_MORE)).toMatchObject({ verdict: 'approve', labels: {}, groups: [] });
  });
});

it('decides nothing of a machine that the tailnet can’t tell yet, and rejects it as little', () => {
  for (const then of ['approve', 'reject', 'hold']) {
    const text = `rules: [${rule('token: pi', then)}]`;
    expect(decide(text, { isIdentified: false, tailnet: null })).toMatchObject({
      ...{ verdict: 'hold', reason: 'the tailnet can’t say which machine it is; no rule decides before' },
    });
  }
});

test('whatever the rules and the nodes, a decision is what the first matching rule says', () => {
  const random = randomNumbers(7);
  const any = (count: number) => Math.floor(random() * count);
  const pick = <T>(values: readonly T[]): T => values[any(values.length)]!;
  const some = <T>(values: readonly T[]): T[] => values.filter(() => any(2) === 0);
  const seen = new Map<string, number>();

  /** Each condition as it may stand in a rule, and what it means for a node in the plainest words. */
  const CONDITIONS: readonly [string, (node: ApprovalRequest) => boolean][] = [
    ['tag: [tag:a, tag:b]', ({ tailnet }) => ['tag:a', 'tag:b'].some((tag) => tailnet?.tags.includes(tag))],
    ['user: ann', ({ tailnet }) => tailnet?.user === 'ann' && tailnet.tags.length === 0],
    ['stableId: n1', ({ tailnet }) => tailnet?.stableId === 'n1'],
    ['token: [t1, t2]', ({ token }) => token === 't1' || token === 't2'],
    ['address: 10.0.0.0/24', ({ address }) => address.startsWith('10.0.0.')],
    ['name: pi-*', ({ name }) => /^pi-[0-9]$/.test(name)],
    ['role: [worker, node-host]', ({ role }) => role === 'worker' || role === 'node-host'],
    [
      'commands: [exec, camera.snap]',
      ({ offers, commands }) => !offers.includes('node-host') && commands?.includes('system.run') !== true,
    ],
    ['openclaw: ">=2026.9"', ({ openclawVersion }) => openclawVersion === '2026.9.6'],
  ];
  const node = (): ApprovalRequest =>
    request({
      name: pick(['pi-1', 'pi-2', 'PI-1', 'nas']),
      kind: pick(['join', 'more', 'moved', 'device', 'surface', 'operator']),
      role: pick(['worker', 'hybrid', 'node-host']),
      address: pick(['10.0.0.1', '10.0.1.1', '::1']),
      offers: some(['exec', 'node-host']),
      commands: pick([null, some(['camera.snap', 'system.run'])]),
      openclawVersion: pick([null, '2026.9.6', '2026.8.1']),
      tailnet: pick([
        null,
        {
          stableId: pick(['n1', 'n2']),
          name: 'x',
          user: pick(['ann', 'bob', null]),
          tags: some(['tag:a', 'tag:b', 'tag:c']),
        },
      ]),
      token: pick([null, 't1', 't3']),
      held: any(6) === 0 ? 'its key changed' : null,
      isIdentified: any(10) > 0,
      rejected: any(10) === 0,
    });

  for (let round = 0; round < 6000; round += 1) {
    const rules = Array.from({ length: any(6) }, (_, at) => ({
      name: `r${at}`,
      conditions: CONDITIONS.filter(() => any(5) === 0),
      verdict: pick(['approve', 'approve', 'hold', 'reject']),
      expires: any(6) === 0,
      max: any(3) === 0 ? 1 : null,
    }));
    const yaml = `{ maxPerHour: 3, rules: [${rules
      .map(({ name, conditions, verdict, expires, max }) => {
        const when = conditions.map(([text]) => text).join(', ');
        return `{ name: ${name}, when: { ${when} }, then: ${verdict}${expires ? ', expires: 2026-11-21' : ''}${max === null ? '' : `, maxPerHour: ${max}`} }`;
      })
      .join(', ')}] }`;
    const parsed = parsePolicy(parse(yaml), { approveEverything: false });

    const anchors = (conditions: (typeof rules)[number]['conditions']) =>
      conditions.filter(([text]) => /^(?:tag|user|stableId|token)/.test(text)).length;
    const isGood = rules.every(({ conditions, verdict }) => {
      const has = (word: string) => conditions.some(([text]) => text.startsWith(word));
      if (has('name') && anchors(conditions) === 0) return false;
      return verdict !== 'approve' || anchors(conditions) > 0 || has('address');
    });
    expect([yaml, parsed.ok, 'policy' in parsed]).toEqual([yaml, isGood, isGood]);
    if (!parsed.ok) continue;

    const asking = node();
    const approvals = Array.from({ length: any(5) }, () => ({
      at: NOW - any(2 * HOUR_MS),
      rule: `r${any(6)}`,
      keyId: 'ff',
    }));
    const recent = approvals.filter(({ at }) => at > NOW - HOUR_MS);
    const first = rules.find(
      ({ conditions, expires }) =>
        asking.kind !== 'operator' && !expires && conditions.every(([, holds]) => holds(asking)),
    );
    const mine = recent.filter(({ rule: name }) => name === first?.name).length;
    const expected = (() => {
      if (asking.rejected) return 'reject';
      if (first === undefined || !asking.isIdentified) return 'hold';
      if (first.verdict !== 'approve') return first.verdict === 'reject' ? 'reject' : 'hold';
      if (asking.held !== null || asking.kind === 'moved') return 'hold';
      if (asking.kind === 'more' && !first.conditions.some(([text]) => text.startsWith('commands'))) return 'hold';
      if (recent.length >= 3 || mine >= (first.max ?? Infinity)) return 'hold';
      return 'approve';
    })();
    const context = { now: NOW, approvals };
    const decision = judge(asking, parsed.policy, context);
    expect([yaml, asking, decision.verdict, decision.rule]).toEqual([yaml, asking, expected, first?.name ?? null]);

    const explained = explain(asking, parsed.policy, context);
    expect(explained.decision).toEqual(decision);
    expect(explained.rules.filter(({ decides }) => decides).map(({ rule: name }) => name)).toEqual(
      first ? [first.name] : [],
    );
    seen.set(expected, (seen.get(expected) ?? 0) + 1);

    // All that it says of itself may be made up: without a fact of ours it does not get in.
    const stranger = { ...asking, tailnet: null, token: null, address: '203.0.113.9' };
    expect(judge(stranger, parsed.policy, context).verdict).not.toBe('approve');
  }
  expect([...seen.keys()].toSorted()).toEqual(['approve', 'hold', 'reject']);
  expect(Math.min(...seen.values())).toBeGreaterThan(50);
});
