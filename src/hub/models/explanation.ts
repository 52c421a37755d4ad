import { rankText, rejectionText } from '#src/core/models/explain.ts';
import type { Candidate } from '#src/core/models/route.ts';
import type { Decision } from '#src/hub/models/decide.ts';
import type { RouteExplanation } from '#src/protocol/models.ts';

/** A decision in words: who would be asked now, who next, and who not and why. */
export function explanationOf(asked: string | null, { model, route, needs, choice }: Decision): RouteExplanation {
  const free = choice.ranked.find(
    ({ candidate: { inFlight, waiting, offered } }) => inFlight < offered.concurrency && waiting === 0,
  );
  const meant = free ?? choice.ranked[0];
  const ranked = choice.ranked.map((one) => ({
    ...view(one.candidate),
    verdict: one === meant ? ('chosen' as const) : ('next' as const),
    ...{ reason: rankText(one, needs), costMs: one.costMs },
  }));
  const rejected = choice.rejected.map(({ candidate, why }) => ({
    ...view(candidate),
    verdict: 'rejected' as const,
    ...{ reason: rejectionText(why, candidate, needs), costMs: null },
  }));
  return { asked, model, route: route?.alias ?? null, candidates: [...ranked, ...rejected] };
}

function view({ member, offered, inFlight, waiting, health }: Candidate) {
  const { upstream, name: model, concurrency } = offered;
  return { node: member.name, upstream, model, inFlight, waiting, concurrency, firstByteMs: health.firstByteMs };
}
