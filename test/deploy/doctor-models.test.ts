import { describe, expect, it } from 'vitest';
import type { ModelsRecord } from '#src/core/worker-record.ts';
import { checkModels } from '#src/deploy/doctor/check/models.ts';
import type { Facts } from '#src/deploy/facts.ts';
import { modelsPlan } from '#src/deploy/plan/models.ts';
import { workerStandingIn } from '#src/deploy/worker-standing.ts';
import { mergedText } from '#src/deploy/actions/merge-text.ts';
import { deploymentOf, healthyAnswers } from '../support/doctor.ts';
import { changed, healthyMaster, healthyWorker } from '../support/facts.ts';

const HEALTHY: ModelsRecord = { port: 19_001, portProblem: null, problem: null, upstreams: [] };

function found(facts: Facts, models: ModelsRecord | undefined = HEALTHY) {
  const answers = healthyAnswers(facts);
  const worker = answers.worker === null ? null : { ...answers.worker, models };
  return checkModels(facts, deploymentOf(facts), { worker });
}

const listening = (facts: Facts): Facts =>
  changed(facts, { ports: [...facts.ports, { address: '127.0.0.1', port: 19_001 }] });

/** With what deploy-federation sets in OpenClaw’s settings. */
function wired(facts: Facts): Facts {
  const { wanted } = deploymentOf(facts);
  const actions = modelsPlan(facts, wanted, 0o600).steps.flatMap((step) => step.actions);
  const text = actions.reduce(
    (now, action) => (action.do === 'merge' ? mergedText(action.path, now, action.values) : now),
    facts.gateway.settings?.text ?? '{}',
  );
  return changed(facts, { gateway: { settings: { text, mode: 0o600, owner: 'sam' } } });
}

describe('the models of a node', () => {
  it('are well where the proxy listens and OpenClaw knows it', () => {
    expect(found(listening(wired(healthyMaster())))).toEqual([
      { check: 'model proxy', state: 'ok', found: 'on loopback, port 19001' },
    ]);
    expect(found(listening(healthyWorker()))).toEqual([
      { check: 'model proxy', state: 'ok', found: 'on loopback, port 19001' },
    ]);
  });

  it('are no matter where there are to be none, or the daemon says nothing of them', () => {
    const file = { text: 'role: worker\nmodels: { enabled: false }\n', mode: 0o600, owner: 'sam' };
    expect(found(changed(healthyWorker(), { files: [['/home/sam/.openclaw-worker/settings.yaml', file]] }))).toEqual(
      [],
    );
    const answers = healthyAnswers(healthyWorker());
    expect(checkModels(healthyWorker(), deploymentOf(healthyWorker()), answers)).toEqual([]);
  });

  it('can’t be used where another program has the port', () => {
    const problem = 'the port 19001 for programs that use models can’t be taken';
    expect(found(healthyWorker(), { ...HEALTHY, port: null, portProblem: problem })).toEqual([
      expect.objectContaining({
        check: 'model proxy',
        state: 'fail',
        found: problem,
        mend: expect.stringContaining('models.port in /home/sam/.openclaw-worker/settings.yaml'),
      }),
    ]);
  });

  it('can’t be used where nothing listens though it should', () => {
    expect(found(healthyWorker())).toEqual([
      expect.objectContaining({ state: 'fail', found: 'nothing listens on its port 19001' }),
    ]);
  });

  it('are not shared where their server or their file is broken', () => {
    const upstreams = [
      { name: 'ollama', models: 0, problem: 'nothing listens at http://127.0.0.1:11434; start the model server' },
      { name: 'vllm', models: 2, problem: null },
    ];
    const findings = found(listening(healthyWorker()), { ...HEALTHY, problem: 'models.yaml: not YAML', upstreams });
    expect(findings.slice(1).map(({ state, found: what }) => [state, what])).toEqual([
      ['warn', 'models.yaml: not YAML'],
      ['warn', 'ollama: nothing listens at http://127.0.0.1:11434; start the model server'],
    ]);
  });

  it('are missing in chats where OpenClaw’s settings do not lead to them', () => {
    const [, finding] = found(listening(healthyMaster()));
    expect(finding).toMatchObject({
      check: 'models in OpenClaw',
      state: 'warn',
      mend: expect.stringContaining('master'),
    });
  });
});

it('is read from the record of a daemon, also of one that says less', () => {
  const record = { pid: 1, id: 'a', name: 'b', fingerprint: 'c', hub: 'd:1', link: 'member', nodeHost: 'off' };
  expect(workerStandingIn(JSON.stringify({ ...record, models: HEALTHY }))?.models).toEqual(HEALTHY);
  expect(workerStandingIn(JSON.stringify(record))?.models).toBe(undefined);
  expect(workerStandingIn(JSON.stringify({ ...record, models: { port: 'x' } }))?.models).toBe(undefined);
});
