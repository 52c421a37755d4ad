import { onTestFinished, expect, test } from 'vitest';
import { FederationError } from '#src/core/errors.ts';
import type { SharedUpstream } from '#src/core/models/share.ts';
import { readShares } from '#src/core/models/share.ts';
import { keepUpstream } from '#src/worker/models/upstream.ts';
import { eventually } from '../../support/eventually.ts';

function shared(): SharedUpstream {
  const read = readShares({ upstreams: [{ name: 'one', baseUrl: 'http://127.0.0.1:1', models: ['a'] }] });
  if (!read.ok) throw new Error(read.problems.join());
  // So often no file may ask for.
  return { ...read.upstreams[0]!, askEverySeconds: 0.01 };
}

test('an upstream whose key is gone is not asked with the old one, and offers nothing until there is another', async () => {
  let key: string | null = 'first';
  const changes: string[] = [];
  const upstream = keepUpstream(
    shared(),
    {
      ask: () => Promise.reject(new Error('nobody asks')),
      reach: async () => {
        if (key === null) throw new FederationError('SETTINGS_INVALID', 'there is no key', { hint: 'put one there' });
        return { api: 'openai', baseUrl: 'http://127.0.0.1:1/v1', headers: { authorization: key } };
      },
    },
    (change) => changes.push(change),
  );
  onTestFinished(() => upstream.stop());
  await eventually('it is offered', () => upstream.models().length === 1);
  key = null;
  await eventually('it is not offered any more', () => upstream.models().length === 0);
  expect(upstream.current()).toBeUndefined();
  expect(upstream.problem()).toBe('there is no key; put one there');
  key = 'second';
  await eventually('it is offered again', () => upstream.models().length === 1);
  expect(upstream.current()?.headers).toEqual({ authorization: 'second' });
  expect(changes).toEqual(['offer', 'status', 'offer', 'status', 'offer', 'status']);
});
