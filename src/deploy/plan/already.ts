import { isDeepStrictEqual } from 'node:util';
import { parse } from 'jsonc-parser';
import type { Action, Owner, Step } from '#src/deploy/action.ts';
import type { Facts } from '#src/deploy/facts.ts';
import { fileIn, folderIn, linkIn, unitIn } from '#src/deploy/facts.ts';

/** Whether an action only looks: it belongs to every run, and changes nothing. */
export function isCheck({ do: kind }: Action): boolean {
  return ['knock', 'gateway-ready', 'hub-ready', 'worker-ready'].includes(kind);
}

/** Whether a step changes something; what is left of the others are their checks. */
export function changes({ actions }: Step): boolean {
  return actions.some((action) => !isCheck(action));
}

/** The actions that the machine, as the facts have it, still needs. */
export function needed(facts: Facts, actions: readonly Action[]): Action[] {
  return actions.filter((action) => !isAlreadySo(facts, action));
}

function isAlreadySo(facts: Facts, action: Action): boolean {
  switch (action.do) {
    case 'folder':
      return isDeepStrictEqual(folderIn(facts, action.path), {
        mode: action.mode,
        owner: ownerName(facts, action.owner),
      });
    case 'write':
      return isDeepStrictEqual(fileIn(facts, action.path), {
        text: action.text,
        mode: action.mode,
        owner: ownerName(facts, action.owner),
      });
    case 'merge': {
      const found = fileIn(facts, action.path)?.text;
      if (found === undefined) return false;
      const settings: unknown = parse(found);
      return Object.entries(action.values).every(([path, value]) => isDeepStrictEqual(valueAt(settings, path), value));
    }
    case 'link':
      return linkIn(facts, action.path) === action.target;
    case 'release':
      return linkIn(facts, facts.place.current) === action.path;
    case 'user':
      return facts.hubUserExists;
    case 'linger':
      return facts.systemd.linger;
    case 'unit': {
      return !action.restart && isDeepStrictEqual(unitIn(facts, action.unit), action.want);
    }
    default:
      return false;
  }
}

/** The value at a dotted path, or undefined where there is none. */
export function valueAt(settings: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((value, key) => (isRecord(value) ? value[key] : undefined), settings);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function ownerName({ place, person }: Facts, owner: Owner): string {
  switch (owner) {
    case 'root':
      return 'root';
    case 'person':
      return person.name;
    case 'hub':
      return place.hubUser ?? person.name;
  }
}
