import type { WaitingRequest } from '#src/core/request.ts';

/** What OpenClaw's commands let happen, by what their names begin with; the first that fits says it. */
const COMMANDS: readonly (readonly [RegExp, string])[] = [
  [/^system\.(?:run|which)/, 'can run any command'],
  [/^system\.execApprovals\.set/, 'its limits of what may run can be changed from afar'],
  [/^(?:camera|photos)\./, 'can use its camera'],
  [/^(?:screen|desktop)\./, 'can see its screen'],
  [/^(?:file|dir|fs|workspace|terminal\.upload)/, 'can read or write its files'],
  [/^browser\./, 'can steer its browser'],
  [/^location\./, 'can know where it is'],
  [/^(?:sms|contacts|calendar|notifications|call)/, 'can read its messages and contacts'],
  [/^mcp\./, 'can call its MCP tools'],
];

/** Unless it is said that it may not. */
const MODELS_RISK = 'may offer models, and read what they are asked';

/** What an approval of the request lets happen, in words for a person; `inChat`: by one from a chat, which gives less. */
export function risksOf({ kind, offers, commands }: WaitingRequest, inChat: boolean): string[] {
  if (kind === 'operator') return ['can do all that you can do here'];
  const risks = new Set<string>();
  if (offers.includes('exec')) risks.add('can run any command');
  if (kind === 'join' && !inChat) risks.add(MODELS_RISK);
  if (commands === null) risks.add('what it offers is not known before it connects again');
  for (const command of commands ?? []) {
    const [, risk = null] = COMMANDS.find(([pattern]) => pattern.test(command)) ?? [];
    if (risk !== null) risks.add(risk);
  }
  return [...risks];
}
