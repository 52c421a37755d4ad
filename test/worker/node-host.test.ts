import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createLog } from '#src/adapters/log.ts';
import { nodeHostProgram } from '#src/adapters/openclaw/node-host.ts';
import { FederationError } from '#src/core/errors.ts';
import type { NodeHostState } from '#src/protocol/hub-api/node.ts';
import { startNodeHost } from '#src/worker/node-host.ts';
import type { NodeHostOptions, NodeHostPace, NodeHostStatus, NodeHostSupervision } from '#src/worker/node-host.ts';
import { until } from '../support/link.ts';

interface Start {
  readonly pid: number;
  readonly argv: readonly string[];
  readonly code: string | null;
  readonly codeMode: string | null;
  readonly environment: readonly string[];
}

const FAKE_OPENCLAW = fileURLToPath(new URL('../fixtures/fake-openclaw.ts', import.meta.url));
const QUICK: NodeHostPace = {
  askMs: 20,
  promptMs: 20,
  zombieMs: 100,
  startMs: 20_000,
  retry: { minMs: 10, maxMs: 20, patientMs: 10 },
};

let directory: string;
let stopping: AbortController;
let running: NodeHostSupervision[];
let lines: string[];
let codes: number;
let said: NodeHostState | FederationError;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ocf-node-host-'));
  stopping = new AbortController();
  running = [];
  lines = [];
  codes = 0;
  said = 'unpaired';
});

afterEach(async () => {
  stopping.abort();
  await Promise.all(running.map(({ done }) => done));
  await rm(directory, { recursive: true, force: true });
});

function supervise({
  openclaw = FAKE_OPENCLAW,
  pace = QUICK,
  signal = stopping.signal,
  onChange,
}: Partial<NodeHostOptions> & { openclaw?: string } = {}): NodeHostSupervision {
  const log = createLog({ level: 'debug', module: 'test', write: (line) => void lines.push(line) });
  const supervision = startNodeHost({
    program: nodeHostProgram({
      openclaw,
      stateDirectory: join(directory, 'openclaw'),
      displayName: 'w1',
      commands: ['system.run', 'system.which'],
      log,
    }),
    desk: {
      requestSetupCode: async () => `secret-code-${++codes}`,
      ownNodeHost: async () => {
        if (said instanceof FederationError) throw said;
        return said;
      },
    },
    carrierPort: 19_002,
    pace,
    ...(onChange === undefined ? {} : { onChange }),
    log,
    signal,
  });
  running.push(supervision);
  return supervision;
}

async function behave(behaviour: 'connect' | 'pause' | 'ignore-term' | 'exit'): Promise<void> {
  await writeFile(join(directory, 'behaviour'), behaviour);
}

async function starts(): Promise<Start[]> {
  const text = await readFile(join(directory, 'starts'), 'utf8').catch(() => '');
  return text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Start]));
}

/** Waits for the start of that number, counted from 1. */
async function started(number: number): Promise<Start> {
  const deadline = performance.now() + 20_000;
  while (performance.now() < deadline) {
    const start = (await starts())[number - 1];
    if (start !== undefined) return start;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`never started for the ${number}. time: ${lines.join('')}`);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

test('one that the gateway does not know joins with a code that only its file holds', async () => {
  process.env['OPENCLAW_GATEWAY_TOKEN'] = 'x';
  process.env['OPENCLAW_FEDERATION_HOME'] = 'x';
  supervise();
  const start = await started(1);
  delete process.env['OPENCLAW_GATEWAY_TOKEN'];
  delete process.env['OPENCLAW_FEDERATION_HOME'];

  const file = join(directory, 'openclaw', 'setup-code');
  const commands = ['--display-name', 'w1', '--commands', 'system.run,system.which'];
  expect(start.argv).toEqual(['connect', '--target-file', file, ...commands]);
  expect(start).toMatchObject({ code: 'secret-code-1', codeMode: '600' });
  expect(start.environment.filter((name) => name.startsWith('OPENCLAW_')).toSorted()).toEqual([
    'OPENCLAW_NO_AUTO_UPDATE',
    'OPENCLAW_STATE_DIR',
  ]);
  expect(existsSync(file)).toBe(false);
  expect(lines.join('')).not.toContain('secret-code');
});

test('it does not update itself', async () => {
  supervise();
  await started(1);
  const settings: unknown = JSON.parse(await readFile(join(directory, 'openclaw', 'openclaw.json'), 'utf8'));
  expect(settings).toMatchObject({ nodeHost: { autoUpdate: { enabled: false } } });
});

test('one that the gateway knows needs no code', async () => {
  said = 'disconnected';
  supervise();
  const { argv } = await started(1);
  expect(argv.slice(0, 6)).toEqual(['node', 'run', '--host', '127.0.0.1', '--port', '19002']);
  expect(codes).toBe(0);
});

test('as soon as it says that it is connected, the gateway is asked until it says so too', async () => {
  said = 'disconnected';
  const seen: NodeHostStatus[] = [];
  const supervision = supervise({
    pace: { ...QUICK, askMs: 600_000, startMs: 600_000, zombieMs: 600_000 },
    onChange: (status) => seen.push(status),
  });
  await until('the gateway was asked', () => supervision.state().gateway === 'disconnected' && seen.length > 2);
  said = 'connected';
  await until('it is connected', () => supervision.state().gateway === 'connected');
  expect(seen.at(-1)).toEqual(supervision.state());
  expect(seen.map(({ phase, gateway }) => `${phase} ${gateway}`)).toEqual([
    'waiting disconnected',
    'running unknown',
    'running disconnected',
    'running connected',
  ]);
});

test('one that paused is woken with a new code, however often', async () => {
  // Else one that takes its time to pause would be replaced before it does.
  said = 'connected';
  await behave('pause');
  const supervision = supervise();
  expect((await started(1)).code).toBeNull();
  expect((await started(2)).code).toBe('secret-code-1');
  await behave('connect');
  expect((await started(3)).code).toMatch(/^secret-code-/);
  expect(supervision.state().lastEnd).toBe('paused: PAIRING_REQUIRED');
});

test('one that ended is started again without a code', async () => {
  said = 'connected';
  await behave('exit');
  const supervision = supervise();
  expect((await started(3)).argv[0]).toBe('node');
  expect(codes).toBe(0);
  expect(supervision.state().lastEnd).toBe('exited: exit 1');
});

test('one that runs while the gateway does not see it is replaced', async () => {
  said = 'disconnected';
  const supervision = supervise();
  const first = await started(1);
  const second = await started(2);
  expect(second.code).toBeNull();
  expect(isAlive(first.pid)).toBe(false);
  expect(supervision.state().lastEnd).toBe('zombie: the gateway says disconnected');
});

test('a stopped one that the gateway forgot is replaced with a new code', async () => {
  said = 'connected';
  const supervision = supervise();
  const first = await started(1);
  // Before that it would get the time of one that starts.
  await until('it is connected', () => lines.some((line) => line.includes('node host gateway connected')));
  process.kill(first.pid, 'SIGSTOP');
  said = 'unpaired';
  expect((await started(2)).code).toBe('secret-code-1');
  expect(isAlive(first.pid)).toBe(false);
  expect(supervision.state().lastEnd).toBe('zombie: the gateway says unpaired');
});

test('a gateway that can’t be asked says nothing against a node host', async () => {
  said = 'connected';
  const supervision = supervise();
  const { pid } = await started(1);
  await until('it is seen', () => supervision.state().gateway === 'connected');
  said = new FederationError('HUB_UNREACHABLE', 'the hub does not answer');
  await until('it is not seen', () => supervision.state().gateway === 'unknown');
  await new Promise((resolve) => setTimeout(resolve, 5 * QUICK.zombieMs));
  expect(await starts()).toHaveLength(1);
  expect(isAlive(pid)).toBe(true);
});

test('the node host of a node that was revoked is ended and not started again', async () => {
  said = 'connected';
  const supervision = supervise();
  const { pid } = await started(1);
  await until('it runs', () => supervision.state().phase === 'running');
  said = new FederationError('FORBIDDEN', 'this node is no member');
  await until('it was ended', () => supervision.state().phase === 'waiting');
  expect(isAlive(pid)).toBe(false);
  await until('it was said why', () => lines.some((line) => line.includes('this node is no member')));
  expect(await starts()).toHaveLength(1);
});

test.each<[string, NodeHostState | FederationError]>([
  ['the hub is not there', new FederationError('HUB_UNREACHABLE', 'there is no link')],
  ['the gateway is not there', 'unknown'],
])('it waits while %s, says so once, and starts then', async (_what, absent) => {
  said = absent;
  const supervision = supervise();
  await until('it was said', () => lines.length > 0);
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(supervision.state().phase).toBe('waiting');
  expect(lines).toHaveLength(1);
  expect(await starts()).toEqual([]);
  said = 'unpaired';
  expect((await started(1)).code).toBe('secret-code-1');
});

test('a missing program is said and tried again', async () => {
  const supervision = supervise({ openclaw: join(directory, 'nothing') });
  await until('it was said', () => lines.join('').includes('can’t be started') || lines.join('').includes("can't be"));
  expect(supervision.state()).toMatchObject({ phase: 'waiting', pid: null });
});

test('the signal ends a stopped process and waits for it', async () => {
  said = 'connected';
  const supervision = supervise();
  const { pid } = await started(1);
  process.kill(pid, 'SIGSTOP');
  stopping.abort();
  await supervision.done;
  expect(isAlive(pid)).toBe(false);
  expect(supervision.state().phase).toBe('stopped');
});

test('the signal ends a process that ignores TERM', async () => {
  said = 'connected';
  await behave('ignore-term');
  const supervision = supervise();
  const { pid } = await started(1);
  await until('it ignores TERM', () => lines.join('').includes('connected'));
  stopping.abort();
  await supervision.done;
  expect(isAlive(pid)).toBe(false);
});

test('what a killed daemon left running is ended before another is started', async () => {
  said = 'connected';
  const lost = new AbortController();
  supervise({ signal: lost.signal });
  const first = await started(1);
  // Another daemon on the same state directory knows of the first process by its file alone.
  supervise();
  await until('the first is gone', () => !isAlive(first.pid));
  lost.abort();
  expect((await started(2)).pid).not.toBe(first.pid);
});
