import { EventEmitter } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openHome } from '#src/adapters/home.ts';
import { createLog } from '#src/adapters/log.ts';
import { askForModels } from '#src/adapters/models/ask-models.ts';
import { keyHeaders, readUpstreamKey } from '#src/adapters/models/upstream-key.ts';
import { followYamlFile } from '#src/adapters/yaml-file.ts';
import { FederationError } from '#src/core/errors.ts';
import { MODELS_FILE } from '#src/core/models/share.ts';
import type { ModelOffer } from '#src/protocol/models.ts';
import { offerSchema } from '#src/protocol/models.ts';
import type { HubSession } from '#src/worker/hub-address.ts';
import { offerModels } from '#src/worker/models/offer.ts';
import { reachUpstreams } from '#src/worker/models/reach.ts';
import type { SharedModels } from '#src/worker/models/share.ts';
import { shareModels } from '#src/worker/models/share.ts';
import { eventually } from '../../support/eventually.ts';
import { modelServer } from '../../support/model-server.ts';

const log = createLog({ level: 'error', module: 'test' });

/** A node's home, and what is shared by the models.yaml in it. */
async function sharing(
  text: string | null,
): Promise<{ home: string; shares: SharedModels; write(text: string): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'ocf-share-'));
  const home = await openHome(path);
  const write = (now: string) => home.write(MODELS_FILE, now);
  if (text !== null) await write(text);
  const stopping = new AbortController();
  const shares = shareModels({
    files: (signal) => followYamlFile(home, MODELS_FILE, signal),
    ask: askForModels,
    reach: reachUpstreams({
      keyHeaders: async (server) => keyHeaders(server.api, await readUpstreamKey(server, path)),
      openclaw: () => Promise.reject(new FederationError('GATEWAY_UNREACHABLE', 'no OpenClaw here')),
    }),
    log,
    signal: stopping.signal,
  });
  onTestFinished(async () => {
    stopping.abort();
    await shares.done;
    await rm(path, { recursive: true });
  });
  return { home: path, shares, write };
}

const names = ({ offered }: SharedModels): string[] => offered().map(({ id }) => id);
const until = (shares: SharedModels, ...wanted: string[]) =>
  eventually(`${wanted.join(', ')} are offered`, () => names(shares).join() === wanted.join());

test('what a server has is offered, and its requests have its key', async () => {
  await using server = await modelServer({ key: 'sk-1', models: [{ id: 'a' }, { id: 'b' }] });
  const { home, shares, write } = await sharing(null);
  await writeFile(join(home, 'key'), 'sk-1\n', { mode: 0o600 });
  await write(
    `upstreams:\n- {name: one, baseUrl: '${server.baseUrl}', keyFile: key, concurrency: 3, timeouts: {idleSeconds: 9}}`,
  );
  await until(shares, 'a', 'b');
  expect(shares.offered()[0]).toMatchObject({ upstream: 'one', concurrency: 3, api: 'openai', loaded: null });
  expect(shares.upstream('one')).toEqual({
    ...{ name: 'one', api: 'openai', baseUrl: server.baseUrl, concurrency: 3 },
    headers: { authorization: 'Bearer sk-1' },
    timeouts: { connectMs: 1500, firstByteMs: 300_000, idleMs: 9000, totalMs: null },
  });
  expect(shares.upstream('two')).toBeUndefined();
  expect(shares.status()).toEqual({ problem: null, upstreams: [{ name: 'one', models: 2, problem: null }] });
});

test('a change of the file is a change of what is offered, and who stays is not asked again', async () => {
  await using one = await modelServer({ models: [{ id: 'a' }] });
  await using two = await modelServer({ models: [{ id: 'b' }] });
  const first = `- {name: one, baseUrl: '${one.baseUrl}'}`;
  const { shares, write } = await sharing(`upstreams:\n${first}`);
  await until(shares, 'a');
  await write(`upstreams:\n${first}\n- {name: two, baseUrl: '${two.baseUrl}'}`);
  await until(shares, 'a', 'b');
  expect(one.requests).toHaveLength(1);
  await write(`upstreams:\n- {name: two, baseUrl: '${two.baseUrl}', models: [{name: b, as: bee}, other]}`);
  await until(shares, 'bee', 'other');
  expect(shares.upstream('one')).toBeUndefined();
  await write('upstreams: []');
  await until(shares);
});

test.each(['upstreams: [', 'upstreams:\n- {name: one}', '- a', 'upstreams: &a [*a]'])(
  'a broken file changes nothing, and says so: %j',
  async (broken) => {
    await using server = await modelServer({ models: [{ id: 'a' }] });
    const { shares, write } = await sharing(`upstreams:\n- {name: one, baseUrl: '${server.baseUrl}'}`);
    await until(shares, 'a');
    await write(broken);
    await eventually('it is said', () => shares.status().problem !== null);
    expect(shares.status().problem).toMatch(/^models\.yaml: ./);
    expect(names(shares)).toEqual(['a']);
    expect(shares.upstream('one')).toBeDefined();
    await write(`upstreams:\n- {name: one, baseUrl: '${server.baseUrl}', models: [a, b]}`);
    await until(shares, 'a', 'b');
    expect(shares.status().problem).toBeNull();
  },
);

test('a key that others can read is not used, and what to do is said', async () => {
  await using server = await modelServer();
  const { home, shares, write } = await sharing(null);
  await writeFile(join(home, 'key'), 'sk-1');
  await chmod(join(home, 'key'), 0o644);
  await write(`upstreams:\n- {name: one, baseUrl: '${server.baseUrl}', keyFile: key, models: [echo]}`);
  await eventually('it is said', () => shares.status().upstreams[0]?.problem ?? null);
  expect(shares.status().upstreams).toEqual([
    { name: 'one', models: 0, problem: expect.stringMatching(/can be read by others; chmod 600 /) },
  ]);
  expect(shares.upstream('one')).toBeUndefined();
  expect(server.requests).toEqual([]);
});

test('a server that is away for long offers nothing, and is there again when it is', async () => {
  await using server = await modelServer({ models: [{ id: 'a' }] });
  const { shares } = await sharing(`upstreams:\n- {name: one, baseUrl: '${server.baseUrl}', askEverySeconds: 1}`);
  await until(shares, 'a');
  await server.die();
  await until(shares);
  expect(shares.status().upstreams[0]?.problem).toMatch(/^nothing listens at /);
  await server.listen();
  await until(shares, 'a');
  expect(shares.status().upstreams[0]?.problem).toBeNull();
});

test('OpenClaw’s own models are one more upstream', async () => {
  const { shares } = await sharing('upstreams:\n- {name: own, source: openclaw}');
  await eventually('it is asked', () => shares.status().upstreams[0]?.problem ?? null);
  expect(shares.status().upstreams).toEqual([{ name: 'own', models: 0, problem: 'no OpenClaw here' }]);
});

test('the hub is told at each link and at each change, and what it already has is not told again', async () => {
  await using server = await modelServer({ models: [{ id: 'a' }] });
  const { shares, write } = await sharing(`upstreams:\n- {name: one, baseUrl: '${server.baseUrl}'}`);
  await until(shares, 'a');
  const offers: ModelOffer[] = [];
  const links = new EventEmitter<{ linked: [] }>();
  const stopping = new AbortController();
  let session: HubSession | null = null;
  let refusal: FederationError | null = new FederationError('HUB_UNREACHABLE', 'away');
  const offering = offerModels({
    shares,
    desk: {
      async offerModels(offer) {
        if (refusal !== null) throw refusal;
        offers.push(offerSchema.parse(offer));
        return { allowed: true };
      },
    },
    ...{ portProblem: null, session: () => session, links, log, signal: stopping.signal },
  });
  function link(number: number): void {
    session = { address: '127.0.0.1', credential: 'c', link: number, lost: stopping.signal };
    links.emit('linked');
  }
  const told = (): string[] => offers.map(({ models }) => models.map(({ id }) => id).join());

  link(1);
  refusal = null;
  await eventually('it is told', () => offers.length === 1);
  await write(`upstreams:\n- {name: one, baseUrl: '${server.baseUrl}', models: [b]}`);
  await eventually('it is told again', () => offers.length === 2);
  links.emit('linked');
  // The same number: that of a hub which started anew.
  link(1);
  await eventually('the next link is told', () => offers.length === 3);
  expect(told()).toEqual(['a', 'b', 'b']);
  refusal = new FederationError('NOT_FOUND', 'an older hub');
  link(2);
  stopping.abort();
  await offering;
  expect(told()).toHaveLength(3);
});
