import type { Action, Step } from '#src/deploy/action.ts';
import { FederationError } from '#src/core/errors.ts';
import { nodeNameFrom } from '#src/core/node.ts';
import type { Facts } from '#src/deploy/facts.ts';
import { needed } from '#src/deploy/plan/already.ts';
import type { Given } from '#src/deploy/plan/given.ts';
import { isNewRelease } from '#src/deploy/plan/program.ts';
import { settingsFile } from '#src/deploy/plan/settings.ts';
import { isRunning, unitActions, unitFiles } from '#src/deploy/plan/units.ts';
import type { UnitName } from '#src/deploy/unit.ts';
import type { Wanted } from '#src/deploy/wanted.ts';

/** The hub runs, as a user of its own where root is there to make one. `token` is the gateway's, where it has one. */
export function hubSteps(facts: Facts, wanted: Wanted, given: Given, token: string | null): Step[] {
  const { place, gateway } = facts;
  checkPort(facts, wanted);
  const tokenFile = place.gatewayToken;
  const home = needed(facts, [
    ...(place.hubUser === null ? [] : [{ do: 'user', name: place.hubUser, home: place.hubHome } as const]),
    { do: 'folder', path: place.hubHome, mode: 0o700, owner: 'hub' },
    settingsFile(facts, place.hubSettings, 'hub', {
      name: wanted.name ?? nodeNameFrom(facts.machine.hostname),
      role: 'master',
      'hub.port': wanted.port,
      'hub.tailnet': wanted.tailscale.use,
      'gateway.url': token === null ? null : `ws://127.0.0.1:${gateway.port}`,
      'gateway.tokenFile': token === null ? null : tokenFile,
    }),
    ...(token === null ? [] : [secretFile(tokenFile, `${token}\n`)]),
  ]);
  const restart = home.length > 0 || isNewRelease(facts, given);
  // systemd makes the person's sockets for a hub that is another user. The plugin's comes up with the service, or where
  // that runs already only when it is started anew.
  const names: readonly UnitName[] =
    place.hubUser === null
      ? ['federation-hub.service']
      : ['federation-hub.socket', 'federation-hub.service', 'federation-hub-plugin.socket'];
  return [
    { id: 'hub-home', title: `the hub’s home is ${place.hubHome}`, actions: home },
    { id: 'hub', title: 'the hub runs', actions: [...unitActions(facts, given, names, restart), { do: 'hub-ready' }] },
    { id: 'approval', title: 'nodes can be let in by rules', actions: approvalActions(facts, given) },
  ];
}

/** systemd waits for rules, and starts what judges by them when they come: that is nothing to a deployment. */
function approvalActions(facts: Facts, given: Given): Action[] {
  const { place } = facts;
  const files = needed(facts, [
    { do: 'write', path: place.policyExample, mode: 0o600, owner: 'hub', text: given.policyExample },
    ...unitFiles(facts, given, ['auto-register.service']),
  ]);
  const waits = unitActions(facts, given, ['auto-register.path'], false);
  const isRead = files.length === 0 || waits.some((action) => action.do === 'reload');
  return [...files, ...(isRead ? [] : [{ do: 'reload', scope: place.scope } as const]), ...waits];
}

function secretFile(path: string, text: string): Action {
  return { do: 'write', path, mode: 0o600, owner: 'hub', text, secret: true };
}

function checkPort(facts: Facts, { port }: Wanted): void {
  const isTaken = facts.ports.some((one) => one.port === port);
  if (!isTaken || isRunning(facts, { name: 'federation-hub.service', scope: facts.place.scope })) return;
  throw new FederationError('PORT_IN_USE', `another program listens on port ${port}`, {
    hint: 'stop it, or choose another port for the hub: --port',
  });
}
