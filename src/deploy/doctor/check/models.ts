import { join } from 'node:path/posix';
import { isDeepStrictEqual } from 'node:util';
import { parse } from 'jsonc-parser';
import { providerSettings } from '#src/core/models/openclaw-provider.ts';
import { MODELS_KEY_FILE } from '#src/core/models/share.ts';
import type { ModelsRecord } from '#src/core/worker-record.ts';
import type { Answers } from '#src/deploy/doctor/answers.ts';
import type { Deployed } from '#src/deploy/doctor/deployed.ts';
import type { MachineFinding } from '#src/deploy/doctor/finding.ts';
import { deployAgain, journal } from '#src/deploy/doctor/words.ts';
import type { Facts } from '#src/deploy/facts.ts';
import { leadsOpenClaw } from '#src/deploy/plan/models.ts';
import { valueAt } from '#src/deploy/settings-value.ts';

/** Whether programs here can use the models of the federation, and what this node shares can be used by others. */
export function checkModels(facts: Facts, deployed: Deployed, { worker }: Pick<Answers, 'worker'>): MachineFinding[] {
  const settings = deployed.worker.settings.settings?.models;
  const models = worker?.models;
  // A daemon that does not run, or that is older than that, has its own finding.
  if (settings?.enabled !== true || models === undefined) return [];
  return [proxyFinding(facts, deployed, models), ...sharesFindings(models), ...wiringFindings(facts, deployed, models)];
}

function proxyFinding(facts: Facts, { worker }: Deployed, { port, portProblem }: ModelsRecord): MachineFinding {
  const check = 'model proxy';
  const why = 'no program here can use the models of other nodes, OpenClaw among them';
  if (port === null) {
    const mend = `set models.port in ${worker.file} to a free port, then restart openclaw-worker.service`;
    return { check, state: 'fail', found: portProblem ?? 'it listens nowhere', why, mend };
  }
  if (!facts.ports.some((one) => one.port === port)) {
    const unit = { name: 'openclaw-worker.service', scope: facts.place.scope };
    return { check, state: 'fail', found: `nothing listens on its port ${port}`, why, mend: journal(facts, unit) };
  }
  return { check, state: 'ok', found: `on loopback, port ${port}` };
}

function sharesFindings({ problem, upstreams }: ModelsRecord): MachineFinding[] {
  const check = 'shared models';
  const why = 'other nodes can’t use them';
  const mend = 'manage-federation models list';
  const broken = upstreams.flatMap((one): MachineFinding[] =>
    one.problem === null ? [] : [{ check, state: 'warn', found: `${one.name}: ${one.problem}`, why, mend }],
  );
  if (problem === null) return broken;
  return [{ check, state: 'warn', found: problem, why: 'what is shared is as it was before', mend }, ...broken];
}

/** Whether the OpenClaw here finds the model proxy. */
function wiringFindings(facts: Facts, deployed: Deployed, { port }: ModelsRecord): MachineFinding[] {
  const { gateway, place } = facts;
  if (port === null || gateway.settings === null || !leadsOpenClaw(deployed.wanted)) return [];
  const settings: unknown = parse(gateway.settings.text, [], { allowTrailingComma: true });
  const wanted = Object.entries(providerSettings({ port, keyFile: join(place.workerHome, MODELS_KEY_FILE) }));
  const [other] = wanted.filter(([path, value]) => !isDeepStrictEqual(valueAt(settings, path), value));
  if (other === undefined) return [];
  return [
    {
      check: 'models in OpenClaw',
      state: 'warn',
      found: `${other[0]} is not what leads to the model proxy`,
      why: 'chats here have no models of other nodes: /model federation/MODEL',
      mend: deployAgain(facts, deployed.wanted),
    },
  ];
}
