import { keepLink } from '#src/link/dial.ts';
import { createPrivateKey, keyPair } from '#src/link/key.ts';
import { parseJoinToken } from '#src/core/join-token.ts';

/**
 *     nodes.ts PORT COUNT
 *
 * So many nodes that join with the token on standard input and then keep idle links. It prints a line when all are
 * linked.
 */
const [port = 0, count = 0] = process.argv.slice(2).map(Number);
/** Nodes that shake hands at once: the hub takes only so many that have not proved a key. */
const AT_ONCE = 50;

const stopping = new AbortController();
let token = '';
process.stdin
  .setEncoding('utf8')
  .on('data', (text: string) => {
    token += text;
    if (token.endsWith('\n')) void joinAll();
  })
  .on('end', () => stopping.abort());

async function joinAll(): Promise<void> {
  const { hubId, secret } = parseJoinToken(token);
  const kept: Promise<void>[] = [];
  for (let first = 0; first < count; first += AT_ONCE) {
    const names = Array.from({ length: Math.min(AT_ONCE, count - first) }, (_, at) => `n${first + at}`);
    await Promise.all(names.map((name) => new Promise<void>((linked) => kept.push(join(name, hubId, secret, linked)))));
  }
  process.stdout.write('linked\n');
  await Promise.all(kept);
  process.exit();
}

function join(name: string, hubId: string, secret: string, linked: () => void): Promise<void> {
  let unused: string | null = secret;
  const key = keyPair(createPrivateKey());
  return keepLink({
    hub: { host: '127.0.0.1', port },
    key: () => key,
    pin: () => hubId,
    facts: () => ({
      name,
      role: 'worker',
      version: '0',
      platform: 'linux',
      arch: 'x64',
      offers: ['exec'],
      openclaw: null,
      commands: [],
    }),
    secret: () => unused,
    onWelcome: async () => {
      unused = null;
    },
    onStream: (stream) => stream.close(),
    onEvent: ({ type }) => void (type === 'welcome' && linked()),
    signal: stopping.signal,
  });
}
