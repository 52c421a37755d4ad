import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFailed } from 'vitest';
import { z } from 'zod';
import type { JobView } from '#src/protocol/hub-api/job.ts';
import type { Running } from '../e2e/place.ts';
import { isAlive } from '../e2e/processes.ts';
import { until } from '../e2e/until.ts';
import type { BotCall, Button } from '../support/telegram-api.ts';
import { buttonsOf, STRANGER } from '../support/telegram-api.ts';
import type { ChatFederation } from './chat-federation.ts';
import { chatFederation } from './chat-federation.ts';
import type { LightNode } from './light-node.ts';
import { lightNode } from './light-node.ts';

/** One pixel: OpenClaw sends nothing as a picture that it can't read as one. */
const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

const peersSchema = z.object({ peers: z.array(z.object({ name: z.string(), commands: z.array(z.string()) })) });

const statusSchema = z.object({ nodes: z.object({ online: z.number() }) });

let chat: ChatFederation;
let homeServer: Running;
let macbook: LightNode;

beforeAll(async () => {
  const exec = (node: string, command: string) => ({ tool: 'cluster_exec', args: { node, command } });
  chat = await chatFederation({
    toolSearch: false,
    script: [
      ['have home-server check its disk space', exec('home-server', 'df -h . && echo "by $PWD"')],
      ['让 home-server 检查一下磁盘空间', exec('home-server', 'df -h . && echo "由 $PWD"')],
      [
        /^.*run on (\S+): (.*?)(?:\n|$)/s,
        (said) => {
          const [, node = '', command = ''] = /run on (\S+): (.*?)(?:\n|$)/.exec(said) ?? [];
          return exec(node, command);
        },
      ],
      ['screenshot on macbook', { tool: 'cluster_screenshot', args: { node: 'macbook' } }],
      ['read the note', { tool: 'cluster_read', args: { node: 'home-server', path: 'note.txt' } }],
      [
        'write the note',
        { tool: 'cluster_write', args: { node: 'home-server', path: 'note.txt', content: 'remember\n' } },
      ],
    ],
  });
  homeServer = await chat.startWorker('home-server');
  await chat.startWorker('laptop', 'hybrid');
  macbook = lightNode({
    url: chat.gateway.url,
    token: chat.gateway.token,
    displayName: 'macbook',
    commands: ['screen.snapshot'],
    answer: () => JSON.stringify({ format: 'png', base64: PNG, width: 1, height: 1 }),
  });
});

afterAll(async () => {
  macbook?.close();
  await chat?.close();
});

beforeEach(() => {
  chat.telegram.mark();
  onTestFailed(() => console.error([...chat.gateway.lines.slice(-12), ...chat.telegram.texts()].join('\n')));
});

/** How the scripted model starts its last word on a sentence: what comes before are questions and what it is at. */
const LAST_WORD = 'The tool says';

/** Says it at Telegram, and waits for the agent's last word on it: of an earlier sentence nothing may come after that. */
function tell(sentence: string, from?: number): Promise<string> {
  chat.telegram.mark();
  chat.telegram.say(sentence, from);
  return chat.telegram.untilText(LAST_WORD);
}

async function question(): Promise<{ asked: BotCall; allow: Button; deny: Button }> {
  const asked = await chat.telegram.until('a question', (call) => buttonsOf(call).length > 1);
  const [allow, deny] = buttonsOf(asked);
  return { asked, allow: allow!, deny: deny! };
}

async function newestJob(): Promise<JobView> {
  const [job] = await chat.ask<JobView[]>('jobs');
  if (job === undefined) throw new Error('nothing ran');
  return job;
}

describe('a sentence at Telegram', () => {
  it.each([
    ['have home-server check its disk space', 'by'],
    ['让 home-server 检查一下磁盘空间', '由'],
  ])('%s: runs the command on that machine, whose name is in the answer', async (sentence, word) => {
    const { id } = await chat.node('home-server');
    const answer = await tell(sentence);
    expect(answer).toContain(`home-server (${id.slice(0, 12)}): ok`);
    expect(answer).toMatch(/Filesystem .* Mounted on/);
    expect(answer).toContain(`${word} ${chat.place.path}`);
    expect(await newestJob()).toMatchObject({ by: 'telegram:1001', results: [{ node: 'home-server', outcome: 'ok' }] });
  });

  it('that names nobody is answered with who is meant, perhaps', async () => {
    expect(await tell('run on home-servre: uptime')).toContain('did you mean home-server?');
  });

  it('that may mean two machines is answered with both', async () => {
    const { id } = await chat.node('home-server');
    const { id: other } = await chat.node('laptop');
    await chat.manage('rename', 'laptop', id.slice(0, 6));
    try {
      const answer = await tell(`run on ${id.slice(0, 6)}: uptime`);
      expect(answer).toContain('names 2 nodes');
      expect(answer).toContain('Nothing was done');
      expect(answer).toContain(`home-server (${id.slice(0, 12)})`);
      expect(answer).toContain('Ask the user which of them is meant');
    } finally {
      await chat.manage('rename', other, 'laptop');
    }
  });

  it('of somebody who is not the owner runs nothing', async () => {
    const before = (await chat.ask<JobView[]>('jobs')).length;
    const answer = await tell('have home-server check its disk space', STRANGER);
    expect(answer).toContain('only the owner');
    expect(answer).not.toContain('Filesystem');
    expect(await chat.ask<JobView[]>('jobs')).toHaveLength(before);
  });

  it('reads and writes files there', async () => {
    expect(await tell('write the note')).toMatch(/note\.txt on home-server: 9 bytes, sha256 .*, new/);
    expect(await tell('read the note')).toMatch(/bytes 0 to 9 of 9[^]*remember/);
  });

  it('to a machine that is away is answered with that', async () => {
    homeServer.kill('SIGTERM');
    await homeServer.ended;
    await until('it is offline', async () => (await chat.node('home-server')).state === 'offline');
    try {
      expect(await tell('run on home-server: uptime')).toMatch(/home-server .*: never ran: .*not connected/);
    } finally {
      homeServer = await chat.startWorker('home-server');
    }
  });
});

it('/stop ends the process there', async () => {
  const file = `${chat.place.path}/pid`;
  chat.telegram.say(`run on home-server: echo $$ > ${file}; while :; do echo tick $((i += 1)); sleep 0.2; done`);
  const pid = Number(await until('it runs', () => readFile(file, 'utf8').catch(() => null), 60_000));
  try {
    await chat.telegram.until('progress', ({ fields }) => (fields['text'] ?? '').includes('tick'));
  } finally {
    chat.telegram.say('/stop');
  }
  await until('it has ended', () => !isAlive(pid));
  await until('the hub knows', async () => (await newestJob()).results[0]?.outcome === 'cancelled');
});

describe('a command on a hybrid', () => {
  it('runs when the owner allows it, and once', async () => {
    chat.telegram.say('run on laptop: echo from $PWD');
    const { asked, allow } = await question();
    expect(asked.fields['text']).toContain('on laptop (hybrid): run: echo from $PWD');
    chat.telegram.press(allow);
    expect(await chat.telegram.untilText(LAST_WORD)).toMatch(/laptop \([0-9a-f]{12}\): ok[^]*from /);
    const ran = await newestJob();
    expect(ran).toMatchObject({ by: 'telegram:1001', results: [{ node: 'laptop' }] });
    chat.telegram.mark();
    chat.telegram.press(allow);
    // It asks anew for the next one, though it is the same.
    chat.telegram.say('run on laptop: echo from $PWD');
    const { deny } = await question();
    expect((await newestJob()).job).toBe(ran.job);
    chat.telegram.press(deny);
    expect(await chat.telegram.untilText(LAST_WORD)).toContain('Denied by user');
    expect((await newestJob()).job).toBe(ran.job);
  });

  it('does not run where nobody answers in time', async () => {
    const before = (await newestJob()).job;
    chat.telegram.say('run on laptop: echo too late');
    const { allow } = await question();
    expect(await chat.telegram.untilText(LAST_WORD, 120_000)).toMatch(/timed out|expired/i);
    chat.telegram.press(allow);
    await chat.telegram.until('the press is answered', ({ method }) => method === 'answerCallbackQuery');
    expect((await newestJob()).job).toBe(before);
  });

  it('is not approved by somebody who is not the owner', async () => {
    const before = (await newestJob()).job;
    chat.telegram.say('run on laptop: echo no');
    const { allow, deny } = await question();
    chat.telegram.press(allow, STRANGER);
    await chat.telegram.until('the press is answered', ({ method }) => method === 'answerCallbackQuery');
    expect((await newestJob()).job).toBe(before);
    chat.telegram.press(deny);
    expect(await chat.telegram.untilText(LAST_WORD)).toContain('Denied by user');
    expect((await newestJob()).job).toBe(before);
  });
});

describe('/federation', () => {
  it('says how it stands, without the model', async () => {
    const before = chat.model.asked.length;
    chat.telegram.say('/federation status');
    expect(await chat.telegram.untilText('is the master')).toMatch(/machines: \d+ online/);
    expect(chat.model.asked).toHaveLength(before);
  });

  it('shows what ran lately', async () => {
    chat.telegram.say('/federation jobs');
    expect(await chat.telegram.untilText('home-server:')).toContain('(telegram:1001)');
  });

  it('lets a machine in by a button', async () => {
    const home = chat.homeOf('newcomer');
    const newcomer = chat.place.start('federation-worker', ['--home', home], {
      env: {
        OPENCLAW_FEDERATION_NAME: 'newcomer',
        OPENCLAW_FEDERATION_WORKER_HUB: `${chat.hub.address}:${chat.hub.port}`,
      },
    });
    await until('it asks', async () => (await chat.manage('pending')).stdout.includes('newcomer'));
    chat.telegram.say('/federation pending');
    const { asked, allow } = await question();
    expect(asked.fields['text']).toContain('newcomer wants to join as worker');
    chat.telegram.press(allow, STRANGER);
    chat.telegram.press(allow);
    expect(await chat.telegram.untilText('Approved newcomer')).toContain('as worker');
    await until('it is in', async () => (await chat.manage('list')).stdout.includes('newcomer'));
    newcomer.kill('SIGTERM');
    await newcomer.ended;
  });

  it('is for the owner alone', async () => {
    chat.telegram.say('/federation status', STRANGER);
    expect(await chat.telegram.untilText('requires')).not.toContain('is the master');
  });
});

it('a screenshot of a machine that only runs an OpenClaw app arrives as a picture', async () => {
  expect(await macbook.connect()).toBe('pairing required');
  const staying = macbook.stay();
  const connection = await chat.gateway.connect();
  await until(
    'its command is there',
    async () => {
      if ((await chat.manage('pending')).stdout.includes('macbook')) await chat.manage('approve', 'macbook');
      const { peers } = await connection.request('federation.peers', {}, peersSchema);
      return peers.some(({ name, commands }) => name === 'macbook' && commands.includes('screen.snapshot'));
    },
    120_000,
  );
  connection.close();
  chat.telegram.say('take a screenshot on macbook');
  const photo = await chat.telegram.until('a photo', ({ method }) => method === 'sendPhoto');
  expect(Object.values(photo.files)).toEqual([Buffer.from(PNG, 'base64')]);
  expect(photo.fields['caption']).toContain('macbook');
  macbook.close();
  await staying;
});

describe('the gateway’s own ways', () => {
  it('answer openclaw federation', async () => {
    const [status, peers] = await Promise.all([
      chat.gateway.openclaw('federation', 'status'),
      chat.gateway.openclaw('federation', 'peers', '--json'),
    ]);
    expect(status).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('is the master') });
    expect(JSON.parse(peers.stdout)).toMatchObject({
      peers: expect.arrayContaining([expect.objectContaining({ name: 'home-server', state: 'online' })]),
    });
  });

  it('answer the methods of its clients', async () => {
    const connection = await chat.gateway.connect();
    try {
      const { nodes } = await connection.request('federation.status', {}, statusSchema);
      expect(nodes.online).toBeGreaterThanOrEqual(2);
      const { peers } = await connection.request('federation.peers', {}, peersSchema);
      expect(peers.map(({ name }) => name)).toContain('laptop');
    } finally {
      connection.close();
    }
  });

  it('tell of a machine that wants in', async () => {
    const events: string[] = [];
    const connection = await chat.gateway.connect((name) => void events.push(name));
    const knocking = chat.place.start('federation-worker', ['--home', chat.homeOf('knocker')], {
      env: {
        OPENCLAW_FEDERATION_NAME: 'knocker',
        OPENCLAW_FEDERATION_WORKER_HUB: `${chat.hub.address}:${chat.hub.port}`,
      },
    });
    await until('it is told', () => events.includes('plugin.openclaw-federation.pending'));
    knocking.kill('SIGTERM');
    await knocking.ended;
    connection.close();
  });
});

// The last: after it there is no hub.
it('says that no hub answers, and where to look', async () => {
  process.kill(chat.hub.pid, 'SIGTERM');
  await until('the hub has ended', () => !isAlive(chat.hub.pid));
  const status = await chat.gateway.openclaw('federation', 'status');
  expect(status).toMatchObject({ exitCode: 1 });
  expect(status.stderr).toMatch(/^error: the hub of the federation does not answer$/m);
  expect(status.stderr).toMatch(/^ {2}try: .*manage-federation status$/m);
});
