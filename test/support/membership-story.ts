import { expect } from 'vitest';
import type { Knock, MembershipModel, ModelLimits } from './membership-model.ts';
import { membershipModel } from './membership-model.ts';
import { randomNumbers } from './random.ts';

/** What is held against the model: a part of the product, told the same story. Outcomes are words and error codes. */
export interface StorySubject {
  /** `in`, `waits`, or the code of the refusal. */
  knock(knock: Knock): Promise<string>;
  approve(key: number, replace: boolean): Promise<string>;
  judge(key: number): Promise<string>;
  reject(key: number): Promise<string>;
  revoke(key: number): Promise<string>;
  readmit(key: number, replace: boolean): Promise<string>;
  rename(key: number, name: string): Promise<void>;
  rekey(key: number, next: number): Promise<string>;
  token(id: string, token: { name: string | null; byRules: boolean; expiresAt: number; uses: number }): Promise<void>;
  endToken(id: string): Promise<void>;
  hangUp(key: number): Promise<void>;
  /** Begins anew with nothing but what was kept. */
  restart(): Promise<void>;
  pass(ms: number): void;
  view(): ReturnType<MembershipModel['view']>;
}

/** How often each outcome was met; stories that reach no rule prove nothing of it. */
export type Seen = Map<string, number>;

export const STORY_LIMITS: ModelLimits = { total: 5, perSource: 3 };
export const TOKEN_LIFE_MS = 6 * 3600_000;

/** Every rule, as it shows. */
export const ALL_SEEN = [
  'a member under quarantine',
  'a request to join',
  'a request to more',
  'a request to moved',
  'approve HELD',
  'approve NAME_TAKEN',
  'approve REQUEST_NOT_FOUND',
  'approve ok',
  'judge REQUEST_NOT_FOUND',
  'judge nothing',
  'judge ok',
  'knock FORBIDDEN',
  'knock HELD',
  'knock KEY_ROTATED',
  'knock NAME_TAKEN',
  'knock PENDING_FULL',
  'knock REVOKED',
  'knock TAILNET_DOWN',
  'knock TOKEN_EXPIRED',
  'knock TOKEN_INVALID',
  'knock in',
  'knock waits',
  'readmit NAME_TAKEN',
  'readmit none',
  'readmit ok',
  'reject REQUEST_NOT_FOUND',
  'reject ok',
  'rekey HELD',
  'rekey NAME_TAKEN',
  'rekey REVOKED',
  'rekey ok',
  'revoke NODE_NOT_FOUND',
  'revoke ok',
];

const NAMES = ['a', 'b', 'c'];
const MACHINES = ['m1', 'm2', 'm3', null, 'unsaid'];
const KEYS = 8;
const HOUR_MS = 3600_000;

/** One random order of events, the same for the same seed, in which the subject does what the model does at each step. */
export async function tellStory(seed: number, steps: number, subject: StorySubject, seen: Seen): Promise<void> {
  const random = randomNumbers(seed);
  const model = membershipModel(STORY_LIMITS);
  const any = (count: number) => Math.floor(random() * count);
  const one = <T>(list: readonly T[]): T => list[any(list.length)]!;
  /** One that never was, and all that were made. */
  const made = ['t0'];
  const aToken = () => one(made.slice(-4));
  let now = 0;
  let story: string[] = [];

  const note = (what: string) => void seen.set(what, (seen.get(what) ?? 0) + 1);

  async function check(what: string, expected: string, said: Promise<string>): Promise<void> {
    const word = await said;
    note(`${what} ${word}`);
    expect([...story, word.startsWith('TOKEN_') ? 'TOKEN' : word]).toEqual([...story, expected]);
  }

  const actions: Readonly<Record<string, () => Promise<unknown>>> = {
    async knock() {
      const machine = one(MACHINES);
      const address = `100.64.${MACHINES.indexOf(machine)}.${any(2)}`;
      const token = any(3) === 0 ? aToken() : null;
      const knock: Knock = {
        key: any(KEYS),
        name: one(NAMES),
        offersMore: any(4) === 0,
        place: { address, machine },
        token,
      };
      story.push(JSON.stringify(knock));
      await check('knock', model.knock(knock), subject.knock(knock));
    },
    async sameAgain() {
      const key = any(KEYS);
      const place = { address: `100.64.${key % 3}.0`, machine: MACHINES[key % 3]! };
      const knock: Knock = { key, name: NAMES[key % 3]!, offersMore: false, place, token: null };
      story.push(JSON.stringify(knock));
      await check('knock', model.knock(knock), subject.knock(knock));
    },
    async approve() {
      const [key, replace] = [any(KEYS), any(2) === 0];
      story.push(`approve ${key} ${replace}`);
      await check('approve', model.approve(key, replace), subject.approve(key, replace));
    },
    async judge() {
      const key = any(KEYS);
      story.push(`judge ${key}`);
      await check('judge', model.judge(key), subject.judge(key));
    },
    async reject() {
      const key = any(KEYS);
      if (any(2) === 0) return;
      story.push(`reject ${key}`);
      await check('reject', model.reject(key), subject.reject(key));
    },
    async revoke() {
      const key = any(KEYS);
      story.push(`revoke ${key}`);
      await check('revoke', model.revoke(key), subject.revoke(key));
    },
    async readmit() {
      const [key, replace] = [any(KEYS), any(3) === 0];
      story.push(`readmit ${key} ${replace}`);
      await check('readmit', model.readmit(key, replace), subject.readmit(key, replace));
    },
    async rename() {
      const [key, name] = [any(KEYS), one(NAMES)];
      if (!model.isMember(key) || !model.nameIsFree(name)) return;
      story.push(`rename ${key} ${name}`);
      model.rename(key, name);
      await subject.rename(key, name);
    },
    async rekey() {
      const [key, next] = [any(KEYS), any(KEYS)];
      if (key === next) return;
      story.push(`rekey ${key} ${next}`);
      await check('rekey', model.rekey(key, next), subject.rekey(key, next));
    },
    /** To and fro, until it is too much. */
    async rekeyAgain() {
      const keys = [any(KEYS), any(KEYS)] as const;
      if (keys[0] === keys[1]) return;
      for (let at = 0; at < 4; at += 1) {
        const [key, next] = [keys[at % 2]!, keys[(at + 1) % 2]!];
        story.push(`rekey ${key} ${next}`);
        await check('rekey', model.rekey(key, next), subject.rekey(key, next));
      }
    },
    async token() {
      const id = `t${made.length}`;
      made.push(id);
      const name = any(3) === 0 ? one(NAMES) : null;
      const token = { name, byRules: any(2) === 0, expiresAt: now + TOKEN_LIFE_MS, uses: 1 + any(2) };
      story.push(`token ${id} ${JSON.stringify(token)}`);
      model.token(id, token);
      await subject.token(id, token);
    },
    async endToken() {
      const id = aToken();
      story.push(`end token ${id}`);
      model.endToken(id);
      await subject.endToken(id);
    },
    async hangUp() {
      const key = any(KEYS);
      story.push(`hang up ${key}`);
      model.hangUp(key);
      await subject.hangUp(key);
    },
    async restart() {
      story.push('restart');
      model.restart();
      await subject.restart();
    },
    async time() {
      const ms = one([1000, 61_000, HOUR_MS, 8 * HOUR_MS, 25 * HOUR_MS]);
      story.push(`${ms} ms later`);
      now += ms;
      model.pass(ms);
      subject.pass(ms);
    },
  };
  const often = ['knock', 'knock', 'knock', 'sameAgain', 'approve', 'judge', ...Object.keys(actions)];

  for (let step = 0; step < steps; step += 1) {
    await actions[one(often)]!();
    // Lines that were ended by it have heard so.
    await new Promise((next) => setImmediate(next));
    const view = subject.view();
    expect([...story, view]).toEqual([...story, model.view()]);
    for (const kind of ['join', 'more', 'moved']) {
      if (view.requests.some((request) => request.includes(` ${kind} `))) note(`a request to ${kind}`);
    }
    if (view.quarantined.length > 0) note('a member under quarantine');
    story = story.slice(-12);
  }
}
