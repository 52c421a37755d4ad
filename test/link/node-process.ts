import { keepLink } from '#src/link/dial.ts';
import { facts, newKey } from '../support/link.ts';

/** A node of its own process, for what only a process can suffer. Arguments: port and id of the hub. */
const [port, hubId] = process.argv.slice(2);

const key = newKey();

await keepLink({
  hub: { host: '127.0.0.1', port: Number(port) },
  key: () => key,
  pin: () => hubId ?? null,
  facts: () => facts(),
  secret: () => null,
  onWelcome: () => Promise.resolve(),
  onStream(stream, headers) {
    stream.respond({ ':status': 200 });
    stream.write('begun');
    if (headers[':path'] !== '/hang') stream.end();
  },
  onEvent: () => undefined,
  backOff: { minMs: 50, maxMs: 100, patientMs: 60_000 },
  signal: new AbortController().signal,
});
