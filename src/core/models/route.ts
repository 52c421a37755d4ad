import type { Member } from '#src/core/member.ts';
import type { ModelRoute, OfferedModel } from '#src/core/models/catalog.ts';
import type { Health } from '#src/core/models/health.ts';
import { latency, standing } from '#src/core/models/health.ts';
import { hasLabels } from '#src/core/models/resolve.ts';

/** One upstream of one node that has the model, as it stands now. */
export interface Candidate {
  /** Of node and upstream: what places are counted by. */
  readonly key: string;
  readonly member: Member;
  /** Null while it has no link. */
  readonly link: 'online' | 'suspect' | null;
  readonly offered: OfferedModel;
  readonly health: Health;
  readonly inFlight: number;
  /** Requests that wait for a place there. */
  readonly waiting: number;
  /** Rises with each choice of it; 0 before the first. */
  readonly chosenAt: number;
}

/** What a request needs, as far as it decides who may serve it. */
export interface Needs {
  readonly endpoint: string;
  /** Whether it names a model: else any path is the upstream's own business. */
  readonly namesModel: boolean;
  /** Length of the body. */
  readonly bytes: number;
  readonly route: ModelRoute | null;
  /** Whether one node was asked for by name. */
  readonly isPinned: boolean;
  /** Ids of nodes that it must not return to. */
  readonly via: ReadonlySet<string>;
  /** Ids of nodes that were tried for it. */
  readonly excluded: ReadonlySet<string>;
  /** Key of the candidate that served what it continues; null where none did. */
  readonly home: string | null;
}

export type Rejection =
  | 'revoked'
  | 'offline'
  | 'drained'
  | 'label'
  | 'loop'
  | 'tried'
  | 'endpoint'
  | 'other-api'
  | 'context'
  | 'out'
  | 'on-trial';

export interface Choice {
  /** Best first, all that may serve; of those the first with a place is meant. */
  readonly ranked: readonly Ranked[];
  readonly rejected: readonly { readonly candidate: Candidate; readonly why: Rejection }[];
}

export interface Ranked {
  readonly candidate: Candidate;
  /** Milliseconds to the first byte that are to be expected, with a penalty for what speaks against it. */
  readonly costMs: number;
  readonly isHome: boolean;
}

/** Bytes of a body for each token: even of text that is a waste of words, a token is not longer. */
const MOST_BYTES_OF_TOKEN = 16;
/** With pictures in it. */
const MOST_BYTES_WITH_IMAGES = 512;
/** As a rule. */
const USUAL_BYTES_OF_TOKEN = 3.5;

/** Of one that was never asked, and where nobody is known. */
const UNKNOWN_MS = 200;
/** To bring a model into memory. */
const LOADING_MS = 3000;
/** What is probably too long for it, and a link that does not answer. */
const TIGHT_MS = 10_000;
const SUSPECT_MS = 20_000;
/** Costs that differ by less are alike: whoever was chosen longest ago is next. */
const ALIKE_MS = 25;
const ALIKE_SHARE = 0.25;
/** A node says itself how many places it has: more than this draw no more requests to it. */
const MOST_PLACES = 32;
/** How much busier than the idlest the home of a conversation may be: share of its places. */
const HOME_GAP = 0.75;

/**
 * Who may serve a request, best first: the home of its conversation unless others are far less busy, then by cost.
 * Where all that could serve have failed lately, they are asked all the same: their own answer says more than ours.
 */
export function choose(needs: Needs, candidates: readonly Candidate[], now: number): Choice {
  const rejected: { candidate: Candidate; why: Rejection }[] = [];
  let fit: Candidate[] = [];
  for (const candidate of candidates) {
    const why = unfit(needs, candidate);
    if (why === null) fit.push(candidate);
    else rejected.push({ candidate, why });
  }
  const drop = (why: Rejection, isKept: (candidate: Candidate) => boolean): void => {
    for (const candidate of fit) if (!isKept(candidate)) rejected.push({ candidate, why });
    fit = fit.filter(isKept);
  };
  // Where nobody would be left it is only a preference.
  const reject: typeof drop = (why, isKept) => {
    if (fit.some(isKept)) drop(why, isKept);
  };
  // A second try that may only wait in vain is none: the answer to the first is there already.
  if (needs.excluded.size > 0)
    drop('out', ({ health }) => health.outage?.needsProbe !== true || standing(health, now) !== 'out');
  if (fit.length > 1) reject('other-api', ({ offered }) => speaks(offered, needs.endpoint) === 'surely');
  reject('out', ({ health }) => standing(health, now) !== 'out');
  reject('on-trial', ({ health }) => standing(health, now) !== 'tried');
  return { ranked: rank(needs, fit, now), rejected };
}

function unfit(
  { endpoint, namesModel, bytes, route, isPinned, via, excluded }: Needs,
  candidate: Candidate,
): Rejection | null {
  const { member, link, offered } = candidate;
  if (member.revokedAt !== null) return 'revoked';
  if (link === null) return 'offline';
  if (member.drained && !isPinned) return 'drained';
  if (route !== null && !hasLabels(member, route.labels)) return 'label';
  if (via.has(member.id)) return 'loop';
  if (excluded.has(member.id)) return 'tried';
  if (!namesModel) return null;
  if (speaks(offered, endpoint) === 'no') return 'endpoint';
  if (offered.contextWindow === undefined) return null;
  const isText = offered.input !== undefined && !offered.input.includes('image');
  return bytes > offered.contextWindow * (isText ? MOST_BYTES_OF_TOKEN : MOST_BYTES_WITH_IMAGES) ? 'context' : null;
}

const MESSAGES = '/v1/messages';

/** Whether an upstream answers on that path: by its own word, else by what its kind does; some do both kinds. */
export function speaks({ api, endpoints }: OfferedModel, endpoint: string): 'surely' | 'perhaps' | 'no' {
  if (endpoints !== undefined) {
    return endpoints.some((known) => endpoint === known || endpoint.startsWith(`${known}/`)) ? 'surely' : 'no';
  }
  const isMessages = endpoint === MESSAGES || endpoint.startsWith(`${MESSAGES}/`);
  return isMessages === (api === 'anthropic') ? 'surely' : 'perhaps';
}

function rank({ bytes, home }: Needs, fit: readonly Candidate[], now: number): readonly Ranked[] {
  if (fit.length === 0) return [];
  let typical = Infinity;
  let idlest = Infinity;
  for (const one of fit) {
    typical = Math.min(typical, latency(one.health, now) ?? Infinity);
    idlest = Math.min(idlest, share(one));
  }
  if (typical === Infinity) typical = UNKNOWN_MS;
  const ranked = fit.map((candidate) => ({
    candidate,
    costMs: cost(candidate, bytes, typical, now),
    isHome: candidate.key === home && share(candidate) - idlest < HOME_GAP,
  }));
  const best = ranked.reduce((least, { costMs }) => Math.min(least, costMs), Infinity);
  const alike = best + Math.max(ALIKE_MS, best * ALIKE_SHARE);
  return ranked.sort((a, b) => {
    if (a.isHome !== b.isHome) return a.isHome ? -1 : 1;
    if (a.costMs > alike || b.costMs > alike) return a.costMs - b.costMs;
    const busier = share(a.candidate) - share(b.candidate);
    return busier === 0 ? a.candidate.chosenAt - b.candidate.chosenAt : busier;
  });
}

function share({ inFlight, waiting, offered }: Candidate): number {
  return (inFlight + waiting) / Math.min(offered.concurrency, MOST_PLACES);
}

function cost(candidate: Candidate, bytes: number, typical: number, now: number): number {
  const { offered, health, link } = candidate;
  const isTight = offered.contextWindow !== undefined && bytes / USUAL_BYTES_OF_TOKEN > offered.contextWindow;
  return (
    (latency(health, now) ?? typical) * (1 + share(candidate)) +
    (offered.loaded === false ? LOADING_MS : 0) +
    (isTight ? TIGHT_MS : 0) +
    (link === 'suspect' ? SUSPECT_MS : 0)
  );
}
