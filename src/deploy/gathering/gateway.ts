import { join } from 'node:path/posix';
import { parse } from 'jsonc-parser';
import { z } from 'zod';
import type { Facts } from '#src/deploy/facts.ts';
import { fileIn, unitIn } from '#src/deploy/facts.ts';
import type { Answers } from '#src/deploy/gathering/answers.ts';
import { GATEWAY_UNIT, gatewayPort } from '#src/deploy/gathering/units.ts';

type Found = Pick<Facts, 'place' | 'record' | 'files' | 'units' | 'ports'>;

/** The person’s gateway: its unit unless we wrote that, and the port by its unit, its settings, or OpenClaw’s default. */
export function gatewayOf(answers: Answers, found: Found): Facts['gateway'] {
  const { place, ports } = found;
  const settings = fileIn(found, place.openclawSettings);
  const scope = (['user', 'system'] as const).find(
    (one) => unitIn(found, { name: GATEWAY_UNIT, scope: one }) !== null && !isOurs(one, found),
  );
  const port =
    (scope === undefined ? null : gatewayPort(answers, scope)) ?? portIn(settings?.text ?? '') ?? DEFAULT_PORT;
  return {
    unit: scope === undefined ? null : { name: GATEWAY_UNIT, scope },
    settings,
    port,
    listening: ports.some((listener) => listener.port === port),
  };
}

/** OpenClaw’s own. */
const DEFAULT_PORT = 18_789;

function isOurs(scope: 'system' | 'user', { place, record }: Found): boolean {
  const path = join(place.units, GATEWAY_UNIT);
  return (
    scope === place.scope && (record?.entries ?? []).some(({ action }) => action.do === 'write' && action.path === path)
  );
}

const settingsSchema = z.object({ gateway: z.object({ port: z.int().min(1).max(65_535) }) });

/** As far as it can be read: what else is wrong with it is OpenClaw’s to say. */
function portIn(text: string): number | undefined {
  return settingsSchema.safeParse(parse(text, [], { allowTrailingComma: true })).data?.gateway.port;
}
