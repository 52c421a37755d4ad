import { createHash } from 'node:crypto';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { main } from '#src/cli/deploy.ts';
import type { Facts } from '#src/deploy/facts.ts';
import { fileIn } from '#src/deploy/facts.ts';
import type { Wanted } from '#src/deploy/wanted.ts';
import { bareMachine, changed, healthyMaster, healthyWorker } from '../support/facts.ts';
import { fakeTools, screen, watchScreen } from './deploy-tools.ts';

beforeEach(() => watchScreen());
afterEach(() => void vi.restoreAllMocks());

/** What a run with these words would bring about. */
async function wantedBy(facts: Facts, ...argv: readonly string[]): Promise<Wanted> {
  let asked: Wanted | undefined;
  const apply = async (_plan: unknown, _context: unknown, { wanted }: { readonly wanted: Wanted }) => {
    asked = wanted;
  };
  expect(await main([...argv, '--yes'], async () => fakeTools({ facts, change: { apply } }))).toBe(0);
  return asked!;
}

async function dryRun(facts: Facts, ...argv: readonly string[]): Promise<string> {
  expect(await main([...argv, '--dry-run'], async () => fakeTools({ facts }))).toBe(0);
  return screen.stdout;
}

const narrow = { role: 'worker', light: true, exec: 'allowlist', name: 'pi', commands: ['system.which'] } as const;

test('a second run keeps what the first was told, where no flag says otherwise', async () => {
  const facts = healthyWorker({ record: { wanted: { ...narrow, light: false, keepGateway: true } } });
  expect(await wantedBy(facts, 'worker', 'vps')).toMatchObject({ ...narrow, light: false, keepGateway: true });
  expect(await wantedBy(facts, 'worker', 'vps', '--exec', 'full', '--no-keep-gateway')).toMatchObject({
    exec: 'full',
    keepGateway: false,
  });
  const light = healthyWorker({ record: { wanted: narrow } });
  expect(await wantedBy(light, 'worker', 'vps')).toMatchObject({ light: true });
  expect(await wantedBy(light, 'worker', 'vps', '--no-light')).toMatchObject({ light: false });
  expect(await wantedBy(light, 'worker', 'vps', '--no-light', '--commands', 'system.run')).toMatchObject({
    commands: ['system.run'],
  });
  const master = healthyMaster({ record: { wanted: { port: 19_100 } } });
  expect(await wantedBy(master, 'master')).toMatchObject({ port: 19_100 });
});

test('a second run keeps what a person narrowed in the settings since', async () => {
  const before = healthyWorker();
  const text = 'role: worker\nworker:\n  hub: vps.tail.example:19000\n  exec:\n    mode: off\n';
  const facts = changed(before, { files: [[before.place.workerSettings, { text, mode: 0o600, owner: 'sam' }]] });
  expect(await wantedBy(facts, 'worker', 'vps')).toMatchObject({ exec: 'off' });
  expect(await wantedBy(before, 'worker', 'vps')).toMatchObject({ exec: null });
});

test('by ssh a second run keeps what the other machine alone is concerned by, and nothing else of its word', async () => {
  const facts = healthyWorker({ record: { wanted: { ...narrow, keepGateway: true, port: 1 } } });
  const wanted = await wantedBy(facts, 'worker', 'vps', '--ssh', 'pi@10.0.0.5');
  expect(wanted).toMatchObject({ exec: 'allowlist', light: true, name: null, keepGateway: false, port: 19_000 });
});

test('what was kept of an earlier deployment, or of another role, is no earlier choice', async () => {
  const facts: Facts = { ...healthyWorker({ record: { state: 'kept', wanted: narrow } }), worker: null };
  expect(await wantedBy(facts, 'worker', 'vps')).toMatchObject({
    exec: null,
    light: false,
  });
});

test('a setting that becomes another is shown with its old and its new value, in a dry run too', async () => {
  const before = healthyWorker();
  const path = before.place.workerSettings;
  const wrote = [createHash('sha256').update(fileIn(before, path)!.text).digest('hex')];
  const action = { do: 'write', path, mode: 0o600, owner: 'person', text: '' } as const;
  const entry = { key: path, step: 'worker-home', action, before: null, wrote, state: 'done' } as const;
  const facts = changed(before, { record: { entries: [entry] } });
  const shown = await dryRun(facts, 'worker', 'vps', '--exec', 'off');
  expect(shown.slice(shown.indexOf('---'))).toMatchInlineSnapshot(`
    "--- /home/sam/.openclaw-worker/settings.yaml
    +++ /home/sam/.openclaw-worker/settings.yaml
    @@ -1,5 +1,8 @@
     role: worker
     worker:
       hub: vps.tail.example:19000
       exec:
    -    mode: full
    +    mode: off
    +name: home-server
    +nodeHost:
    +  enabled: false
    "
  `);
});

test('a dry run shows what becomes of a person’s file, and no secret of it', async () => {
  const path = '/home/sam/.openclaw/openclaw.json';
  const text = '{\n  // mine\n  "gateway": { "auth": { "token": "0123456789abcdef0123" } }\n}\n';
  const file = { text, mode: 0o600, owner: 'sam' };
  const shown = await dryRun(bareMachine({ gateway: { settings: file }, files: [[path, file]] }), 'master');
  expect(shown).toContain(`+++ ${path}`);
  expect(shown).toContain('// mine');
  expect(shown).not.toContain('0123456789abcdef0123');
});
