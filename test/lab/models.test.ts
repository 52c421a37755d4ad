import { afterAll, beforeAll, expect, it } from 'vitest';
import { parse } from 'jsonc-parser';
import { eventually } from '../support/eventually.ts';
import { chatPeople } from './chat-people.ts';
import type { Deployer } from './deployer.ts';
import { deployerOf } from './deployer.ts';
import { describeLab } from './describe-lab.ts';
import type { Lab } from './lab.ts';
import { openLab } from './lab.ts';
import type { Machine } from './machine.ts';
import type { Operator } from './operator.ts';
import { operatorOn } from './operator.ts';
import { expectDone } from './problem.ts';
import { differences, takeSnapshot } from './snapshot.ts';

const CLAW = { user: 'claw' } as const;
const SETTINGS = '/home/claw/.openclaw/openclaw.json';
/** As a person has written them, with a model server of their own. */
const OWN_SETTINGS = `{
  // Mine.
  "logging": { "level": "info" },
  "models": { "providers": { "mine": {
    "baseUrl": "http://127.0.0.1:1234/v1", "api": "openai-completions", "models": [], // and kept
  } } },
}
`;

/** What leads OpenClaw to the models of all. */
interface Led {
  readonly models: {
    readonly mode?: string;
    readonly providers: { readonly mine?: object; readonly federation?: { readonly baseUrl: string } };
  };
  readonly secrets?: { readonly providers: { readonly federation: { readonly path: string } } };
}

/** m1 is a master that shares a model; m2 is a machine at home, on which a person has OpenClaw and no model. */
describeLab('a machine that borrows models', 'tailnet', () => {
  let lab: Lab;
  let deployer: Deployer;
  let operator: Operator;
  let m1: Machine, m2: Machine;

  beforeAll(async () => {
    lab = await openLab({ machines: 2 });
    [m1, m2] = lab.machines() as [Machine, Machine];
    deployer = deployerOf(lab);
    operator = operatorOn(m1);
    for (const machine of [m1, m2]) await lab.installPackage(machine);
    expectDone(await deployer.deploy(m1, ['master', '--light', '--name', 'vps']));
    const { model } = await chatPeople(m1, [['who is there?', { words: 'the model of vps' }]]);
    const sharing = ['models', 'share', 'vllm', '--url', model, '--model', 'house'];
    expectDone(await m1.run(['manage-federation', ...sharing], CLAW));
    await m2.write(SETTINGS, OWN_SETTINGS, { owner: 'claw', mode: '600' });
    await m2.succeed(['chown', 'claw:claw', '/home/claw/.openclaw']);
  });
  afterAll(() => lab.close());

  /** Asks by what the settings of OpenClaw lead to, as the person whose OpenClaw it is. */
  async function ask({ models, secrets }: Led, path: string, body?: string): Promise<string> {
    const key = await m2.succeed(['cat', secrets?.providers.federation.path ?? ''], CLAW);
    const config = [
      `url = "${models.providers.federation?.baseUrl}${path}"`,
      `header = "authorization: Bearer ${key.trim()}"`,
      'header = "content-type: application/json"',
      ...(body === undefined ? [] : [`data = ${JSON.stringify(body)}`]),
    ];
    return m2.succeed(['curl', '--silent', '--include', '--config', '-'], { ...CLAW, input: config.join('\n') });
  }

  it.each([
    { role: 'hybrid', more: ['--role', 'hybrid'], words: [] },
    { role: 'worker', more: [], words: ['--keep-gateway'] },
  ])('a $role leads the OpenClaw that a person has to the models of all, until it is taken back', async (node) => {
    const before = await takeSnapshot(m2);
    const name = `home-${node.role}`;
    const words = [node.role, 'vps', '--light', '--name', name, '--use-models', ...node.words, '--token-file', '-'];
    const input = await operator.token(name, ...node.more);
    expectDone(await deployer.deploy(m2, words, { input }));

    const text = await m2.read(SETTINGS);
    for (const kept of ['// Mine.', '"models": [], // and kept']) expect(text).toContain(kept);
    const led = parse(text, [], { allowTrailingComma: true }) as Led;
    expect(led.models).toMatchObject({
      mode: 'merge',
      providers: {
        mine: { baseUrl: 'http://127.0.0.1:1234/v1' },
        federation: { baseUrl: 'http://127.0.0.1:19001/v1' },
      },
    });
    const deployed = await takeSnapshot(m2);
    expect(deployed.get(SETTINGS)).toMatch(/^f 600 1000:1000 /);
    const [, hash = ''] = / (\S+)$/.exec(before.get(SETTINGS) ?? '') ?? [];
    const copies = [...deployed].filter(([path, is]) => !before.has(path) && hash !== '' && is.endsWith(hash));
    expect(copies).toHaveLength(1);

    await eventually('the model is offered here', async () => (await ask(led, '/models')).includes('"house"'), 30_000);
    const chat = { model: 'house', messages: [{ role: 'user', content: 'who is there?' }] };
    const answer = await ask(led, '/chat/completions', JSON.stringify(chat));
    expect(answer).toMatch(/^x-federation-node: vps\r$/im);
    expect(answer).toContain('the model of vps');

    const again = await deployer.deploy(m2, words.slice(0, -2));
    expectDone(again);
    expect(again.stderr).toContain('\nnothing to change\n');
    expectDone(await deployer.uninstall(m2));
    expect(await m2.read(SETTINGS)).toBe(OWN_SETTINGS);
    expect([...differences(before, await takeSnapshot(m2)).keys()]).toEqual([]);
  });
});
