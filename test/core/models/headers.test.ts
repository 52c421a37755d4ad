import { expect, test } from 'vitest';
import { headerOf, requestHeaders, responseHeaders, retryAfterMs, withHeaders } from '#src/core/models/headers.ts';

test('a request keeps what the contract names, as it was written and in its order', () => {
  const kept = [
    ...['OpenAI-Beta', 'assistants=v2', 'OpenAI-Organization', 'o', 'anthropic-version', '2023-06-01'],
    ...['anthropic-beta', 'a', 'Idempotency-Key', 'i', 'x-stainless-lang', 'js', 'User-Agent', 'u', 'traceparent', 't'],
    ...[
      'Accept',
      '*/*',
      'accept-encoding',
      'gzip',
      'Content-Type',
      'application/json',
      'X-Vendor',
      '1',
      'x-vendor',
      '2',
    ],
  ];
  const dropped = [
    ...[
      'Host',
      'h',
      'Connection',
      'keep-alive, X-Hop',
      'X-Hop',
      '1',
      'Keep-Alive',
      'x',
      'TE',
      'trailers',
      'Expect',
      '100-continue',
    ],
    ...[
      'Transfer-Encoding',
      'chunked',
      'Content-Length',
      '2',
      'Authorization',
      'Bearer s',
      'X-Api-Key',
      's',
      'Cookie',
      'c',
    ],
    ...[
      'x-federation-node',
      'w1',
      'X-Federation-Anything',
      'x',
      'Proxy-Authorization',
      'p',
      'Upgrade',
      'h2c',
      ':path',
      '/',
    ],
  ];
  expect(requestHeaders([...dropped.slice(0, 8), ...kept, ...dropped.slice(8)])).toEqual(kept);
});

test('an answer keeps all but what is of one hop, and never what is ours', () => {
  const kept = [
    ...[
      'Date',
      'd',
      'x-request-id',
      'r',
      'x-ratelimit-remaining-tokens',
      '7',
      'Retry-After',
      '2',
      'Content-Length',
      '3',
    ],
    ...['Content-Encoding', 'gzip', 'openai-processing-ms', '4', 'server', 's'],
  ];
  const dropped = [
    'Connection',
    'close, x-hop',
    'x-hop',
    '1',
    'Transfer-Encoding',
    'chunked',
    'Keep-Alive',
    'timeout=5',
    'Set-Cookie',
    'a',
    'Alt-Svc',
    'h3',
  ];
  const ours = ['X-Federation-Node', 'w1'];
  expect(responseHeaders([...dropped, ...kept, ...ours], false)).toEqual(kept);
  expect(responseHeaders([...dropped, ...kept, ...ours], true)).toEqual([...kept, ...ours]);
});

test('finds a header whatever its case, and sets some anew', () => {
  expect(headerOf(['A', '1', 'Retry-After', '2'], 'retry-after')).toBe('2');
  expect(headerOf(['A', '1'], 'b')).toBe(null);
  expect(withHeaders(['Authorization', 'x', 'a', '1'], { authorization: 'Bearer k' })).toEqual([
    ...['a', '1', 'authorization', 'Bearer k'],
  ]);
});

test.each([
  [['retry-after', '2'], 2000],
  [['retry-after-ms', '15', 'retry-after', '2'], 15],
  [['Retry-After', 'Thu, 01 Jan 1970 00:00:10 GMT'], 9000],
  [['Retry-After', 'Thu, 01 Jan 1970 00:00:00 GMT'], 0],
  [['retry-after', 'soon'], null],
  [['retry-after-ms', '-1'], null],
  [[], null],
])('%j asks for %s ms', (headers, wanted) => {
  expect(retryAfterMs(headers, 1000)).toBe(wanted);
});
