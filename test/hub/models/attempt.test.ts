import type { IncomingMessage } from 'node:http';
import type { ClientHttp2Stream } from 'node:http2';
import { Duplex, Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { FederationError } from '#src/core/errors.ts';
import { NO_FACTS } from '#src/core/models/request.ts';
import { openAttempt } from '#src/hub/models/attempt.ts';
import type { Link } from '#src/link/accept.ts';
import type { ModelBody } from '#src/link/models/body.ts';
import { toHttp2 } from '#src/link/models/http2-headers.ts';

function linkWith(request: () => ClientHttp2Stream): Link {
  return { request } as unknown as Link;
}

const NO_BODY: ModelBody = { bytes: Buffer.alloc(0), facts: NO_FACTS, flow: null, length: 0 };

test('what no link would take is the client’s fault, and a link that is gone the node’s', async () => {
  const refusing = linkWith(() => {
    throw new TypeError('Header field "x" must only have a single value');
  });
  expect(await openAttempt(refusing, {}, [], NO_BODY).opening).toMatchObject({
    kind: 'refused',
    error: { code: 'USAGE' },
  });
  const gone = linkWith(() => {
    throw new FederationError('LINK_LOST', 'the link was lost');
  });
  expect(await openAttempt(gone, {}, [], NO_BODY).opening).toEqual({ kind: 'failed', failure: 'connect' });
});

test('a body that turns out to be none is told as that, and not as a node that failed', async () => {
  const stream = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() });
  stream.on('error', () => undefined);
  const rest = Object.assign(new Readable({ read: () => undefined }), {}) as unknown as IncomingMessage;
  let fault: ((error: FederationError) => void) | null = null;
  const body: ModelBody = {
    ...NO_BODY,
    length: null,
    flow(_begin, onFault) {
      fault = onFault;
      return rest;
    },
  };
  const opened = openAttempt(
    linkWith(() => stream as unknown as ClientHttp2Stream),
    {},
    [],
    body,
  );
  fault!(new FederationError('PAYLOAD_TOO_LARGE', 'the request is longer than 256 MiB'));
  expect(await opened.opening).toMatchObject({ kind: 'refused', error: { code: 'PAYLOAD_TOO_LARGE' } });
  expect(stream.destroyed).toBe(true);
});

test('any name of a header is a name', () => {
  const raw = ['constructor', 'a', '__proto__', 'b', 'length', '3', 'Content-Language', 'de', 'content-language', 'en'];
  const headers = toHttp2([...raw, 'X', '1', 'x', '2'], { ':path': '/' });
  expect(Object.entries(headers)).toEqual([
    [':path', '/'],
    ['constructor', 'a'],
    ['__proto__', 'b'],
    ['length', '3'],
    ['content-language', 'de'],
    ['x', ['1', '2']],
  ]);
});
