import { expect, test } from 'vitest';
import { parse } from 'yaml';
import type { Settings } from '#src/core/settings.ts';
import { describeSettings, resolveSettings } from '#src/core/settings.ts';

interface Sources {
  readonly flags?: object;
  readonly environment?: Readonly<Record<string, string>>;
  readonly file?: unknown;
}

function resolve({ flags = {}, environment = {}, file = {} }: Sources) {
  return resolveSettings({ flags, environment, file, parseValue: (text) => parse(text) as unknown });
}

function settings(sources: Sources): Settings {
  const result = resolve(sources);
  if (!result.ok) throw new Error(result.problems.join('; '));
  return result.settings;
}

function problems(sources: Sources): readonly string[] {
  const result = resolve(sources);
  return result.ok ? [] : result.problems;
}

test('these are all settings, with their environment names and what they are without', () => {
  const lines = describeSettings().map(
    ({ path, environment, fallback }) => `${path} ${environment} ${JSON.stringify(fallback) ?? '-'}`,
  );
  expect(lines).toMatchInlineSnapshot(`
    [
      "name OPENCLAW_FEDERATION_NAME -",
      "role OPENCLAW_FEDERATION_ROLE "worker"",
      "log.level OPENCLAW_FEDERATION_LOG_LEVEL "info"",
      "hub.address OPENCLAW_FEDERATION_HUB_ADDRESS "127.0.0.1"",
      "hub.port OPENCLAW_FEDERATION_HUB_PORT 19000",
      "hub.names OPENCLAW_FEDERATION_HUB_NAMES []",
      "hub.tailnet OPENCLAW_FEDERATION_HUB_TAILNET false",
      "hub.pendingMax OPENCLAW_FEDERATION_HUB_PENDING_MAX 1000",
      "hub.pendingPerSource OPENCLAW_FEDERATION_HUB_PENDING_PER_SOURCE 64",
      "hub.admins OPENCLAW_FEDERATION_HUB_ADMINS []",
      "hub.heartbeatSeconds OPENCLAW_FEDERATION_HUB_HEARTBEAT_SECONDS 5",
      "hub.broadcastTimeoutSeconds OPENCLAW_FEDERATION_HUB_BROADCAST_TIMEOUT_SECONDS 60",
      "hub.approvalSeconds OPENCLAW_FEDERATION_HUB_APPROVAL_SECONDS 120",
      "hub.onward OPENCLAW_FEDERATION_HUB_ONWARD false",
      "hub.a2a.enabled OPENCLAW_FEDERATION_HUB_A2A_ENABLED false",
      "hub.a2a.agents OPENCLAW_FEDERATION_HUB_A2A_AGENTS []",
      "gateway.url OPENCLAW_FEDERATION_GATEWAY_URL -",
      "gateway.tokenFile OPENCLAW_FEDERATION_GATEWAY_TOKEN_FILE -",
      "gateway.uid OPENCLAW_FEDERATION_GATEWAY_UID -",
      "tailscale.socket OPENCLAW_FEDERATION_TAILSCALE_SOCKET -",
      "worker.hub OPENCLAW_FEDERATION_WORKER_HUB -",
      "worker.exec.mode OPENCLAW_FEDERATION_WORKER_EXEC_MODE "full"",
      "worker.exec.allow OPENCLAW_FEDERATION_WORKER_EXEC_ALLOW []",
      "worker.exec.deny OPENCLAW_FEDERATION_WORKER_EXEC_DENY []",
      "worker.files.read.roots OPENCLAW_FEDERATION_WORKER_FILES_READ_ROOTS -",
      "worker.files.read.deny OPENCLAW_FEDERATION_WORKER_FILES_READ_DENY []",
      "worker.files.read.lift OPENCLAW_FEDERATION_WORKER_FILES_READ_LIFT []",
      "worker.files.write.roots OPENCLAW_FEDERATION_WORKER_FILES_WRITE_ROOTS -",
      "worker.files.write.deny OPENCLAW_FEDERATION_WORKER_FILES_WRITE_DENY []",
      "worker.files.write.lift OPENCLAW_FEDERATION_WORKER_FILES_WRITE_LIFT []",
      "worker.files.maxBytes OPENCLAW_FEDERATION_WORKER_FILES_MAX_BYTES 268435456",
      "worker.tools.allow OPENCLAW_FEDERATION_WORKER_TOOLS_ALLOW []",
      "worker.tools.deny OPENCLAW_FEDERATION_WORKER_TOOLS_DENY []",
      "worker.tools.gatewaySettings OPENCLAW_FEDERATION_WORKER_TOOLS_GATEWAY_SETTINGS -",
      "worker.tools.maxOutputBytes OPENCLAW_FEDERATION_WORKER_TOOLS_MAX_OUTPUT_BYTES 1048576",
      "worker.hubLossSeconds OPENCLAW_FEDERATION_WORKER_HUB_LOSS_SECONDS 30",
      "worker.killAfterSeconds OPENCLAW_FEDERATION_WORKER_KILL_AFTER_SECONDS 5",
      "worker.journalMaxBytes OPENCLAW_FEDERATION_WORKER_JOURNAL_MAX_BYTES 8388608",
      "worker.journalDays OPENCLAW_FEDERATION_WORKER_JOURNAL_DAYS 7",
      "nodeHost.enabled OPENCLAW_FEDERATION_NODE_HOST_ENABLED false",
      "nodeHost.openclaw OPENCLAW_FEDERATION_NODE_HOST_OPENCLAW "openclaw"",
      "nodeHost.carrierPort OPENCLAW_FEDERATION_NODE_HOST_CARRIER_PORT 19002",
      "nodeHost.commands OPENCLAW_FEDERATION_NODE_HOST_COMMANDS ["system.run","system.run.prepare","system.which"]",
      "models.enabled OPENCLAW_FEDERATION_MODELS_ENABLED true",
      "models.port OPENCLAW_FEDERATION_MODELS_PORT -",
      "models.requireKey OPENCLAW_FEDERATION_MODELS_REQUIRE_KEY true",
      "models.openclaw OPENCLAW_FEDERATION_MODELS_OPENCLAW "http://127.0.0.1:18789"",
      "handoffs.enabled OPENCLAW_FEDERATION_HANDOFFS_ENABLED true",
      "handoffs.agents OPENCLAW_FEDERATION_HANDOFFS_AGENTS []",
      "handoffs.foreign OPENCLAW_FEDERATION_HANDOFFS_FOREIGN []",
      "handoffs.queueMax OPENCLAW_FEDERATION_HANDOFFS_QUEUE_MAX 32",
      "handoffs.keepMaxBytes OPENCLAW_FEDERATION_HANDOFFS_KEEP_MAX_BYTES 67108864",
      "handoffs.keepDays OPENCLAW_FEDERATION_HANDOFFS_KEEP_DAYS 7",
    ]
  `);
  expect(describeSettings().filter(({ meaning }) => meaning === '')).toEqual([]);
});

test('a flag counts before the environment, that before the file, and that before the default', () => {
  const OPENCLAW_FEDERATION_HUB_PORT = '2';
  const file = { hub: { port: 3, address: '100.64.0.1' } };
  const environment = { OPENCLAW_FEDERATION_HUB_PORT };
  expect(settings({}).hub.port).toBe(19_000);
  expect(settings({ file }).hub.port).toBe(3);
  expect(settings({ file, environment }).hub.port).toBe(2);
  const all = settings({ file, environment, flags: { hub: { port: 1, address: undefined } } });
  expect(all.hub).toMatchObject({ port: 1, address: '100.64.0.1', heartbeatSeconds: 5 });
});

test('a variable that is empty is one that is not set', () => {
  const environment = { OPENCLAW_FEDERATION_HUB_PORT: '', OPENCLAW_FEDERATION_NAME: '' };
  expect(settings({ environment, file: { name: 'w1' } })).toMatchObject({ name: 'w1', hub: { port: 19_000 } });
});

test.each([
  ['NAME', '42', { name: '42' }],
  ['NAME', 'null', { name: 'null' }],
  ['NAME', 'true', { name: 'true' }],
  ['NAME', '1e3', { name: '1e3' }],
  ['WORKER_HUB', '[fd00::1]:19000', { worker: { hub: '[fd00::1]:19000' } }],
  ['NODE_HOST_OPENCLAW', '/opt/a: b #c', { nodeHost: { openclaw: '/opt/a: b #c' } }],
  ['NODE_HOST_OPENCLAW', '*', { nodeHost: { openclaw: '*' } }],
  ['HUB_NAMES', '[a, b]', { hub: { names: ['a', 'b'] } }],
  ['WORKER_EXEC_ALLOW', '[[df, "*"]]', { worker: { exec: { allow: [['df', '*']] } } }],
  ['NODE_HOST_ENABLED', 'true', { nodeHost: { enabled: true } }],
  ['WORKER_HUB_LOSS_SECONDS', '0.5', { worker: { hubLossSeconds: 0.5 } }],
])('a variable is taken for what its setting is: %s=%s', (name, text, expected) => {
  expect(settings({ environment: { [`OPENCLAW_FEDERATION_${name}`]: text } })).toMatchObject(expected);
});

test.each<[Sources, string]>([
  [{ file: { hub: { prot: 1 } } }, 'hub.prot: unknown setting'],
  [{ file: { hbu: {} } }, 'hbu: unknown setting'],
  [{ file: { worker: { exec: { mdoe: 'off' } } } }, 'worker.exec.mdoe: unknown setting'],
  [{ file: { hub: { port: 65_536 } } }, 'hub.port: '],
  [{ file: { hub: { port: '19000' } } }, 'hub.port: '],
  [{ file: { hub: [] } }, 'hub: '],
  [{ file: { hub: null } }, 'hub: '],
  [{ file: [] }, 'settings: '],
  [{ file: 'hub' }, 'settings: '],
  [{ file: { role: 'boss' } }, 'role: '],
  [{ file: { worker: { exec: { allow: ['df'] } } } }, 'worker.exec.allow.0: '],
  [{ file: { worker: { exec: { deny: [[]] } } } }, 'worker.exec.deny.0: '],
  [{ file: { worker: { hubLossSeconds: Infinity } } }, 'worker.hubLossSeconds: '],
  [{ environment: { OPENCLAW_FEDERATION_HUB_PORT: 'many' } }, 'hub.port: '],
  [{ environment: { OPENCLAW_FEDERATION_HUB_NAMES: '[a' } }, 'hub.names: '],
  [{ environment: { OPENCLAW_FEDERATION_WORKER_EXEC_MODE: 'all' } }, 'worker.exec.mode: '],
  [{ flags: { hub: { port: Number.NaN } } }, 'hub.port: '],
])('what is wrong is named by its path: %j', (sources, problem) => {
  expect(problems(sources)).toEqual([expect.stringContaining(problem)]);
});

test('all that is wrong is named at once', () => {
  expect(problems({ file: { hub: { prot: 1, port: -1 }, role: 'boss' } })).toHaveLength(3);
});

test.each([
  '{"__proto__":{"name":"x"}}',
  '{"hub":{"__proto__":{"port":1}}}',
  '{"constructor":{"prototype":{"name":"x"}}}',
])('a key that means something to JavaScript means nothing here: %s', (text) => {
  const environment = { OPENCLAW_FEDERATION_HUB_PENDING_MAX: '7' };
  const result = resolve({ file: JSON.parse(text), environment });
  expect(result.ok ? [result.settings.name, result.settings.hub.port] : [undefined, 19_000]).toEqual([
    undefined,
    19_000,
  ]);
  expect(({} as { name?: string }).name).toBeUndefined();
});
