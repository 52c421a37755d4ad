/** What a node says of itself, and where it is when it says it. */
export interface Knock {
  readonly key: number;
  readonly name: string;
  readonly offersMore: boolean;
  readonly place: ModelPlace;
  readonly token: string | null;
}

/** `machine`: by the tailnet's word; null outside of it, `unsaid` where the tailnet can't be asked. */
export interface ModelPlace {
  readonly address: string;
  readonly machine: string | null;
}

interface ModelMember {
  readonly key: number;
  name: string;
  machine: string | null;
  mayMore: boolean;
  offersMore: boolean;
  revoked: boolean;
  former: number | null;
  /** When it took another key. */
  rotations: { from: number; at: number }[];
}

interface ModelRequest {
  readonly key: number;
  readonly kind: 'join' | 'more' | 'moved';
  readonly name: string;
  readonly offersMore: boolean;
  readonly address: string;
  readonly machine: string | null;
  /** The tailnet could not say where it is. */
  readonly unsaid: boolean;
  readonly token: string | null;
  readonly askedAt: number;
  /** Number of the change that was the last; 0 where it always asked for the same. */
  readonly changed: number;
  readonly rejected: boolean;
  /** Why it was held when it was kept. */
  readonly held: string;
}

type Doubted = Pick<ModelRequest, 'key' | 'kind' | 'name' | 'machine' | 'unsaid'>;

interface ModelToken {
  readonly name: string | null;
  readonly byRules: boolean;
  readonly expiresAt: number;
  uses: number;
}

export interface ModelLimits {
  readonly total: number;
  readonly perSource: number;
}

const DAY_MS = 24 * 3600_000;
const MINUTE_MS = 60_000;
const ROTATIONS = { max: 3, within: 3 * MINUTE_MS };

/** Who is in, who waits and what tokens are worth, said as plainly as it can be: what the product is held against. */
export function membershipModel(limits: ModelLimits) {
  let members: ModelMember[] = [];
  let requests: ModelRequest[] = [];
  const tokens = new Map<string, ModelToken>();
  /** Keys of the nodes that wait on a line which is open. */
  const lines = new Set<number>();
  let now = 0;
  let changes = 0;

  const live = () => members.filter(({ revoked }) => !revoked);
  const memberOf = (key: number) => members.find((one) => one.key === key);
  const requestOf = (key: number) => requests.find((one) => one.key === key);
  const named = (name: string) => live().find((one) => one.name === name);
  const on = (machine: string | null) => (machine === null ? [] : live().filter((one) => one.machine === machine));
  const isGood = (token: string | null) => token !== null && (tokens.get(token)?.expiresAt ?? 0) > now;

  function isFormer({ former, rotations }: ModelMember, key: number): boolean {
    return former === key || rotations.some(({ from }) => from === key);
  }

  function drop(key: number): void {
    requests = requests.filter((one) => one.key !== key);
  }

  /** Replaces in its place, or comes last. */
  function put(request: ModelRequest): void {
    requests =
      requestOf(request.key) === undefined
        ? [...requests, request]
        : requests.map((one) => (one.key === request.key ? request : one));
  }

  function putOut(member: ModelMember): void {
    member.revoked = true;
    drop(member.key);
    lines.delete(member.key);
  }

  function letIn(member: ModelMember): void {
    members =
      memberOf(member.key) === undefined
        ? [...members, member]
        : members.map((one) => (one.key === member.key ? member : one));
    drop(member.key);
    lines.delete(member.key);
  }

  function use(token: string): void {
    const record = tokens.get(token);
    if (record === undefined) return;
    record.uses -= 1;
    if (record.uses === 0) tokens.delete(token);
  }

  function sweep(): void {
    requests = requests.filter(({ key, askedAt }) => lines.has(key) || now - askedAt < DAY_MS);
  }

  /** Why its identity does not speak for it as things stand; an empty text where it does. */
  function doubt({ key, kind, name, machine, unsaid }: Doubted): string {
    if (unsaid) return 'unsaid';
    if (kind === 'moved') return `elsewhere: ${machine}`;
    const holder = named(name);
    if (holder !== undefined && holder.key !== key) return `the name ${name}`;
    const names = on(machine).map((one) => one.name);
    if (kind !== 'join' || machine === null) return '';
    if (names.length > 0) return `the machine of ${names.toSorted().join()}`;
    const [revoked] = members
      .filter((one) => one.revoked && one.machine === machine)
      .map((one) => one.name)
      .toSorted();
    if (revoked !== undefined) return `the machine of ${revoked}, revoked`;
    const [rejected] = requests
      .filter((one) => one.rejected && one.key !== key && one.machine === machine)
      .map((one) => one.name)
      .toSorted();
    return rejected === undefined ? '' : `the machine of ${rejected}, rejected`;
  }

  function ask({ key, name, offersMore, token, place }: Knock, machine: string | null): string {
    const known = requestOf(key);
    if (known === undefined) {
      const waiting = requests.filter(({ rejected }) => !rejected);
      const here = waiting.filter(({ address }) => address === place.address);
      if (waiting.length >= limits.total || here.length >= limits.perSource) return 'PENDING_FULL';
    }
    const member = live().find((one) => one.key === key);
    const kind =
      member === undefined ? 'join' : member.machine === null || member.machine === machine ? 'more' : 'moved';
    const says = known?.name === name && known.offersMore === offersMore;
    const moves = known !== undefined && known.machine !== null && machine !== null && known.machine !== machine;
    const isFresh = known !== undefined && now - known.askedAt < MINUTE_MS;
    const isChange = known !== undefined && (!says || moves);
    if (isFresh && isChange && known.changed > 0) return 'HELD';
    if (isChange) changes += 1;
    const changed = isChange ? changes : (known?.changed ?? 0);
    const unsaid = place.machine === 'unsaid';
    const held = doubt({ key, kind, name, machine, unsaid }) || (changed > 0 ? `change ${changed}` : '');
    const isSame =
      isFresh && says && known.kind === kind && known.held === held && known.token === token && known.unsaid === unsaid;
    if (isSame && known.address === place.address && known.machine === machine) return 'ok';
    const rejected = known?.rejected ?? false;
    const kept = { address: place.address, machine, unsaid, token, askedAt: now, changed, rejected, held };
    put({ key, kind, name, offersMore, ...kept });
    return 'ok';
  }

  function wish(knock: Knock, machine: string | null): string {
    const asked = ask(knock, machine);
    if (asked !== 'ok') return asked;
    if (requestOf(knock.key)!.rejected) return 'FORBIDDEN';
    lines.add(knock.key);
    return 'waits';
  }

  function knockOfMember(member: ModelMember, knock: Knock): string {
    const { machine } = knock.place;
    const own = { ...knock, name: member.name, token: null };
    if (machine === 'unsaid' && member.machine !== null) return 'TAILNET_DOWN';
    const place = machine === 'unsaid' ? null : machine;
    if (member.machine !== null && member.machine !== place) return wish(own, place);
    member.machine = place ?? member.machine;
    member.offersMore = knock.offersMore && member.mayMore;
    if (knock.offersMore && !member.mayMore) ask(own, place);
    return 'in';
  }

  function newcomer({ key, name, offersMore }: Knock, machine: string | null): ModelMember {
    return { key, name, machine, mayMore: offersMore, offersMore, revoked: false, former: null, rotations: [] };
  }

  /** Puts out who stands in the way of `member`; false where that is not allowed. */
  function makeRoom({ key, name, machine }: ModelMember, replace: boolean): boolean {
    const holder = named(name);
    const isInTheWay = holder !== undefined && holder.key !== key;
    if (!replace) return !isInTheWay;
    const there = on(machine);
    if (isInTheWay) putOut(holder);
    // Whose name it takes there, and who it is there itself, is who it replaces; of several nobody is guessed.
    const [alone] = there;
    if (there.length === 1 && alone!.key !== key) putOut(alone!);
    return true;
  }

  return {
    knock(knock: Knock): string {
      const member = memberOf(knock.key);
      const machine = knock.place.machine === 'unsaid' ? null : knock.place.machine;
      if (member !== undefined && !member.revoked) return knockOfMember(member, knock);
      const renewed = members.find((one) => isFormer(one, knock.key));
      if (renewed !== undefined) return renewed.revoked ? 'REVOKED' : 'KEY_ROTATED';
      if (knock.token === null) return member === undefined ? wish(knock, machine) : 'REVOKED';
      const token = tokens.get(knock.token);
      if (token === undefined || !isGood(knock.token)) return 'TOKEN';
      if (token.name !== null && token.name !== knock.name) return 'TOKEN';
      if (token.byRules) return member === undefined ? wish(knock, machine) : 'REVOKED';
      if (named(knock.name) !== undefined) return 'NAME_TAKEN';
      letIn(newcomer(knock, machine));
      use(knock.token);
      return 'in';
    },
    approve(key: number, replace: boolean): string {
      const request = requestOf(key);
      if (request === undefined) return 'REQUEST_NOT_FOUND';
      if ((request.kind === 'moved' || request.changed > 0) && !replace) return 'HELD';
      const isSecond = request.kind === 'join' && on(request.machine).length > 0;
      if (isSecond && named(request.name) === undefined && !replace) return 'HELD';
      const member = live().find((one) => one.key === key);
      const { offersMore, token } = request;
      const name = member?.name ?? request.name;
      const machine = request.kind === 'more' ? (member?.machine ?? request.machine) : request.machine;
      const next = {
        key,
        name,
        machine,
        mayMore: offersMore,
        offersMore,
        revoked: false,
        former: member?.former ?? null,
        rotations: member?.rotations ?? [],
      };
      if (!makeRoom(next, replace)) return 'NAME_TAKEN';
      letIn(next);
      if (token !== null) use(token);
      return 'ok';
    },
    /** What rules that approve everybody may do about it. */
    judge(key: number): string {
      const request = requestOf(key);
      if (request === undefined) return 'REQUEST_NOT_FOUND';
      if (request.rejected || this.isHeld(key)) return 'nothing';
      return this.approve(key, false);
    },
    isHeld(key: number): boolean {
      const request = requestOf(key)!;
      const { changed, token } = request;
      return doubt(request) !== '' || changed > 0 || (token !== null && !isGood(token));
    },
    reject(key: number): string {
      const request = requestOf(key);
      if (request === undefined) return 'REQUEST_NOT_FOUND';
      put({ ...request, rejected: true, askedAt: now });
      lines.delete(key);
      return 'ok';
    },
    revoke(key: number): string {
      // Also by a key that it had lately.
      const member = live().find((one) => one.key === key) ?? live().find((one) => isFormer(one, key));
      if (member === undefined) return 'NODE_NOT_FOUND';
      putOut(member);
      return 'ok';
    },
    readmit(key: number, replace: boolean): string {
      const member = memberOf(key);
      if (member === undefined || !member.revoked) return 'none';
      if (!makeRoom(member, replace)) return 'NAME_TAKEN';
      member.revoked = false;
      return 'ok';
    },
    rename(key: number, name: string): void {
      memberOf(key)!.name = name;
    },
    rekey(key: number, next: number): string {
      const member = live().find((one) => one.key === key);
      if (member === undefined) return 'REVOKED';
      const rotations = member.rotations.filter(({ at }) => now - at < ROTATIONS.within);
      if (rotations.length >= ROTATIONS.max) return 'HELD';
      if (members.some((one) => one !== member && isFormer(one, next))) return 'NAME_TAKEN';
      if (memberOf(next) !== undefined || requestOf(next) !== undefined) return 'NAME_TAKEN';
      members = [
        ...members.filter((one) => one !== member),
        { ...member, key: next, former: key, rotations: [...rotations, { from: key, at: now }] },
      ];
      drop(key);
      lines.delete(key);
      return 'ok';
    },
    token(id: string, token: ModelToken): void {
      tokens.set(id, { ...token });
    },
    endToken(id: string): boolean {
      return isGood(id) && tokens.delete(id);
    },
    hangUp(key: number): void {
      lines.delete(key);
      sweep();
    },
    /** A hub that starts anew has no lines. */
    restart(): void {
      lines.clear();
      sweep();
    },
    pass(ms: number): void {
      now += ms;
      sweep();
    },
    nameIsFree: (name: string) => named(name) === undefined,
    isMember: (key: number) => live().some((one) => one.key === key),
    /** Of all that can be seen from outside, in lines. */
    view() {
      return {
        members: members
          .map(({ key, name, machine, offersMore, revoked }) => `${key} ${name} ${machine} ${offersMore} ${revoked}`)
          .toSorted(),
        quarantined: live()
          .filter(isQuarantined)
          .map(({ key }) => String(key))
          .toSorted(),
        requests: requests
          .map(({ key, kind, name, rejected }) => `${key} ${kind} ${name} ${rejected} ${this.isHeld(key)}`)
          .toSorted(),
        tokens: [...tokens]
          .filter(([id]) => isGood(id))
          .map(([id, { uses }]) => `${id} ${uses}`)
          .toSorted(),
        lines: [...lines].map(String).toSorted(),
      };
    },
  };

  function isQuarantined({ key, machine }: ModelMember): boolean {
    if (machine === null) return false;
    const waiting = requests.filter(({ rejected }) => !rejected);
    return waiting.some(
      (one) => (one.kind === 'moved' && one.key === key) || (one.kind === 'join' && one.machine === machine),
    );
  }
}

export type MembershipModel = ReturnType<typeof membershipModel>;
