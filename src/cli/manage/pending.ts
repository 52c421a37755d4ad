import { say } from '#src/adapters/terminal.ts';
import type { GlobalFlags } from '#src/cli/manage/context.ts';
import { hubOf } from '#src/cli/manage/context.ts';
import { widthOf, wrapped } from '#src/cli/deploy/wrap.ts';
import { ago, printEntries, printJson } from '#src/cli/print.ts';
import { wantsText } from '#src/core/request-text.ts';
import type { PairingRequestView } from '#src/protocol/hub-api/pairing-request.ts';

/** `manage-federation pending` */
export async function listPending(flags: GlobalFlags): Promise<number> {
  const requests = await (await hubOf(flags)).ask<PairingRequestView[]>('GET', '/pairing-requests');
  if (flags.json) printJson(requests);
  else if (requests.length === 0) say('nothing waits for approval');
  else {
    const now = Date.now();
    printEntries(
      ['ID', 'NAME', 'WANTS', 'ASKED', 'STATE'],
      requests.map((request) => ({
        row: [
          shortestId(request, requests),
          request.name,
          wantsText(request),
          ago(request.askedAt, now),
          stateText(request, now),
        ],
        notes: [originText(request), offersText(request), riskText(request), heldText(request)].flat(),
      })),
    );
    if (requests.some(({ rejected }) => !rejected)) {
      const isOperator = requests.every(({ kind, rejected }) => rejected || kind === 'operator');
      const [shows, word] = isOperator ? ['the other machine', 'ID'] : ['the node', 'ID or NAME'];
      const text = `compare the fingerprint with what ${shows} shows, then: manage-federation approve ${word}`;
      for (const line of wrapped('', text, widthOf(process.stderr))) say(line);
    } else say('nothing else waits for approval; a rejected one stays out until it is approved');
  }
  return 0;
}

/** More than `approve` needs, so that it still means one when others have come meanwhile. */
const MIN_PREFIX = 6;

/** As much of the id as tells it from all others that are listed, by whatever an approval may name them. */
export function shortestId(request: PairingRequestView, all: readonly PairingRequestView[]): string {
  const others = all
    .filter((other) => other !== request)
    .flatMap(({ id, fingerprint, name }) => [id, fingerprint.replaceAll('-', ''), name]);
  let length = MIN_PREFIX;
  while (length < request.id.length && others.some((other) => other.startsWith(request.id.slice(0, length)))) length++;
  return request.id.slice(0, length);
}

function stateText({ rejected, held, expiresAt }: PairingRequestView, now: number): string {
  if (rejected) return 'rejected';
  const left = expiresAt === null ? '' : leftText(Date.parse(expiresAt) - now);
  return [held === null ? '' : 'held', left].filter((text) => text !== '').join(', ') || 'waits';
}

/** `4:12 left`; of more than an hour, `23 h left`. */
export function leftText(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds >= 3600) return `${Math.floor(seconds / 3600)} h left`;
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')} left`;
}

/** Who it is, as far as that is known and not only claimed. */
function originText({ fingerprint, address, tailnet, token, ...said }: PairingRequestView): string {
  const owner = tailnet === null ? '' : tailnet.tags.length > 0 ? tailnet.tags.join(' ') : (tailnet.user ?? 'nobody’s');
  const machine = tailnet === null ? 'no machine of the tailnet' : `${tailnet.name} (${owner})`;
  return [
    `fingerprint ${fingerprint}, from ${address}, ${machine}`,
    ...(token === null ? [] : [`with the token ${token}`]),
    ...versionText(said),
  ].join(', ');
}

function versionText({
  openclawVersion,
  platform,
}: Pick<PairingRequestView, 'openclawVersion' | 'platform'>): string[] {
  const on = platform === null ? '' : ` on ${platform}`;
  if (openclawVersion !== null) return [`OpenClaw ${openclawVersion}${on}`];
  return platform === null ? [] : [platform];
}

const NAMED_COMMANDS = 4;

function offersText({ offers, commands }: PairingRequestView): string[] {
  const count = commands?.length ?? 0;
  const named = commands?.slice(0, NAMED_COMMANDS).join(', ') ?? '';
  const more = count > NAMED_COMMANDS ? ', …' : '';
  const all = [
    ...offers,
    ...(count === 0 ? [] : [`${count} ${count === 1 ? 'command' : 'commands'} (${named}${more})`]),
  ];
  return all.length === 0 ? [] : [`offers ${all.join(', ')}`];
}

function riskText({ risks }: PairingRequestView): string[] {
  return risks.length === 0 ? [] : [`risk: ${risks.join('; ')}`];
}

function heldText({ held }: PairingRequestView): string[] {
  return held === null ? [] : [`held: ${held}`];
}
