import { say } from '#src/adapters/terminal.ts';
import type { GlobalFlags } from '#src/cli/manage/context.ts';
import { hubOf } from '#src/cli/manage/context.ts';
import { parseDuration } from '#src/cli/manage/duration.ts';
import { ago, printJson, printTable } from '#src/cli/print.ts';
import { FederationError } from '#src/core/errors.ts';
import { checkNodeName } from '#src/core/node.ts';
import type { Role } from '#src/core/node.ts';
import type { NodeDetail, PairingRequestView, Status, TokenCreate, TokenCreated } from '#src/protocol/hub-api.ts';

/** `manage-federation pending` */
export async function listPending(flags: GlobalFlags): Promise<number> {
  const requests = await (await hubOf(flags)).ask<PairingRequestView[]>('GET', '/pairing-requests');
  if (flags.json) printJson(requests);
  else if (requests.length === 0) say('no node waits for approval');
  else {
    printTable(
      ['NAME', 'ROLE', 'FINGERPRINT', 'FROM', 'TAILNET', 'OFFERS', 'ASKED', 'STATE'],
      requests.map((request) => [
        request.name,
        request.role,
        request.fingerprint,
        request.address,
        tailnetText(request),
        request.offers.join(', '),
        ago(request.askedAt),
        stateOf(request),
      ]),
    );
    if (requests.some(({ rejected }) => !rejected)) {
      say('compare the fingerprint with what the node shows, then: manage-federation approve NAME');
    } else say('no node waits for approval; a rejected one stays out until it is approved');
  }
  return 0;
}

/** Its name there, and whose it is: a user's or its tags'. */
function tailnetText({ tailnet }: PairingRequestView): string {
  if (tailnet === null) return '-';
  return `${tailnet.name} (${tailnet.tags.length > 0 ? tailnet.tags.join(' ') : (tailnet.user ?? 'nobody’s')})`;
}

function stateOf({ rejected, held }: PairingRequestView): string {
  if (rejected) return 'rejected';
  return held === null ? 'waits' : `held: ${held}`;
}

/** `manage-federation approve WORD…`: one after the other; the first that fails ends it. */
export async function approveNodes(
  words: readonly string[],
  flags: GlobalFlags & { replace?: boolean },
): Promise<number> {
  const hub = await hubOf(flags);
  const approved: NodeDetail[] = [];
  for (const word of words) {
    const path = `/pairing-requests/${encodeURIComponent(word)}/approve`;
    const node = await hub.ask<NodeDetail>('POST', path, { replace: flags.replace ?? false });
    approved.push(node);
    if (!flags.json) say(`approved ${node.name} (${node.fingerprint}) as ${node.role}`);
  }
  if (flags.json) printJson(approved);
  return 0;
}

/** `manage-federation reject WORD` */
export async function rejectNode(word: string, flags: GlobalFlags): Promise<number> {
  const path = `/pairing-requests/${encodeURIComponent(word)}/reject`;
  const request = await (await hubOf(flags)).ask<PairingRequestView>('POST', path);
  if (flags.json) printJson(request);
  else say(`rejected ${request.name} (${request.fingerprint})`);
  return 0;
}

export interface TokenFlags extends GlobalFlags {
  readonly name?: string;
  readonly role?: Role;
  readonly labels?: string;
  readonly ttl: string;
  readonly uses: number;
}

/** `manage-federation token create`: the token is alone on standard output, so that a script can take it. */
export async function createToken(flags: TokenFlags): Promise<number> {
  const wanted: TokenCreate = {
    ...(flags.name === undefined ? {} : { name: checkNodeName(flags.name) }),
    ...(flags.role === undefined ? {} : { role: flags.role }),
    labels: parseLabels(flags.labels),
    ttlSeconds: parseDuration(flags.ttl, '--ttl') / 1000,
    uses: flags.uses,
  };
  const hub = await hubOf(flags);
  const created = await hub.ask<TokenCreated>('POST', '/tokens', wanted);
  if (flags.json) {
    printJson(created);
    return 0;
  }
  process.stdout.write(`${created.token}\n`);
  const status = await hub.ask<Status>('GET', '/status');
  const uses = created.uses === 1 ? 'once' : `${created.uses} times`;
  say(`good ${uses}, expires ${ago(created.expiresAt)}; it is not shown again`);
  for (const line of joiningLines(flags, status)) say(line);
  return 0;
}

/** What to do with a token, where other machines reach the hub and where only programs of this one do. */
function joiningLines(flags: TokenFlags, { listening, tailnet }: Status): string[] {
  const name = flags.name === undefined ? '' : ` --name ${flags.name}`;
  const [, ...places] = listening;
  const beyond = places.find((place) => !/^(?:127\.|\[::1\])/.test(place));
  if (beyond === undefined) {
    const home = flags.name === undefined ? '~/.openclaw-federation' : `~/${flags.name}`;
    return [
      `with this line in the file ${home}/join-token:`,
      `  federation-worker --home ${home}${name} --hub ${places[0] ?? ''}`,
    ];
  }
  const port = beyond.slice(beyond.lastIndexOf(':'));
  const hub = tailnet.dnsName === null ? beyond : `${tailnet.dnsName}${port === ':19000' ? '' : port}`;
  return [
    'on the other machine, with this line in a file that only you can read:',
    `  deploy-federation ${flags.role === 'hybrid' ? 'hybrid' : 'worker'} ${hub}${name} --token-file FILE`,
  ];
}

function parseLabels(text: string | undefined): Record<string, string> {
  if (text === undefined) return {};
  return Object.fromEntries(
    text.split(',').map((pair) => {
      const at = pair.indexOf('=');
      if (at > 0) return [pair.slice(0, at), pair.slice(at + 1)] as const;
      throw new FederationError('USAGE', `--labels: ${JSON.stringify(pair)} is not KEY=VALUE`, {
        hint: '--labels env=home,gpu=yes',
      });
    }),
  );
}
