import { afterAll, beforeAll, expect, it, onTestFailed } from 'vitest';
import { OWNER } from '../support/telegram-api.ts';
import type { ChatPeople } from './chat-people.ts';
import { chatPeople } from './chat-people.ts';
import { watchCommandLines } from './command-lines.ts';
import type { Deployer } from './deployer.ts';
import { deployerOf } from './deployer.ts';
import { describeLab } from './describe-lab.ts';
import { timed } from './figure.ts';
import type { Lab } from './lab.ts';
import { openLab } from './lab.ts';
import type { Machine } from './machine.ts';
import { operatorOn } from './operator.ts';
import { expectDone } from './problem.ts';

/** Where this host is busy with something else: alone it takes a third of it. */
const LONG_MS = 480_000;
const CLAW = { user: 'claw' } as const;
const SETTINGS = '/home/claw/.openclaw/openclaw.json';
const BOT_FILE = '/home/claw/.openclaw/telegram-bot-token';
const BOT = `123456789:${'L_-ab'.repeat(7)}`;
const MASTER = ['master', '--name', 'vps'];
const TELEGRAM = ['--telegram-token-file', '-', '--telegram-allow', String(OWNER)];

/** Each test goes on from where the one before it left the machines. */
describeLab('a chat with the master, of which another machine of the tailnet is the subject', 'tailnet', () => {
  let lab: Lab;
  let deployer: Deployer;
  let m1: Machine, m2: Machine;
  let people: ChatPeople;
  /** What the person had before, to the byte. */
  let own: string;

  beforeAll(async () => {
    lab = await openLab({ machines: 2 });
    [m1, m2] = lab.machines() as [Machine, Machine];
    deployer = deployerOf(lab);
    for (const machine of [m1, m2]) await lab.installPackage(machine);
    const disk = { tool: 'cluster_exec', args: { node: 'home-server', command: 'df -h / && uname -n' } };
    people = await chatPeople(m1, [
      ['have home-server check its disk space', disk],
      ['让 home-server 检查一下磁盘空间', disk],
    ]);
    own = settingsWith(people);
    await m1.write(SETTINGS, own, { owner: 'claw', mode: '600' });
    await m1.succeed(['chown', 'claw:claw', '/home/claw/.openclaw']);
  }, LONG_MS);
  afterAll(() => lab.close());

  it(
    'one command sets the master up for it, and the bot’s token is seen by nobody',
    async () => {
      const lines = watchCommandLines(lab, m1);
      const words = [...MASTER, ...TELEGRAM];
      const finished = await timed('master with Telegram from nothing', () =>
        deployer.deploy(m1, words, { input: BOT }),
      );
      expectDone(finished);
      expect(finished.stderr).toContain('at Telegram, to the bot');
      expect(await m1.succeed(['stat', '-c', '%a %U', BOT_FILE])).toBe('600 claw\n');
      const journal = await m1.succeed(['journalctl', '--no-pager', '-o', 'cat']);
      const record = await m1.read('/opt/openclaw-federation/deployment/record.json');
      const seen = [await lines.seen(), journal, record, await m1.read(SETTINGS), finished.stderr];
      expect(seen.map((text) => text.includes(BOT))).toEqual([false, false, false, false, false]);
    },
    LONG_MS,
  );

  it('another machine joins, which has no chat and no OpenClaw', async () => {
    const operator = operatorOn(m1);
    const input = await operator.token('home-server');
    const words = ['worker', 'vps', '--name', 'home-server', '--light', '--token-file', '-'];
    expectDone(await deployer.deploy(m2, words, { input }));
    await operator.untilUsable('home-server', m2);
  });

  it.each(['have home-server check its disk space', '让 home-server 检查一下磁盘空间'])(
    'what is said ends on that machine: %s',
    async (sentence) => {
      onTestFailed(async () => {
        const { stdout } = await m1.run([
          'journalctl',
          '--no-pager',
          '-n',
          '60',
          '-o',
          'cat',
          '-u',
          'openclaw-gateway',
        ]);
        console.error(stdout);
      });
      const { id } = await operatorOn(m1).untilUsable('home-server', m2);
      const answer = await timed('a sentence at Telegram', () => people.tell(sentence, /The tool says/));
      expect(answer).toContain(`home-server (${id.slice(0, 12)}): ok`);
      // Behind OpenClaw’s tool search an answer is JSON in a text.
      expect(answer).toMatch(/Filesystem[^]*\| m2\b/);
    },
    LONG_MS,
  );

  it('the doctor finds it so, and a second run without the flags changes nothing', async () => {
    const found = await m1.run(['sudo', 'deploy-federation', 'doctor'], CLAW);
    expect(found.stdout).toContain('ok    plugin: the gateway has it, and it reaches the hub');
    const again = await deployer.deploy(m1, MASTER);
    expectDone(again);
    expect(again.stderr).toContain('nothing to change\n');
  });

  it('uninstalled, the settings are the person’s own, and nothing of ours is in their OpenClaw', async () => {
    expectDone(await deployer.uninstall(m1));
    expect(await m1.read(SETTINGS)).toBe(own);
    const found = await m1.succeed([
      'find',
      '/home/claw/.openclaw',
      '-name',
      '*federation*',
      '-o',
      '-name',
      '*telegram-bot*',
    ]);
    expect(found).toBe('');
    expect((await m1.run(['test', '-e', '/home/claw/.openclaw/plugin-skills'])).code).toBe(1);
  });
});

/** A person’s own: a model, and where Telegram is. */
function settingsWith({ model, telegram }: ChatPeople): string {
  const cost = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 };
  const scripted = { id: 'scripted', name: 'Scripted', reasoning: false, input: ['text'], cost };
  const test = {
    ...{ baseUrl: model, apiKey: 'sk-of-the-test', api: 'openai-completions' },
    models: [{ ...scripted, contextWindow: 128_000, maxTokens: 8192 }],
  };
  return `${JSON.stringify(
    {
      models: { mode: 'replace', providers: { test } },
      agents: { defaults: { model: { primary: 'test/scripted' }, skipBootstrap: true } },
      channels: { telegram: { apiRoot: telegram } },
    },
    null,
    2,
  )}\n`;
}
