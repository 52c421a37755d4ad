import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { main as manage } from '#src/cli/manage.ts';
import type { HandoffOutcome } from '#src/core/handoff/state.ts';
import type { HandoffCreate } from '#src/protocol/handoffs.ts';
import { eventually } from '../support/eventually.ts';
import type { HandoffHub } from '../support/handoff-hub.ts';
import { HANDOFF, handoffHub } from '../support/handoff-hub.ts';
import { onTerminal, screen } from '../support/screen.ts';

let hub: HandoffHub;
let seen: ReturnType<typeof screen>;

beforeEach(async () => {
  process.stdout.setMaxListeners(200);
  hub = await handoffHub();
  seen = screen();
});
afterEach(async () => {
  vi.restoreAllMocks();
  await hub[Symbol.asyncDispose]();
});

const handoff = (...argv: readonly string[]) => manage(['--home', hub.home, 'handoff', ...argv]);
const followed = () => eventually('somebody follows', () => hub.followers() > 0);
const order = () => hub.asked.find(({ what }) => what === 'POST /handoffs')?.body as HandoffCreate;
const asked = (what: string) => hub.asked.filter((request) => request.what === what).length;

/** Begins it, and resolves when it is followed. */
async function started(...argv: readonly string[]): Promise<{ ended: Promise<number> }> {
  const ended = handoff('start', 'home', 'look why nginx fails', ...argv);
  await followed();
  hub.say({ type: 'started', attempt: 1, agent: 'main' });
  return { ended };
}

function text(words: string): void {
  hub.say({ type: 'text', text: words });
}

describe('handoff start', () => {
  test('shows what the agent says on standard output, and all else on standard error', async () => {
    const ended = handoff('start', 'home', 'look why nginx fails');
    await followed();
    hub.stand({ position: 2 });
    hub.stand({ position: 1 });
    hub.say({ type: 'started', attempt: 1, agent: 'main' });
    text('I look. ');
    hub.say({ type: 'tool', call: 'c1', name: 'exec', phase: 'start', text: 'nginx -t', failed: false });
    hub.say({ type: 'tool', call: 'c1', name: 'exec', phase: 'update', text: 'more', failed: false });
    hub.say({ type: 'tool', call: 'c1', name: 'exec', phase: 'result', text: 'no\nsuch file', failed: true });
    text('A line is missing.');
    hub.end('completed', { text: 'A line is missing.' });
    expect(await ended).toBe(0);
    expect(seen.stdout).toBe('I look. A line is missing.\n');
    expect(seen.stderr).toMatchInlineSnapshot(`
      "handoff ${HANDOFF} to home
      home: waits: place 2 in the queue
      home: waits: place 1 in the queue
      main begins
      tool exec: nginx -t
      tool exec failed: no such file
      "
    `);
    expect(order()).toMatchObject({ target: 'home', task: 'look why nginx fails', context: '', files: [] });
    expect(order().key).toMatch(/^[0-9A-Z]{26}$/);
  });

  test.each<[HandoffOutcome, number]>([
    ['completed', 0],
    ['failed', 1],
    ['lost', 4],
    ['expired', 124],
    ['cancelled', 130],
  ])('ends with %s by exit code %i', async (outcome, exitCode) => {
    const { ended } = await started();
    hub.end(outcome, { problem: 'so it is' });
    expect(await ended).toBe(exitCode);
    // One that is completed may have left a file out.
    expect(seen.stderr).toContain(`home/main: ${outcome}: so it is\n`);
  });

  test('tells the answer where its words did not come one by one, or some were lost, and only then', async () => {
    const { ended } = await started();
    text('It  is\nthe');
    hub.say({ type: 'gap', events: 7 });
    hub.end('completed', { text: 'It is the disk' });
    expect(await ended).toBe(0);
    expect(seen.stdout).toBe('It  is\nthe\nIt is the disk\n');
    expect(seen.stderr).toContain('7 events were too much to be kept\n');
  });

  test('says that what was said before a new attempt is of no account', async () => {
    const { ended } = await started('--rerunnable');
    text('half of');
    hub.say({ type: 'restarted', attempt: 2 });
    hub.say({ type: 'started', attempt: 2, agent: 'main' });
    text('all of it');
    hub.end('completed', { text: 'all of it' });
    expect(await ended).toBe(0);
    expect(seen.stdout).toBe('half of\nall of it\n');
    expect(seen.stderr).toContain('begun anew elsewhere, attempt 2: what was said before is of no account\n');
    expect(order()).toMatchObject({ rerunnable: true });
  });

  test('takes what goes with it from files, by their own names', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'ocf-given-'));
    await writeFile(join(folder, 'main.go'), 'package main');
    await writeFile(join(folder, 'known.md'), 'it ran yesterday');
    const before = Date.now();
    const ended = handoff(
      ...['start', 'tags:coding', 'build it', '--file', join(folder, 'main.go'), '--context-file'],
      ...[
        join(folder, 'known.md'),
        '--deadline',
        '10m',
        '--idle-timeout',
        '90s',
        '--queue-timeout',
        '2h',
        '--key',
        'k1',
      ],
    );
    await followed();
    hub.end('completed');
    expect(await ended).toBe(0);
    const { deadline, ...rest } = order();
    expect(rest).toEqual({
      ...{ key: 'k1', target: 'tags:coding', task: 'build it', context: 'it ran yesterday' },
      files: [{ name: 'main.go', content: Buffer.from('package main').toString('base64') }],
      ...{ idleTimeoutMs: 90_000, queueTimeoutMs: 7_200_000, rerunnable: false, cancelOnDisconnect: false },
    });
    expect(Date.parse(deadline ?? '') - before).toBeGreaterThanOrEqual(600_000);
    await rm(folder, { recursive: true });
  });

  test('takes a task behind dashes as it stands', async () => {
    const ended = handoff('start', 'home', '--', '--fix', 'the build');
    await followed();
    hub.end('completed');
    await ended;
    expect(order()).toMatchObject({ task: '--fix the build' });
  });

  test('prints the id and leaves, where it is not to be waited for', async () => {
    expect(await handoff('start', 'home', 'look', '--detach', '--key', 'k1')).toBe(0);
    expect(seen.stdout).toBe(`${HANDOFF}\n`);
    expect(seen.stderr).toBe(`its answer: manage-federation handoff attach ${HANDOFF}\n`);
    await handoff('start', 'home', 'look', '--detach', '--key', 'k1');
    expect(seen.stderr).toContain('the key stood for it already\n');
    expect(hub.asked.map(({ what }) => what)).toEqual(['POST /handoffs', 'POST /handoffs']);
  });

  test('is one answer as JSON, or a line for each event', async () => {
    const { ended } = await started('--json');
    text('yes');
    hub.end('failed', { text: 'yes', problem: 'no' });
    expect(await ended).toBe(1);
    expect(JSON.parse(seen.stdout)).toEqual(hub.view());
    expect(seen.stderr).toBe('');
    seen.stdout = '';
    expect(await handoff('attach', HANDOFF, '--ndjson', '--after', '1')).toBe(1);
    const lines = seen.stdout.trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line) as object)).toMatchObject([
      { seq: 2, type: 'text', text: 'yes' },
      { seq: 3, type: 'ended', outcome: 'failed' },
    ]);
  });

  test('lets no word of the agent steer the terminal', async () => {
    await onTerminal({ columns: 80 }, async () => {
      const { ended } = await started();
      text('\u001b]0;owned\u0007red\u001b[31m');
      hub.say({ type: 'tool', call: 'c', name: 'x\u001b[2J', phase: 'start', text: '\u202Eevil', failed: false });
      hub.end('failed', { problem: '\u001b[2Jgone' });
      await ended;
    });
    for (const steering of ['\u001b', '\u0007', '\u202E'])
      expect(`${seen.stdout}${seen.stderr}`).not.toContain(steering);
    expect(seen.stdout).toContain('red');
  });
});

describe('a hub that goes away', () => {
  test('is asked again for what comes after the last event, and nothing is shown twice', async () => {
    const { ended } = await started();
    text('one ');
    await eventually('it is shown', () => seen.stdout === 'one ');
    await hub.goAway();
    await eventually('it is said', () => seen.stderr.includes('is asked again until it is back'));
    text('two ');
    await hub.comeBack();
    await followed();
    text('three');
    hub.end('completed', { text: 'one two three' });
    expect(await ended).toBe(0);
    expect(seen.stdout).toBe('one two three\n');
    expect(asked(`GET /handoffs/${HANDOFF}/events?after=2`)).toBeGreaterThan(0);
  });

  test('may break off after each word, and say words again: the text is whole', async () => {
    const words = Array.from({ length: 12 }, (_, at) => `word ${at}\n`);
    const { ended } = await started();
    for (const word of words) {
      text(word);
      await eventually('it is shown', () => seen.stdout.endsWith(word));
      hub.breakOff();
      await eventually('it is followed again', () => hub.followers() > 0);
    }
    hub.end('completed', { text: words.join('') });
    expect(await ended).toBe(0);
    expect(seen.stdout).toBe(words.join(''));
  });

  test('that tells old events again is not listened to', async () => {
    const { ended } = await started();
    text('once');
    await eventually('it is shown', () => seen.stdout === 'once');
    hub.mishap = ({ what }, response) => {
      if (!what.includes('/events?')) return false;
      hub.mishap = () => false;
      const again = { seq: 2, type: 'text', text: 'once' };
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end(`id: 2\ndata: ${JSON.stringify(again)}\n\n`);
      return true;
    };
    hub.breakOff();
    await followed();
    hub.end('completed', { text: 'once' });
    expect(await ended).toBe(0);
    expect(seen.stdout).toBe('once\n');
  });

  test('and has lost events is a fault, and not an answer with a hole', async () => {
    const { ended } = await started();
    await eventually('it is shown', () => seen.stderr.includes('main begins'));
    hub.mishap = ({ what }, response) => {
      if (!what.includes('/events?')) return false;
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end(`data: ${JSON.stringify({ seq: 9, type: 'text', text: 'hole' })}\n\n`);
      return true;
    };
    hub.breakOff();
    expect(await ended).toBe(1);
    expect(seen.stderr).toContain('error: the hub has event 9 of the handoff, and not those after 1\n');
    expect(seen.stdout).not.toContain('hole');
  });

  test('in the middle of its answer is handed the same key again', async () => {
    let mishaps = 2;
    hub.mishap = ({ what }, response) => {
      if (what !== 'POST /handoffs' || mishaps-- === 0) return false;
      response.destroy();
      return true;
    };
    expect(await handoff('start', 'home', 'look', '--detach')).toBe(0);
    const keys = hub.asked.map(({ body }) => (body as HandoffCreate).key);
    expect(keys).toHaveLength(3);
    expect(new Set(keys).size).toBe(1);
  });

  test('and stays away after that leaves the key, by which it is the same handoff', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    hub.mishap = (_, response) => {
      vi.advanceTimersByTime(61_000);
      response.destroy();
      return true;
    };
    expect(await handoff('start', 'home', 'look', '--key', 'k7')).toBe(1);
    vi.useRealTimers();
    expect(seen.stderr).toMatch(
      /\nerror: .*; it may have been handed over\n {2}try: .* with --key k7 it is the same one\n$/,
    );
  });

  test('before anything was sent is not waited for', async () => {
    await hub.goAway();
    expect(await handoff('start', 'home', 'look')).toBe(1);
    expect(seen.stderr).toMatch(/^error: no hub answers for .*\n {2}try: .*\n$/);
  });
});

describe('Ctrl-C', () => {
  test('asks for the end, also of a hub that is away just then, and waits for it', async () => {
    const { ended } = await started();
    text('so far');
    await eventually('it is shown', () => seen.stdout === 'so far');
    await hub.goAway();
    process.emit('SIGINT');
    await hub.comeBack();
    await eventually('its end was asked for', () => asked(`DELETE /handoffs/${HANDOFF}`) > 0);
    await followed();
    hub.end('cancelled', { problem: 'its caller asked for its end' });
    expect(await ended).toBe(130);
    expect(seen.stderr).toContain('asks for its end … (Ctrl-C again leaves at once)\n');
    expect(seen.stderr).toContain('home/main: cancelled: its caller asked for its end\n');
  });

  test('that comes too late leaves the answer as it is', async () => {
    const { ended } = await started();
    process.emit('SIGINT');
    hub.end('completed', { text: 'done' });
    expect(await ended).toBe(0);
    expect(seen.stdout).toBe('done\n');
  });

  test('a second time leaves, and says how to come back', async () => {
    const { ended } = await started();
    process.emit('SIGINT');
    process.emit('SIGINT');
    expect(await ended).toBe(130);
    expect(seen.stderr).toContain(`left; it may still run: manage-federation handoff attach ${HANDOFF}\n`);
  });

  test('is not what a terminal does that goes away: it ends nothing', async () => {
    const { ended } = await started();
    process.emit('SIGHUP');
    expect(await ended).toBe(130);
    expect(asked(`DELETE /handoffs/${HANDOFF}`)).toBe(0);
  });

  test('while one only looks leaves it running, and says so', async () => {
    const listeners = process.listenerCount('SIGINT');
    const ended = handoff('attach', HANDOFF.toLowerCase());
    await followed();
    process.emit('SIGINT');
    expect(await ended).toBe(130);
    expect(asked(`DELETE /handoffs/${HANDOFF}`)).toBe(0);
    expect(seen.stderr).toContain(`left as it is; to end it: manage-federation handoff cancel ${HANDOFF}\n`);
    expect(process.listenerCount('SIGINT')).toBe(listeners);
  });
});

test('attach says where it never came to the event after which it was asked for', async () => {
  hub.say({ type: 'started', attempt: 1, agent: 'main' });
  hub.end('failed', { text: 'no', problem: 'the model went away' });
  expect(await handoff('attach', HANDOFF, '--after', '99')).toBe(1);
  expect(seen.stderr).toContain('it has no event 99: its last is 2\n');
  seen.stderr = '';
  await handoff('attach', HANDOFF, '--after', '2');
  expect(seen.stderr).not.toContain('it has no event');
});

test('attach shows it from the beginning, or from an event on, also when it is over', async () => {
  hub.say({ type: 'started', attempt: 1, agent: 'main' });
  text('one ');
  text('two');
  hub.end('completed', { text: 'one two' });
  expect(await handoff('attach', HANDOFF)).toBe(0);
  expect(seen.stdout).toBe('one two\n');
  seen.stdout = '';
  expect(await handoff('attach', HANDOFF, '--after', '4')).toBe(0);
  expect(seen.stdout).toBe('');
});
