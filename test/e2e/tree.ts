import { randomInt } from 'node:crypto';
import { programsWith } from './processes.ts';
import { until } from './until.ts';

/** A command whose processes try to outlive it, each known by an argument that no other process has. */
export interface StubbornTree {
  readonly script: string;
  /** Those that live now. */
  alive(): number;
  untilGrown(): Promise<void>;
  untilGone(): Promise<void>;
}

/** A child, a double fork, a session of its own and one that has both; none minds TERM, INT or HUP. */
export function stubbornTree(): StubbornTree {
  const mark = `86400.${randomInt(1e9, 1e10)}`;
  const alive = () => programsWith('sleep', mark).length;
  return {
    script: `trap '' TERM INT HUP
      sleep ${mark}1 &
      (sleep ${mark}2 &)
      setsid sleep ${mark}3 &
      (setsid sh -c 'sleep ${mark}4 & exec sleep ${mark}5' &)
      exec sleep ${mark}6`,
    alive,
    untilGrown: async () => void (await until('the whole tree runs', () => alive() === 6)),
    untilGone: async () => void (await until('nothing of the tree is left', () => alive() === 0)),
  };
}
