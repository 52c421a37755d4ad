import { afterEach, beforeEach, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import type { FakeTailscaled } from '../support/fake-tailscaled.ts';
import { fakeTailscaled, peer, running } from '../support/fake-tailscaled.ts';
import { startFederation } from '../support/federation.ts';

/** A name that no system resolves (RFC 2606). */
const MASTER = 'vps.tailnet.invalid';

let tailscaled: FakeTailscaled;

beforeEach(async () => {
  tailscaled = await fakeTailscaled();
});

afterEach(() => tailscaled[Symbol.asyncDispose]());

test('a hub is found by the tailnet’s word where the system does not know its name, and again when it moves', async () => {
  await using federation = await startFederation({ hub: { hub: { names: [MASTER] } } });
  const settings = {
    worker: { hub: `${MASTER}:${federation.hub.port}` },
    tailscale: { socket: tailscaled.socket },
  };
  tailscaled.status = running([], { 1: peer(`${MASTER}.`, ['127.0.77.9']) });
  await federation.start('w1', { settings });
  await eventually('nobody is there', () =>
    federation.logs.some((line) => line.includes(`no hub answers at ${MASTER}`)),
  );
  tailscaled.status = running([], { 1: peer(`${MASTER}.`, ['127.0.0.1']) });
  await federation.untilOnline('w1');
  expect((await federation.run(['w1'], 'echo found')).outputs[0]?.stdout).toBe('found\n');
});

test('a name that nobody knows is a hub that can’t be reached', async () => {
  await using federation = await startFederation();
  const settings = {
    worker: { hub: `${MASTER}:${federation.hub.port}` },
    tailscale: { socket: tailscaled.socket },
  };
  await federation.start('w1', { settings });
  await eventually('it is said', () =>
    federation.logs.some((line) => line.includes('HUB_UNREACHABLE') && line.includes(MASTER)),
  );
  expect(await federation.isOnline('w1')).toBe(false);
});
