import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HubRecord } from '#src/core/hub-record.ts';
import type { HandoffEvent } from '#src/core/handoff/event.ts';
import type { ToolContext } from '#src/plugin/asker.ts';
import type { AgentView, HandoffListed, HandoffView } from '#src/protocol/handoffs.ts';
import { OWNERS_TURN, registered, textOf } from '../plugin/plugin-under-test.ts';
import type { AgentGateway, ScriptedRun } from '../support/agent-gateway.ts';
import { agentGateway } from '../support/agent-gateway.ts';
import type { Federation } from './federation.ts';
import { startFederation } from './federation.ts';
import type { Running } from './place.ts';
import { until } from './until.ts';

let gateway: AgentGateway;
let federation: Federation;

/** Words of one answer, which come one after the other. */
const WORDS = Array.from({ length: 60 }, (_, at) => `word ${at} `);
const PACE_MS = 60;

/** The first word of the task says what the agent does. */
async function work(run: ScriptedRun): Promise<string> {
  const [verb = '', ...rest] = (run.message.split('\n')[0] ?? '').split(' ');
  switch (verb) {
    case 'say':
      run.say(rest.join(' '));
      return rest.join(' ');
    case 'count':
      for (const word of WORDS) {
        run.say(word);
        await pause(PACE_MS, undefined, { signal: run.aborted });
      }
      return WORDS.join('').trim();
    case 'hash': {
      const file = /- (\S+\/in\/\S+) /.exec(run.message)?.[1] ?? '';
      const hash = createHash('sha256')
        .update(await readFile(file))
        .digest('hex');
      run.tool('sha256sum', { file }, hash);
      await writeFile(join(run.outFolder, 'hash.txt'), `${hash}\n`);
      await writeFile(join(run.outFolder, '.hidden'), 'no');
      return `its hash is ${hash}`;
    }
    case 'delegate': {
      const [target = '', ...task] = rest;
      return handOn(run, target, task.join(' '));
    }
    case 'report':
      run.say('A brace is missing.');
      await writeFile(join(run.outFolder, 'report.md'), 'line 7\n');
      return 'A brace is missing.';
    case 'fail':
      throw new Error('the model went away');
    default:
      run.say('I think. ');
      await pause(600_000, undefined, { signal: run.aborted });
      return '';
  }
}

/** As the plugin does it in the gateway of w1. */
async function handOn({ session, agent, aborted }: ScriptedRun, target: string, task: string): Promise<string> {
  const modelsKeyFile = join(federation.directory, 'w1', 'openclaw-models.key');
  const { tools } = registered('/nowhere', 'full', { modelsKeyFile });
  const turn: ToolContext = { agentId: agent, sessionKey: session, messageChannel: 'webchat', senderIsOwner: true };
  return textOf(await tools.get('cluster_handoff')!(turn).execute('call-1', { target, task }, aborted, undefined));
}

beforeAll(async () => {
  gateway = await agentGateway(work);
  federation = await startFederation({
    workers: 2,
    env: {
      OPENCLAW_FEDERATION_WORKER_TOOLS_GATEWAY_SETTINGS: gateway.settingsFile,
      OPENCLAW_FEDERATION_HUB_ONWARD: 'true',
    },
  });
  await until('both nodes offer their agents', async () => {
    const agents = await federation.ask<AgentView[]>('agents');
    return agents.length === 4;
  });
});
afterAll(async () => {
  await federation.stop();
  await gateway[Symbol.asyncDispose]();
});

const handoff = (...words: readonly string[]) => federation.manage(['handoff', ...words]);
const start = (...words: readonly string[]): Running => federation.startManage(['handoff', 'start', ...words]);
const show = (id: string) => federation.ask<HandoffView>('handoff', 'show', id);
const runsOf = (text: string) => gateway.runs.filter(({ message }) => message.startsWith(text));
/** The id that a client has told. */
const idOf = (client: Running) => until('its id is told', () => /^handoff (\S+) to /m.exec(client.said())?.[1]);

describe('from a chat', () => {
  async function call(tool: string, parameters: object, signal?: AbortSignal): Promise<string> {
    const { plugin } = JSON.parse(await readFile(join(federation.home, 'hub.json'), 'utf8')) as HubRecord;
    const made = registered(plugin ?? '').tools.get(tool)!(OWNERS_TURN);
    return textOf(await made.execute('call-1', parameters, signal, undefined));
  }

  it('the agents of a machine are told, and one of them does what it is asked for', async () => {
    expect(await call('cluster_peers', {})).toMatch(/^w1 .* agents: main \(Main\); coder$/m);
    const files = [{ name: 'note.txt', content: 'remember' }];
    const answer = await call('cluster_handoff', { target: 'w1/coder', task: 'hash it', files });
    const hash = createHash('sha256').update('remember').digest('hex');
    const [ending = '', ...lines] = answer.split('\n');
    expect(ending).toMatch(/^w1\/coder \([0-9a-f]{12}\): completed, \d+\.\d s: left behind on its node: "\.hidden"/);
    expect(lines[0]).toBe(`| its hash is ${hash}`);
    expect(lines[1]).toMatch(/^file hash\.txt \(65 bytes, sha256 [0-9a-f]{64}\) is here as \/media\/1$/);
    const [view] = await federation.ask<HandoffView[]>('handoff', 'list', '--limit', '1');
    expect(view).toMatchObject({ asker: 'telegram:1001', state: 'completed' });
  });

  it('the run of the agent ends where the chat stops it', async () => {
    const stop = new AbortController();
    const answer = call('cluster_handoff', { target: 'w2', task: 'think for the chat' }, stop.signal);
    await Promise.all([
      expect(answer).rejects.toThrow('the user said stop'),
      until('it began', () => runsOf('think for the chat').length === 1).then(() =>
        stop.abort(new Error('the user said stop')),
      ),
    ]);
    await until('nothing runs', () => gateway.running() === 0);
  });

  it('a message is told to the agent', async () => {
    const text = await call('cluster_send', { target: 'w1/main', message: 'say hello from a chat' });
    expect(text).toBe('w1/main has it');
    await until('it was told', () => gateway.runs.some(({ message }) => message.includes('say hello from a chat')));
  });
});

describe('an agent that works on a handoff', () => {
  const newest = async (): Promise<HandoffView> => {
    const [{ id }] = await federation.ask<[HandoffListed]>('handoff', 'list', '--limit', '1');
    return show(id);
  };

  it('hands a part of it on, in the name and within the time of who asked for the whole', async () => {
    const client = start('w1', 'delegate w2 say done there', '--deadline', '1m');
    const { exitCode, stdout } = await client.ended;
    expect({ exitCode, stdout }).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/\n\| done there\n$/) });
    const whole = await show(await idOf(client));
    const part = await newest();
    expect(part).toMatchObject({ parent: whole.id, asker: whole.asker, node: { name: 'w2' }, text: 'done there' });
    expect(part.deadline).toBe(whole.deadline);
  });

  it('can hand nothing back to where it came from', async () => {
    const { exitCode, stderr } = await start('w1', 'delegate w1/coder say it here').ended;
    expect(exitCode).toBe(1);
    expect(stderr).toContain('it would come back to a machine that handed it on');
    expect(runsOf('say it here')).toHaveLength(0);
  });

  it('takes the part with it where its own end is asked for', async () => {
    const client = start('w1', 'delegate w2 think below');
    await until('the part began', () => runsOf('think below').length === 1);
    client.kill('SIGINT');
    expect(await client.ended).toMatchObject({ exitCode: 130 });
    await until('the part is over', async () => (await newest()).state === 'cancelled');
    expect(gateway.running()).toBe(0);
  });
});

it('shows the agents of every node', async () => {
  const { exitCode, stdout } = await federation.manage(['agents']);
  expect(exitCode).toBe(0);
  expect(stdout).toMatch(/^AGENT +WORKS ON +WAITING +TAGS +DESCRIPTION\nw1\/main +0 of 4 +0 +- +Main\n/);
});

it('hands a task over from standard input, and streams the answer of the agent there', async () => {
  const client = federation.startManage(['handoff', 'start', 'w1/coder', '-'], { stdin: 'pipe' });
  client.stdin?.end('say all is well');
  const { exitCode, stdout, stderr } = await client.ended;
  expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: 'all is well\n' });
  expect(stderr).toContain('coder begins\n');
  const view = await show(await idOf(client));
  expect(view).toMatchObject({
    ...{ state: 'completed', agent: 'coder', node: { name: 'w1' }, text: 'all is well', task: 'say all is well' },
    asker: expect.any(String) as string,
  });
});

it('keeps what is said of an answer out of its lines, where both come in one', async () => {
  const line = `manage-federation --home '${federation.home}' handoff start w1 report 2>&1`;
  const { exitCode, stdout } = await federation.place.startShell(line).ended;
  expect(exitCode).toBe(0);
  expect(stdout).toMatch(/^A brace is missing\.\nfile: report\.md \(7 bytes, sha256 [0-9a-f]{64}\)$/m);
  expect((await start('w1', 'report').ended).stdout).toBe('A brace is missing.\n');
});

it('takes files there, and brings files of the answer back by their hash', async () => {
  const bytes = Buffer.from(Array.from({ length: 200_000 }, (_, at) => (at * 7) % 256));
  const hash = createHash('sha256').update(bytes).digest('hex');
  await writeFile(federation.place.file('data.bin'), bytes);
  const { exitCode, stdout, stderr } = await start('w2', 'hash it', '--file', 'data.bin').ended;
  expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: `its hash is ${hash}\n` });
  expect(stderr).toContain(`tool sha256sum is done: ${hash}\n`);
  expect(stderr).toContain('w2/main: completed: left behind on its node: ".hidden"');
  const id = /handoff fetch (\S+)/.exec(stderr)?.[1] ?? '';
  const fetched = await handoff('fetch', id, '--out-dir', 'results');
  expect(fetched).toMatchObject({ exitCode: 0, stdout: '' });
  expect(await readFile(federation.place.file('results/hash.txt'), 'utf8')).toBe(`${hash}\n`);
  const again = await handoff('fetch', id, '--out-dir', 'results');
  expect(again).toMatchObject({ exitCode: 2 });
  expect(again.stderr).toMatch(/^error: results\/hash\.txt is there already\n {2}try: --force/);
});

it('tells a failure of the agent as one', async () => {
  const { exitCode, stderr } = await start('w1', 'fail please').ended;
  expect(exitCode).toBe(1);
  expect(stderr).toContain('w1/main: failed: ');
  expect(stderr).toContain('the model went away');
});

it.each([
  ['the hub', ['hub'] as const],
  ['the node', ['w1'] as const],
  ['both', ['hub', 'w1'] as const],
])('loses, repeats and reruns nothing where %s is killed in the middle', async (_, parts) => {
  const task = `count ${parts.join(' and ')}`;
  const client = start('w1', task, '--ndjson');
  await until('some of it was said', () => runsOf(task).length === 1);
  await pause(10 * PACE_MS);
  for (const part of parts) process.kill(await federation.pidOf(part), 'SIGKILL');
  const { exitCode, stdout } = await client.ended;
  expect(exitCode).toBe(0);
  const events = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as HandoffEvent);
  expect(events.map(({ seq }) => seq)).toEqual(events.map((_event, at) => at + 1));
  expect(events.at(-1)).toMatchObject({ type: 'ended', outcome: 'completed', text: WORDS.join('').trim() });
  expect(runsOf(task)).toHaveLength(1);
  // Whoever comes later is told the same.
  const [view] = await federation.ask<HandoffView[]>('handoff', 'list', '--limit', '1');
  const later = await handoff('attach', view!.id, '--ndjson');
  expect(later.stdout).toBe(stdout);
});

it('goes on where its caller was killed, and shows the whole to the next', async () => {
  const client = start('w2', 'count alone');
  const id = await idOf(client);
  await until('it began', () => runsOf('count alone').length === 1);
  client.kill('SIGKILL');
  await client.ended;
  const { exitCode, stdout } = await handoff('attach', id);
  expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: `${WORDS.join('')}\n` });
});

it('is one handoff for one key, however often it is asked for at once', async () => {
  const clients = Array.from({ length: 8 }, () => start('w1', 'say once', '--key', 'only-once', '--detach'));
  const ended = await Promise.all(clients.map((client) => client.ended));
  expect(ended.map(({ exitCode }) => exitCode)).toEqual(clients.map(() => 0));
  const ids = new Set(ended.map(({ stdout }) => stdout));
  expect(ids.size).toBe(1);
  const id = [...ids][0]!.trim();
  expect(await handoff('attach', id)).toMatchObject({ exitCode: 0, stdout: 'once\n' });
  expect(runsOf('say once')).toHaveLength(1);
  const other = await start('w1', 'say twice', '--key', 'only-once').ended;
  expect(other).toMatchObject({ exitCode: 2, stdout: '' });
  expect(other.stderr).toMatch(/^error: .*\n {2}try: .*\n$/);
  expect(runsOf('say twice')).toHaveLength(0);
});

it('ends the run of the agent at Ctrl-C, and only looks away from one that is attached to', async () => {
  const client = start('w1', 'think about it');
  const id = await idOf(client);
  await until('it began', () => runsOf('think about it').length === 1);
  const looker = federation.startManage(['handoff', 'attach', id]);
  await until('it is followed', () => looker.said().includes('begins'));
  looker.kill('SIGINT');
  expect(await looker.ended).toMatchObject({
    exitCode: 130,
    stderr: expect.stringContaining('left as it is') as string,
  });
  expect((await show(id)).state).toBe('started');
  client.kill('SIGINT');
  const { exitCode, stderr } = await client.ended;
  expect(exitCode).toBe(130);
  expect(stderr).toContain('asks for its end …');
  expect(runsOf('think about it')[0]?.aborted.aborted).toBe(true);
  expect(gateway.running()).toBe(0);
});

it('ends it where its time is over, or the agent says nothing for too long', async () => {
  const late = await start('w1', 'think late', '--deadline', '2s').ended;
  expect(late.exitCode).toBe(124);
  const idle = await start('w1', 'think idly', '--idle-timeout', '1s').ended;
  expect(idle.exitCode).toBe(124);
  expect(idle.stderr).toMatch(/w1\/main: expired: /);
  expect(gateway.running()).toBe(0);
});

it('ends it with the last who follows, where that was asked for', async () => {
  const client = start('w2', 'think together', '--cancel-on-disconnect');
  const id = await idOf(client);
  await until('it began', () => runsOf('think together').length === 1);
  client.kill('SIGKILL');
  await client.ended;
  await until('it was cancelled', async () => (await show(id)).state === 'cancelled');
  expect(gateway.running()).toBe(0);
});

it('tells an agent something once, by one key', async () => {
  const told = () => gateway.runs.filter(({ message }) => message.includes('say the backup moved'));
  for (const _ of [1, 2]) {
    const { exitCode, stderr } = await handoff('send', 'w1/main', 'say the backup moved', '--key', 'backup');
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: 'w1/main has it\n' });
  }
  await until('it was told', () => told().length > 0);
  expect(told()).toHaveLength(1);
  expect(told()[0]?.session).toBe('agent:main:main');
});

it.each([
  [['start', 'nobody', 'x'], 3],
  [['start', 'w1/nobody', 'x'], 3],
  [['start', 'tags:nothing', 'x'], 3],
  [['show', '0'.repeat(26)], 3],
  [['attach', '0'.repeat(26)], 3],
  [['cancel', '0'.repeat(26)], 3],
  [['fetch', '0'.repeat(26), '--out-dir', 'results'], 3],
  [['send', 'nobody', 'x'], 3],
  [['start', 'w1', 'x', '--key', 'with a blank'], 2],
])('refuses handoff %j in two lines', async (words, exitCode) => {
  const ended = await handoff(...words);
  expect(ended).toMatchObject({ exitCode, stdout: '' });
  expect(ended.stderr).toMatch(/^error: .*\n {2}try: .*\n$/);
});
