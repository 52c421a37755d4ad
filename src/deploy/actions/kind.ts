import type { Action, ActionOf } from '#src/deploy/action.ts';
import type { Context } from '#src/deploy/actions/context.ts';
import type { Facts } from '#src/deploy/facts.ts';
import type { Place } from '#src/deploy/place.ts';

/** How one kind of action is done and taken back. All that wait throw FederationErrors and the signal's reason. */
export interface ActionKind<K extends Action['do'], Before = unknown> {
  /** The thing of the machine that it changes, as the record names it; null: nothing is to be taken back. */
  key(action: ActionOf<K>): string | null;
  /** One line for the plan, in the imperative. No secret is in it. */
  describe(action: ActionOf<K>): string;
  /** One line for the consent to take it back, where that says more: what is lost by it, and what stays. */
  describeUndo?(action: ActionOf<K>, before: Before, place: Place): string;
  /** It only looks: it belongs to every run, and changes nothing. */
  readonly isCheck?: true;
  /** Whether the machine is so already; without this, it is brought about each time. */
  isSo?(action: ActionOf<K>, facts: Facts): boolean;
  /** Whether it holds what the federation has come to know, and a person may want to keep: keys, members, jobs. */
  isData?(action: ActionOf<K>, place: Place): boolean;
  /** Whether the machine is in the tailnet by it. */
  isTailnet?(action: ActionOf<K>): boolean;
  /** How it is before the change: what `undo` needs. What can't be said again later is put away in the backups. */
  before(action: ActionOf<K>, context: Context): Promise<Before>;
  /** Brings it about; doing it again is harmless. */
  apply(action: ActionOf<K>, context: Context): Promise<void>;
  /** Brings back what was before; doing it again is harmless. */
  undo(action: ActionOf<K>, before: Before, context: Context, isOurs: IsOurs): Promise<void>;
  /** What is there, and what will be: for things that a person may change after us. */
  content?(action: ActionOf<K>, context: Context): Promise<Content>;
  /** The action as the record keeps it: no secrets, and what an earlier one did to the same thing. */
  remember?(action: ActionOf<K>, earlier: ActionOf<K> | null): ActionOf<K>;
}

/** Whether this content is one that we put there ourselves. */
export type IsOurs = (content: string | Buffer) => boolean;

export interface Content {
  /** Null where nothing is. */
  readonly now: string | Buffer | null;
  readonly next: string;
}
