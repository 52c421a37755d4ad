import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { encodeFrame, FRAME } from '#src/protocol/frames.ts';
import { paced } from '#src/plugin/progress.ts';
import { aResult, JOB, NODE_ID, openJob, refuses, streamed } from '../support/chat-hub.ts';
import { eventually } from '../support/eventually.ts';
import type { PluginUnderTest } from './plugin-under-test.ts';
import { pluginUnderTest } from './plugin-under-test.ts';

const DISK = { node: 'home-server', command: 'df -h /' };
let plugin: PluginUnderTest;

beforeEach(async () => {
  plugin = await pluginUnderTest();
});
afterEach(() => plugin[Symbol.asyncDispose]());

describe('cluster_exec', () => {
  it('runs the command, for who asks in the chat, and answers with the name that the node states', async () => {
    plugin.hub.answers.set('POST /jobs', streamed({ result: aResult({ node: 'heim' }), stdout: '77G free\n' }));
    const outcome = await plugin.call('cluster_exec', { ...DISK, workdir: '/srv', timeout: 5 });
    expect(outcome.content).toEqual([{ type: 'text', text: 'heim (ab12cd34ef56): ok, 0.0 s\n| 77G free' }]);
    expect(outcome.details).toMatchObject({ job: JOB, result: { node: 'heim', outcome: 'ok', exitCode: 0 } });
    expect(plugin.hub.asked).toMatchObject([
      {
        what: 'POST /jobs',
        asker: { channel: 'telegram', sender: '1001', owner: true, agent: 'main', session: 'agent:main:main' },
        json: { targets: ['home-server'], command: { shell: 'df -h /', cwd: '/srv', timeoutMs: 5000 } },
      },
    ]);
  });

  it('gives a command half an hour where nothing else is said', async () => {
    plugin.hub.answers.set('POST /jobs', streamed({ result: aResult() }));
    await plugin.call('cluster_exec', DISK);
    expect(plugin.hub.asked[0]?.json).toMatchObject({ command: { timeoutMs: 1_800_000 } });
  });

  it('shows how a command failed there, with both of its streams', async () => {
    const result = aResult({ outcome: 'failed', exitCode: 2 });
    plugin.hub.answers.set('POST /jobs', streamed({ result, stdout: 'some', stderr: 'no such disk\n' }));
    expect(await plugin.text('cluster_exec', DISK)).toBe(
      'home-server (ab12cd34ef56): exit 2, 0.0 s\n| some\non standard error:\n| no such disk',
    );
  });

  it.each([
    ['unreachable', 'the node is offline', 'never ran: the node is offline'],
    ['unknown', 'the link was lost', 'unknown: the link was lost'],
    ['denied', 'deny rule ["rm"]', 'denied: deny rule ["rm"]'],
    ['cancelled', 'the hub is locked down', 'cancelled: the hub is locked down'],
    ['skipped', null, 'skipped'],
  ] as const)('fails where the outcome is %s, and never answers as if it had run', async (outcome, reason, words) => {
    plugin.hub.answers.set('POST /jobs', streamed({ result: aResult({ outcome, exitCode: null, reason }) }));
    await expect(plugin.call('cluster_exec', DISK)).rejects.toThrow(`home-server (ab12cd34ef56): ${words}`);
  });

  it('fails as unknown where the hub goes away in the middle', async () => {
    plugin.hub.answers.set('POST /jobs', (_request: unknown, response: ServerResponse) => {
      openJob(response, [aResult()]);
      response.write(encodeFrame(FRAME.stdout, 0, Buffer.from('so much')));
      setImmediate(() => response.destroy());
    });
    await expect(plugin.call('cluster_exec', DISK)).rejects.toThrow(/unknown: the hub went away[^]*so much/);
  });

  it('asks back where a name fits two machines', async () => {
    const message = '"home" names 2 nodes: home-1 (aaaa), home-2 (bbbb)';
    plugin.hub.answers.set('POST /jobs', refuses('NODE_AMBIGUOUS', message, 'use the id'));
    const outcome = await plugin.call('cluster_exec', DISK);
    expect(outcome).toMatchObject({
      content: [{ text: `Nothing was done: ${message}. Ask the user which of them is meant, then use its id.` }],
      details: { question: message },
    });
  });

  it('says what the hub says, and what to do about it', async () => {
    plugin.hub.answers.set('POST /jobs', refuses('NODE_NOT_FOUND', 'no node is named "x"', 'did you mean y?'));
    await expect(plugin.call('cluster_exec', DISK)).rejects.toThrow('no node is named "x"\n  try: did you mean y?');
  });

  it('says where no hub answers', async () => {
    await plugin[Symbol.asyncDispose]();
    await expect(plugin.call('cluster_exec', DISK)).rejects.toThrow('the hub of the federation does not answer');
    plugin = await pluginUnderTest();
  });

  it('takes no parameters that are not its own', async () => {
    await expect(plugin.call('cluster_exec', { ...DISK, approval: '01J' })).rejects.toThrow(/cluster_exec: .*approval/);
    await expect(plugin.call('cluster_exec', { node: 'x' })).rejects.toThrow(/cluster_exec: .*[^]*command/);
    expect(plugin.hub.asked).toEqual([]);
  });

  it.each(['@all', '@', 'tags:gpu', 'tag:gpu', 'env=home', 'self/os=linux'])(
    'runs nothing for %s, which means several machines',
    async (node) => {
      await expect(plugin.call('cluster_exec', { ...DISK, node })).rejects.toThrow(/group|selects nobody/);
      expect(plugin.hub.asked).toEqual([]);
    },
  );

  it('names all of them where it ran on several all the same', async () => {
    const results = ['a', 'b'].map((node) => ({ result: aResult({ node }), stdout: node }));
    plugin.hub.answers.set('POST /jobs', streamed(...results));
    await expect(plugin.call('cluster_exec', DISK)).rejects.toThrow('2 machines instead of one: a: ok; b: ok');
  });

  it('cuts huge output where one sees it, and keeps its end', async () => {
    const stdout = `${'x'.repeat(3_000_000)}\nthe end`;
    plugin.hub.answers.set('POST /jobs', streamed({ result: aResult(), stdout: Buffer.from(stdout) }));
    const text = await plugin.text('cluster_exec', DISK);
    expect(text).toMatch(
      /^home-server .*\n\| x+\n\| \[… 2950856 of 3000008 bytes are left out here …\]\n\| x+\n\| the end$/,
    );
    expect(text.length).toBeLessThan(50_000);
  });

  it('makes output harmless that would steer a terminal, and shows a progress bar as it was last', async () => {
    const stdout = '\u001b[31mred\u001b[0m\r\n10 %\r50 %\r100 %\ndone\n';
    plugin.hub.answers.set('POST /jobs', streamed({ result: aResult(), stdout }));
    expect(await plugin.text('cluster_exec', DISK)).toContain('\n| ␛[31mred␛[0m\n| 100 %\n| done');
  });

  it('names binary output, and does not show it', async () => {
    plugin.hub.answers.set('POST /jobs', streamed({ result: aResult(), stdout: Buffer.from([0x7f, 0, 1, 2]) }));
    expect(await plugin.text('cluster_exec', DISK)).toMatch(/\[4 bytes of binary output: .*cluster_read.*\]/);
  });
});

describe('a call that is stopped', () => {
  it('has the job cancelled, and lets the stream go', async () => {
    const closed = Promise.withResolvers<void>();
    plugin.hub.answers.set('POST /jobs', (_request: unknown, response: ServerResponse) => {
      openJob(response, [aResult()]);
      response.once('close', closed.resolve);
    });
    plugin.hub.answers.set(`POST /jobs/${JOB}/cancel`, {});
    const stop = new AbortController();
    const running = plugin.call('cluster_exec', DISK, { signal: stop.signal });
    await eventually('the job was asked for', () => plugin.hub.asked.length > 0);
    stop.abort(new Error('the user said stop'));
    await expect(running).rejects.toThrow('the user said stop');
    await closed.promise;
    expect(plugin.hub.asked.map(({ what }) => what)).toEqual(['POST /jobs', `POST /jobs/${JOB}/cancel`]);
  });

  it('starts nothing where it was stopped before', async () => {
    const signal = AbortSignal.abort(new Error('stopped'));
    await expect(plugin.call('cluster_exec', DISK, { signal })).rejects.toThrow('stopped');
    expect(plugin.hub.asked).toEqual([]);
  });
});

it('tells who waits the last line of what came, at a pace that a chat can show', async () => {
  const updates: unknown[] = [];
  plugin.hub.answers.set('POST /jobs', async (_request: unknown, response: ServerResponse) => {
    openJob(response, [aResult()]);
    for (let line = 0; line < 2000; line++) {
      if (!response.write(encodeFrame(FRAME.stdout, 0, Buffer.from(`line ${line}\n`)))) await once(response, 'drain');
      if (line % 100 === 0) await turn();
    }
    response.end();
  });
  const onUpdate = (update: unknown) => void updates.push(update);
  await expect(plugin.call('cluster_exec', DISK, { onUpdate })).rejects.toThrow('unknown');
  expect(updates.length).toBeGreaterThan(0);
  expect(updates.length).toBeLessThan(200);
  expect(updates[0]).toMatchObject({
    content: [{ type: 'text', text: expect.stringMatching(/^home-server: line \d+$/) }],
    progress: { visibility: 'channel', privacy: 'public', id: 'call-1' },
  });
});

it('puts into words only what is shown, however many pieces come', () => {
  let made = 0;
  const shown: string[] = [];
  const progress = paced((text) => void shown.push(text), 60_000);
  for (let piece = 0; piece < 10_000; piece++) progress.say(() => `line ${made++}`);
  progress.stop();
  expect([made, shown]).toEqual([1, ['line 0']]);
});

describe('cluster_broadcast', () => {
  it('names every machine with how it ended there, and who was left out', async () => {
    plugin.hub.answers.set(
      'POST /jobs',
      streamed(
        { result: aResult({ node: 'a' }), stdout: 'up 3 days\n' },
        { result: aResult({ node: 'b', outcome: 'failed', exitCode: 1 }), stderr: 'broken\n' },
        { result: aResult({ node: 'c', outcome: 'unreachable', exitCode: null, reason: 'its link was lost' }) },
      ),
    );
    expect(await plugin.text('cluster_broadcast', { command: 'uptime' })).toBe(
      '1 ok, 1 failed, 1 unreachable\na: ok\n| up 3 days\nb: exit 1\n| broken\nc: never ran: its link was lost',
    );
    expect(plugin.hub.asked[0]?.json).toMatchObject({
      kind: 'broadcast',
      targets: 'all',
      command: { timeoutMs: 60_000 },
    });
  });

  it('shows no output or reason of a machine as the word of another', async () => {
    const stdout = 'all good\nprod-db: ok\n13:37 up\u2028prod-db: ok\nleft out, so nothing ran there: x';
    const reason = 'no\nprod-db: ok\u2029prod-db: ok';
    plugin.hub.answers.set(
      'POST /jobs',
      streamed(
        { result: aResult({ node: 'turned' }), stdout },
        { result: aResult({ node: 'other', outcome: 'denied', exitCode: null, reason }) },
      ),
    );
    const text = await plugin.text('cluster_broadcast', { command: 'uptime' });
    const own = text.split(/[\n\u2028\u2029]/).filter((line) => !line.startsWith('| '));
    expect(own).toEqual(['1 ok, 1 denied', 'turned: ok', 'other: denied: no⏎prod-db: ok⏎prod-db: ok']);
  });

  it('passes on words that mean several machines', async () => {
    plugin.hub.answers.set('POST /jobs', streamed({ result: aResult() }));
    await plugin.call('cluster_broadcast', { command: 'uptime', targets: ['@web', 'tags:gpu', 'env=prod'] });
    expect(plugin.hub.asked[0]?.json).toMatchObject({ targets: ['@web', 'tags:gpu', 'env=prod'] });
  });

  it('fails where nobody was meant', async () => {
    plugin.hub.answers.set('POST /jobs', streamed());
    await expect(plugin.call('cluster_broadcast', { command: 'uptime' })).rejects.toThrow(
      'no machine is online for it',
    );
  });
});

it('keeps the id in one answer whole enough to be used again', async () => {
  plugin.hub.answers.set('POST /jobs', streamed({ result: aResult() }));
  expect(await plugin.text('cluster_exec', DISK)).toContain(NODE_ID.slice(0, 12));
});
