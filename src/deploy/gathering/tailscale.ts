import { z } from 'zod';
import { readStatus } from '#src/adapters/tailscale/answers.ts';
import type { Facts } from '#src/deploy/facts.ts';
import type { Answers } from '#src/deploy/gathering/answers.ts';
import { word } from '#src/deploy/gathering/answers.ts';

const tailscaleSchema = z.object({
  program: word.optional(),
  version: word.default(''),
  status: word.default(''),
  packaged_by: word.optional(),
});

export function tailscaleOf(answers: Answers): Facts['tailscale'] {
  const { program, version, status, packaged_by } = answers.to(['tailscale'], tailscaleSchema);
  const { tailnet, peers } = statusOf(status);
  return {
    installed: program === undefined ? null : { program, version: version.trim() },
    packagedBy: packaged_by ?? null,
    state: tailnet?.state ?? null,
    addresses: tailnet?.addresses ?? [],
    dnsName: tailnet?.dnsName ?? null,
    peers: peers.flatMap(({ dnsName, addresses }) => (dnsName === null ? [] : [{ dnsName, addresses }])),
  };
}

/** A client whose daemon doesn’t run prints no status. */
function statusOf(text: string): Partial<ReturnType<typeof readStatus>> & Pick<ReturnType<typeof readStatus>, 'peers'> {
  try {
    return readStatus(text);
  } catch {
    return { peers: [] };
  }
}
