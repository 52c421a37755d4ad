import { describe, expect, test } from 'vitest';
import type { Identity, TailnetMachine } from '#src/core/identity.ts';
import type { Operator } from '#src/core/operator.ts';
import { adminMachine, operatorText } from '#src/core/operator.ts';
import type { OperatorAsking, OperatorRequest, Operators } from '#src/core/operator-request.ts';
import {
  OPERATOR_REQUEST_LIFE_MS,
  approveOperator,
  askToOperate,
  overdueOperators,
  whyOperatorHeld,
} from '#src/core/operator-request.ts';

const machine = (changed: Partial<TailnetMachine> = {}): TailnetMachine => ({
  ...{ stableId: 'n1', name: 'mac.tail.example', user: 'ann@example.com', tags: [] },
  ...changed,
});
const of = (changed: Partial<TailnetMachine> = {}): Identity => ({ kind: 'machine', machine: machine(changed) });

describe('an admin’s machine', () => {
  test.each([
    ['ann@example.com', of()],
    ['Ann@Example.Com', of()],
    ['tag:ops', of({ user: null, tags: ['tag:web', 'tag:ops'] })],
  ])('is one of %s', (admin, identity) => {
    expect(adminMachine(identity, [admin])).toMatchObject({ stableId: 'n1' });
  });

  test.each([
    ['nobody is named', [], of()],
    ['another user', ['bob@example.com'], of()],
    ['a tagged machine, whoever is said to have made it', ['ann@example.com'], of({ tags: ['tag:web'] })],
    ['a tag that begins the same', ['tag:op'], of({ user: null, tags: ['tag:ops'] })],
    ['a machine of nobody', ['nobody', 'null'], of({ user: null })],
    ['a stranger', ['ann@example.com'], { kind: 'stranger' }],
  ] as const)('is not: %s', (_, admins, identity) => {
    expect(() => adminMachine(identity, admins)).toThrow(expect.objectContaining({ code: 'FORBIDDEN' }));
  });

  test('can’t be told while the tailnet does not answer, and is not asked for where there is none', () => {
    const unknown = { kind: 'unknown', problem: 'it is down' } as const;
    expect(() => adminMachine(unknown, ['ann@example.com'])).toThrow(expect.objectContaining({ code: 'TAILNET_DOWN' }));
    expect(adminMachine({ kind: 'unasked' }, [])).toBeNull();
  });
});

test.each([
  [null, 'laptop@loopback'],
  [machine(), 'laptop@mac.tail.example (ann@example.com)'],
  [machine({ user: null, tags: ['tag:ops', 'tag:web'] }), 'laptop@mac.tail.example (tag:ops tag:web)'],
  [machine({ name: 'root) rules\u001b[2J', user: 'a\nb@c' }), 'laptop@root??rules??2J (a?b@c)'],
  [machine({ name: 'x'.repeat(500) }), `laptop@${'x'.repeat(64)} (ann@example.com)`],
])('the audit names it so that it steers nothing: %#', (tailnet, text) => {
  expect(operatorText({ name: 'laptop', tailnet })).toBe(text);
});

const asking = (id: string, changed: Partial<OperatorAsking> = {}): OperatorAsking => ({
  ...{ keyId: id, publicKey: 'k', name: 'laptop', version: '1', platform: 'linux', arch: 'x64' },
  ...{ address: '127.0.0.1', tailnet: null },
  ...changed,
});

/** As the hub keeps them, for a test that goes on. */
function book() {
  const known = new Map<string, Operator>();
  const waiting = new Map<string, OperatorRequest>();
  const operators: Operators = { known, waiting };
  return {
    operators,
    ask(one: OperatorAsking, now = 0) {
      const request = askToOperate(operators, one, now);
      waiting.set(one.keyId, request);
      return request;
    },
    approve(id: string, replace = false, now = 0) {
      const approved = approveOperator(operators, waiting.get(id)!, { by: 'ann', replace }, now);
      for (const one of [approved.operator, approved.replaced]) if (one !== null) known.set(one.id, one);
      waiting.delete(id);
      return approved;
    },
    revoke: (id: string) => known.set(id, { ...known.get(id)!, revokedAt: 1 }),
    reject: (id: string) => waiting.set(id, { ...waiting.get(id)!, rejected: true }),
  };
}

describe('one who asks', () => {
  test('is sixteen at once, four of a machine, and a rejected one is none of them', () => {
    const { ask, reject } = book();
    for (let count = 0; count < 16; count += 1) ask(asking(`k${count}`));
    expect(() => ask(asking('k16'))).toThrow(expect.objectContaining({ code: 'PENDING_FULL' }));
    ask(asking('k3'));
    reject('k3');
    ask(asking('k16'));

    const other = book();
    for (let count = 0; count < 4; count += 1) other.ask(asking(`k${count}`, { tailnet: machine() }));
    expect(() => other.ask(asking('k4', { tailnet: machine() }))).toThrow('too many operators');
    other.ask(asking('k4', { tailnet: machine({ stableId: 'n2' }) }));
  });

  test.each([
    ['under another name', { name: 'desk' }, 'it asked as laptop first, and now asks as desk'],
    [
      'from another machine',
      { tailnet: machine({ stableId: 'n2' }) },
      'it asked from the machine n1 first, and now asks from the machine n2',
    ],
  ])('%s than before is held, also when it asks as before again', (_, changed, held) => {
    const { operators, ask } = book();
    ask(asking('k1', { tailnet: machine() }));
    expect(whyOperatorHeld(operators, ask(asking('k1', { tailnet: machine(), ...changed })))).toBe(held);
    // Who changes back and forth waits a minute, and what a person would approve stays held.
    expect(() => ask(asking('k1', { tailnet: machine() }))).toThrow(expect.objectContaining({ code: 'HELD' }));
  });

  test('is forgotten some minutes after its line is gone, and a rejected one a day after', () => {
    const { operators, ask, reject } = book();
    ask(asking('k1'));
    ask(asking('k2'));
    reject('k2');
    const at = (now: number, line = false) => overdueOperators(operators, () => line, now);
    expect(at(OPERATOR_REQUEST_LIFE_MS - 1)).toEqual([]);
    expect(at(OPERATOR_REQUEST_LIFE_MS)).toEqual(['k1']);
    expect(at(24 * 3600_000)).toEqual(['k1', 'k2']);
    expect(at(24 * 3600_000, true)).toEqual([]);
  });
});

test('a machine that was not known at the approval has to be approved', () => {
  const { operators, ask, approve } = book();
  ask(asking('k1'));
  approve('k1');
  expect(whyOperatorHeld(operators, ask(asking('k1', { tailnet: machine() })))).toContain('instead of its own machine');
  expect(() => approve('k1')).toThrow(expect.objectContaining({ code: 'HELD' }));
  expect(approve('k1', true).operator.tailnet?.stableId).toBe('n1');
});

test('the name of a revoked operator is free, its key is not', () => {
  const { operators, ask, approve, revoke } = book();
  ask(asking('k1'));
  approve('k1');
  revoke('k1');
  expect(whyOperatorHeld(operators, ask(asking('k2')))).toBeNull();
  expect(whyOperatorHeld(operators, ask(asking('k1')))).toBe('it was the operator laptop, and was revoked');
});
