import { parse } from 'jsonc-parser';
import type { Answers } from '#src/deploy/doctor/answers.ts';
import type { Deployed } from '#src/deploy/doctor/deployed.ts';
import type { MachineFinding } from '#src/deploy/doctor/finding.ts';
import { deployAgain } from '#src/deploy/doctor/words.ts';
import type { Facts } from '#src/deploy/facts.ts';
import { loadsPlugin, pluginOff } from '#src/deploy/plan/plugin.ts';

/** On a master: whether agents and chats reach the machines by our plugin in OpenClaw's gateway. */
export function checkPlugin(
  facts: Facts,
  { isMaster, wanted }: Deployed,
  { plugin }: Pick<Answers, 'plugin'>,
): MachineFinding[] {
  const { gateway, openclaw, place } = facts;
  // What is wrong then other findings tell.
  if (!isMaster || wanted.light || gateway.settings === null || !gateway.listening || openclaw === null) return [];
  const settings: unknown = parse(gateway.settings.text, [], { allowTrailingComma: true });
  const check = 'plugin';
  const why = 'no chat and no agent of the gateway reaches the machines of the federation';
  const off = pluginOff(settings);
  if (off !== null) {
    const [key = ''] = off.split(':');
    const mend = key === 'plugins.deny' ? 'openclaw config unset plugins.deny' : `openclaw config set ${key} true`;
    return [{ check, state: 'warn', found: `it is switched off (${off})`, why, mend }];
  }
  if (!loadsPlugin(settings, place)) {
    const found = `${place.openclawSettings} does not name it`;
    return [{ check, state: 'fail', found, why, mend: deployAgain(facts, wanted) }];
  }
  if (plugin === null) {
    return [
      { check, state: 'warn', found: 'OpenClaw does not say how it is', why, mend: 'openclaw federation status' },
    ];
  }
  if (plugin.state === 'answers') return [{ check, state: 'ok', found: 'the gateway has it, and it reaches the hub' }];
  const mend = plugin.hint ?? 'openclaw plugins reload openclaw-federation --accept-capabilities';
  return [{ check, state: 'fail', found: plugin.problem, why, mend }];
}
