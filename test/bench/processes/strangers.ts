import { createInterface } from 'node:readline';
import type { DialEvent } from '#src/link/dial.ts';
import { keepLink } from '#src/link/dial.ts';
import { createPrivateKey, keyPair } from '#src/link/key.ts';

/**
 *     strangers.ts PORT HUB_ID CAP
 *
 * Nodes that ask to be let in, each under a key and a name of its own. It prints `full` when `CAP` of them wait on their
 * lines. After a line `ask` more of them ask without a pause, and are refused: it prints `asking` once they do. After a
 * line `rest` it prints `resting` once the last of them has its answer.
 */
const [port = '0', hubId = '', cap = '0'] = process.argv.slice(2);
/** Nodes that shake hands at once: each has its turn at the hub's pace long before its handshake is late. */
const AT_ONCE = 20;

const stopping = new AbortController();
let asked = 0;
let resting = new AbortController();
let asking: Promise<void> = Promise.resolve();

await askAll(() => asked < Number(cap), 'waiting');
print('full');

for await (const line of createInterface(process.stdin)) {
  if (line === 'ask') {
    resting = new AbortController();
    const { signal } = resting;
    const first = ask('refused');
    asking = Promise.all([first, askAll(() => !signal.aborted, 'refused')]).then(() => undefined);
    await first;
    print('asking');
  } else if (line === 'rest') {
    resting.abort();
    await asking;
    print('resting');
  }
}
stopping.abort();
process.exit();

async function askAll(goesOn: () => boolean, expected: DialEvent['type']): Promise<void> {
  const one = async (): Promise<void> => {
    while (goesOn()) await ask(expected);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
}

/** Resolves with the hub's answer; who is to wait stays on its line. */
async function ask(expected: DialEvent['type']): Promise<void> {
  const name = `stranger-${(asked += 1)}`;
  const key = keyPair(createPrivateKey());
  const gone = new AbortController();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  void keepLink({
    hub: { host: '127.0.0.1', port: Number(port) },
    key: () => key,
    pin: () => hubId,
    facts: () => ({
      ...{ name, role: 'worker', version: '0', platform: 'linux', arch: 'x64' },
      ...{ offers: ['exec'], openclaw: null, commands: [] },
    }),
    secret: () => null,
    onWelcome: async () => undefined,
    onStream: (stream) => stream.close(),
    onEvent({ type }) {
      if (type === 'connecting') return;
      if (type === expected) resolve();
      else if (!stopping.signal.aborted) reject(new Error(`${name} is ${type}, not ${expected}`));
      if (type !== 'waiting') gone.abort();
    },
    signal: AbortSignal.any([stopping.signal, gone.signal]),
  });
  await promise;
}

function print(words: string): void {
  process.stdout.write(`${words}\n`);
}
