import type { Candidate, Needs, Ranked, Rejection } from '#src/core/models/route.ts';
import { speaks } from '#src/core/models/route.ts';

/** Why a candidate is not asked, in words. */
export function rejectionText(why: Rejection, { member, offered, health }: Candidate, needs: Needs): string {
  switch (why) {
    case 'revoked':
      return 'it was revoked';
    case 'offline':
      return 'it is not connected';
    case 'drained':
      return 'it is drained';
    case 'label':
      return `it has not the labels that ${needs.route?.alias ?? 'the route'} wants: ${wanted(needs, member.labels)}`;
    case 'loop':
      return 'the request came by it';
    case 'tried':
      return 'it was tried already';
    case 'endpoint':
      return `it does not answer ${needs.endpoint}`;
    case 'other-api':
      return `it speaks ${offered.api}, and another is made for ${needs.endpoint}`;
    case 'context':
      return `${needs.bytes} bytes do not fit its ${offered.contextWindow ?? 0} tokens`;
    case 'out':
      return `${health.outage?.reason ?? 'it failed'}; it is tried again soon`;
    case 'on-trial':
      return `${health.outage?.reason ?? 'it failed'}; one request tries it now`;
  }
}

/** What speaks for and against a candidate that may be asked, in words. */
export function rankText({ candidate, isHome }: Ranked, { endpoint, bytes }: Needs): string {
  const { offered, health, link, inFlight, waiting, member } = candidate;
  const { concurrency, contextWindow, loaded } = offered;
  const said = [
    isHome ? 'it served this conversation before' : '',
    `${inFlight} of ${concurrency} busy${waiting > 0 ? `, ${waiting} waiting` : ''}`,
    health.firstByteMs === null ? 'not measured yet' : `first byte in ${Math.round(health.firstByteMs)} ms`,
    loaded === true ? 'loaded' : loaded === false ? 'not loaded' : '',
    contextWindow !== undefined && bytes / 3.5 > contextWindow ? 'the request may be too long for it' : '',
    speaks(offered, endpoint) === 'perhaps' ? `it may not know ${endpoint}` : '',
    link === 'suspect' ? 'its link does not answer' : '',
    member.drained ? 'drained, but asked for by name' : '',
    health.outage === null ? '' : health.outage.reason,
  ];
  return said.filter((text) => text !== '').join(', ');
}

function wanted({ route }: Needs, labels: Readonly<Record<string, string>>): string {
  const missing = Object.entries(route?.labels ?? {}).filter(([key, value]) => labels[key] !== value);
  return missing.map(([key, value]) => `${key}=${value}`).join(', ');
}
