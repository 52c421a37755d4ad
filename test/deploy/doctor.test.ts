import { join } from 'node:path/posix';
import { RUNNING, deploymentOf, healthyAnswers, homeFiles } from '../support/doctor.ts';
import type { Change } from '../support/facts.ts';
import { HUB_ID, bareMachine, changed, healthyMaster, healthyWorker } from '../support/facts.ts';
import { describe, expect, it } from 'vitest';
import { findingText } from '#src/cli/finding.ts';
import type { Finding } from '#src/core/finding.ts';
import type { Answers } from '#src/deploy/doctor/answers.ts';
import { checkDeployment } from '#src/deploy/doctor/check/deployment.ts';
import { deployedOn } from '#src/deploy/doctor/deployed.ts';
import { examine, findings } from '#src/deploy/doctor/doctor.ts';
import type { MachineFinding } from '#src/deploy/doctor/finding.ts';
import type { Facts } from '#src/deploy/facts.ts';

function found(facts: Facts, change: Change<Answers> = {}): MachineFinding[] {
  return findings(facts, deploymentOf(facts), healthyAnswers(facts, change));
}

function notOk(list: readonly Finding[]): readonly Finding[] {
  return list.filter(({ state }) => state !== 'ok');
}

const WORKER_HOME = '/home/sam/.openclaw-worker';
const HUB_HOME = '/var/lib/openclaw-federation';
const UNIT = 'openclaw-worker.service';
const PLUGINS = {
  load: { paths: ['/opt/openclaw-federation/current/plugin'] },
  entries: { 'openclaw-federation': { enabled: true } },
};

describe('a machine where nothing is wrong', () => {
  it.each([
    ['worker', healthyWorker()],
    ['master', healthyMaster()],
    ['worker of a person', healthyWorker({}, 'user')],
    ['master of a person', healthyMaster({}, 'user')],
  ])('is found to be so: a %s', (_, facts) => {
    expect(notOk(found(facts))).toEqual([]);
  });

  it('is found so where nobody has written rules yet, and nothing judges by them', () => {
    const waits = { ...RUNNING, file: 'static', active: 'inactive', sub: 'dead' };
    const findings = found(healthyMaster(), { units: [['auto-register.service', waits]] });
    expect(notOk(findings)).toEqual([]);
    expect(findings.map(findingText)).toContain('ok    unit auto-register.service: it runs when there are rules');
  });

  it('is told in words, a line each', () => {
    expect(found(healthyWorker()).map(findingText).join('\n')).toMatchInlineSnapshot(`
      "ok    deployment: worker of vps.tail.example
      ok    program: version 0.1.0
      ok    settings /home/sam/.openclaw-worker/settings.yaml: understood
      ok    permissions of /home/sam/.openclaw-worker: for sam alone
      ok    disk /: 40.0 GiB free
      ok    tailscale: home-server.tail.example (100.64.0.2)
      ok    name: vps.tail.example is 100.64.0.1
      ok    unit openclaw-worker.service: it runs, and starts at boot
      ok    hub: version 0.1.0 at vps.tail.example:19000
      ok    clock: the same as the master’s
      ok    worker: linked to vps.tail.example:19000 as home-server
      ok    exec: the master’s operator may run any command here as sam
            why: this machine is as safe as the master
            try: worker.exec.mode: allowlist in /home/sam/.openclaw-worker/settings.yaml, or --exec allowlist at the next deployment"
    `);
  });
});

it('says of a machine that nobody deployed on that there is nothing to examine, and asks it nothing', async () => {
  const machine = {
    name: 'this machine',
    isLocal: true,
    run: () => Promise.reject(new Error('it was asked')),
    connect: () => Promise.reject(new Error('it was asked')),
    close: async () => undefined,
  };
  const list = await examine(machine, bareMachine(), AbortSignal.timeout(1000));
  expect(list).toMatchObject([{ check: 'deployment', state: 'fail', mend: 'deploy-federation' }]);
});

interface Case {
  readonly facts?: Change<Facts>;
  readonly answers?: Change<Answers>;
  /** What is not ok then: check, state and a part of the words. */
  readonly found: readonly (readonly [check: string, state: 'warn' | 'fail', words: string])[];
  /** Part of the command that mends the first of them. */
  readonly mend: string;
  /** Kinds of the actions of `--fix`. */
  readonly fix?: readonly string[];
}

const settingsYaml = (text: string) => ({ text, mode: 0o600, owner: 'sam' });
const workerSettings = (text: string): Change<Facts> => ({
  files: [[join(WORKER_HOME, 'settings.yaml'), settingsYaml(text)]],
});
const withNodeHost: Change<Facts> = {
  ...workerSettings('worker:\n  hub: vps.tail.example:19000\nnodeHost:\n  enabled: true\n'),
  record: { wanted: { light: false } },
  openclaw: { program: '/usr/bin/openclaw', version: '2026.9.6' },
};
const unit = (change: object): Change<Answers> => ({ units: [[UNIT, { ...RUNNING, ...change }]] });
const homeFile = (path: string, change: object): Change<Answers> => ({
  files: [
    [WORKER_HOME, homeFiles(WORKER_HOME, 'sam').map((file) => (file.path === path ? { ...file, ...change } : file))],
  ],
});

it('says of a machine of which only something was kept that it is in no federation, and examines nothing', () => {
  const facts = healthyWorker({ record: { state: 'kept' } });
  expect(deployedOn(facts)).toBeNull();
  expect(checkDeployment(facts)).toMatchObject({
    state: 'fail',
    found: 'this machine is in no federation any more; something of it as worker was kept',
  });
});

const WORKER_CASES: Readonly<Record<string, Case>> = {
  'a deployment that was cut off': {
    facts: { record: { state: 'applying' } },
    found: [['deployment', 'fail', 'not finished']],
    mend: 'sudo deploy-federation worker --resume',
  },
  'a removal that was cut off': {
    facts: { record: { state: 'removing' } },
    found: [['deployment', 'fail', 'removal was not finished']],
    mend: 'sudo deploy-federation uninstall',
  },
  'programs that do not start': {
    answers: { program: { code: 69, stdout: '', stderr: 'no Node\nneeds Node 24.16\n' } },
    found: [['program', 'fail', 'needs Node 24.16']],
    mend: 'sudo deploy-federation worker vps.tail.example:19000',
  },
  'programs that are gone': {
    answers: { program: null },
    found: [['program', 'fail', 'nothing in /opt/openclaw-federation']],
    mend: 'deploy-federation worker',
  },
  'programs of an older version': {
    answers: { program: { stdout: '0.0.1\n' } },
    found: [
      ['program', 'warn', 'version 0.0.1 is deployed'],
      ['versions', 'warn', 'this machine 0.0.1'],
    ],
    mend: 'deploy-federation worker',
  },
  'programs of a newer version': {
    answers: { program: { stdout: '99.0.0\n' }, hub: { state: 'answers', version: '99.0.0' } },
    found: [['program', 'warn', 'version 99.0.0 is deployed']],
    mend: 'use the one that is deployed there: /usr/local/bin/deploy-federation',
  },
  'no Tailscale': {
    facts: { tailscale: { installed: null, state: null } },
    found: [['tailscale', 'fail', 'not installed']],
    mend: 'sudo deploy-federation worker',
  },
  'a Tailscale that does not run': {
    facts: { tailscale: { state: null } },
    found: [['tailscale', 'fail', 'does not run']],
    mend: 'sudo systemctl enable --now tailscaled',
  },
  'a Tailscale that is logged out': {
    facts: { tailscale: { state: 'NeedsLogin' } },
    found: [['tailscale', 'fail', 'not logged in']],
    mend: 'sudo tailscale up',
  },
  'a Tailscale that is switched off': {
    facts: { tailscale: { state: 'Stopped' } },
    found: [['tailscale', 'fail', 'off (Stopped)']],
    mend: 'sudo tailscale up',
  },
  'a machine that waits for the tailnet’s owner': {
    facts: { tailscale: { state: 'NeedsMachineAuth' } },
    found: [['tailscale', 'fail', 'waits to be admitted']],
    mend: 'login.tailscale.com',
  },
  'a Tailscale that starts': {
    facts: { tailscale: { state: 'Starting' } },
    found: [['tailscale', 'warn', 'starting']],
    mend: 'tailscale status',
  },
  'a login that has expired': {
    answers: { tailnet: { isExpired: true } },
    found: [['tailscale', 'fail', 'expired']],
    mend: 'sudo tailscale up --force-reauth',
  },
  'a login that expires soon': {
    answers: { tailnet: { expires: healthyWorker().machine.clock + 5 * 86_400_000 } },
    found: [['tailscale', 'warn', 'expires in 5 d']],
    mend: 'sudo tailscale up --force-reauth',
  },
  'a name that only the tailnet knows': {
    answers: { resolved: [] },
    found: [['name', 'warn', '100.64.0.1 from Tailscale’s own list']],
    mend: 'sudo tailscale set --accept-dns=true',
  },
  'a name that nobody knows': {
    facts: { tailscale: { peers: [] } },
    answers: { resolved: [] },
    found: [['name', 'fail', 'no name that this machine or its tailnet knows']],
    mend: 'tailscale status',
  },
  'a name that is another machine’s here': {
    answers: { resolved: ['192.0.2.7'] },
    found: [['name', 'warn', '192.0.2.7 here, and 100.64.0.1 in the tailnet']],
    mend: 'accept-dns',
  },
  'a hub that is not reached': {
    answers: { hub: { state: 'unreachable', problem: 'connection refused' } as Answers['hub'] },
    found: [['hub', 'fail', 'vps.tail.example:19000 from here: connection refused']],
    mend: 'on the master: deploy-federation doctor',
  },
  'a master that the tailnet does not see': {
    answers: {
      hub: { state: 'unreachable', problem: 'no route' } as Answers['hub'],
      tailnet: { online: [['vps.tail.example', false]] },
    },
    found: [['hub', 'fail', 'does not see vps.tail.example']],
    mend: 'on the master: tailscale status',
  },
  'something else than a hub': {
    answers: { hub: { state: 'foreign', problem: 'it answered 200, and is no hub' } as Answers['hub'] },
    found: [['hub', 'fail', 'no hub']],
    mend: 'deploy-federation worker',
  },
  'a hub with another key': {
    answers: { hub: { state: 'answers', hubId: 'c3'.repeat(32) } },
    found: [['hub', 'fail', 'is c3c3-c3c3-c3c3-c3c3, and this node joined a1a1-a1a1-a1a1-a1a1']],
    mend: `only if you set up the master anew: rm ${WORKER_HOME}/hub`,
  },
  'a hub of another version': {
    answers: { hub: { state: 'answers', version: '0.9.0' } },
    found: [['versions', 'warn', 'the hub is 0.9.0']],
    mend: 'deploy-federation worker',
  },
  'a hub with a newer protocol': {
    answers: { hub: { state: 'answers', version: '9.0.0', protocol: { min: 7, max: 8 } } },
    found: [['versions', 'fail', 'do not understand each other']],
    mend: 'deploy again',
  },
  'a clock that is behind': {
    answers: { hub: { state: 'answers', clockAheadMs: 45_000 } },
    found: [['clock', 'warn', '45 s behind the master’s']],
    mend: 'sudo timedatectl set-ntp true',
  },
  'a clock that is ahead': {
    answers: { hub: { state: 'answers', clockAheadMs: -7_200_000 } },
    found: [['clock', 'warn', '2 h ahead of the master’s']],
    mend: 'timedatectl',
  },
  'a worker daemon that does not run': {
    answers: { worker: null, units: [[UNIT, { ...RUNNING, active: 'failed', sub: 'failed', result: 'exit-code' }]] },
    found: [
      [`unit ${UNIT}`, 'fail', 'does not run, its last run ended with exit-code'],
      ['worker', 'fail', 'does not run'],
    ],
    mend: 'sudo systemctl enable --now openclaw-worker',
    fix: ['unit'],
  },
  'a worker that waits': {
    answers: { worker: { link: 'waiting' } },
    found: [['worker', 'warn', 'home-server (b2b2-b2b2-b2b2-b2b2) waits for approval']],
    mend: 'on the master: manage-federation approve home-server',
  },
  'a worker that is held': {
    answers: { worker: { link: 'waiting', held: 'the name belongs to another key' } },
    found: [['worker', 'warn', 'held: the name belongs to another key']],
    mend: 'on the master: manage-federation pending',
  },
  'a worker that is refused': {
    answers: { worker: { link: 'refused', problem: { message: 'this node was revoked', hint: 'approve it again' } } },
    found: [['worker', 'fail', 'turns it away: this node was revoked']],
    mend: 'approve it again',
  },
  'a worker that finds no hub': {
    answers: { worker: { link: 'connecting', problem: { message: 'no hub answers at vps:19000' } } },
    found: [['worker', 'fail', 'not linked: no hub answers']],
    mend: 'sudo journalctl -u openclaw-worker -n 50',
  },
  'a node host that waits': {
    facts: withNodeHost,
    answers: { worker: { nodeHost: 'waiting', nodeHostProblem: 'paused: PAIRING_REQUIRED' } },
    found: [['node host', 'warn', 'not started: paused: PAIRING_REQUIRED']],
    mend: 'sudo journalctl -u openclaw-worker -n 50',
  },
  'a node host that the gateway does not see': {
    facts: withNodeHost,
    answers: { worker: { nodeHost: 'running' } },
    found: [['node host', 'warn', 'the gateway does not see it']],
    mend: 'journalctl',
  },
  'a node host that was switched on since': {
    facts: withNodeHost,
    answers: { worker: { nodeHost: 'off' } },
    found: [['node host', 'warn', 'not read its settings']],
    mend: 'sudo systemctl restart openclaw-worker',
  },
  'a unit that is gone': {
    facts: { files: [[`/etc/systemd/system/${UNIT}`, null]] },
    answers: unit({ load: 'not-found', file: '', active: 'inactive' }),
    found: [[`unit ${UNIT}`, 'fail', 'gone']],
    mend: 'deploy-federation worker',
    fix: ['write', 'reload', 'unit'],
  },
  'a unit that was edited': {
    facts: { files: [[`/etc/systemd/system/${UNIT}`, { text: '[Service]\n', mode: 0o644, owner: 'root' }]] },
    found: [[`unit ${UNIT}`, 'warn', 'not as it was deployed']],
    mend: 'deploy-federation worker',
    fix: ['write', 'reload', 'unit'],
  },
  'a unit that was edited and does not run since': {
    facts: { files: [[`/etc/systemd/system/${UNIT}`, { text: '[Service]\n', mode: 0o644, owner: 'root' }]] },
    answers: unit({ active: 'failed', sub: 'failed', result: 'exit-code' }),
    found: [[`unit ${UNIT}`, 'fail', 'not as it was deployed, and it does not run']],
    mend: 'deploy-federation worker',
    fix: ['write', 'reload', 'unit'],
  },
  'a worker daemon that says nothing': {
    answers: { worker: null },
    found: [['worker', 'fail', 'has not said how it stands']],
    mend: 'sudo journalctl -u openclaw-worker -n 50',
  },
  'a home with everything wrong': {
    answers: {
      files: [
        [
          WORKER_HOME,
          homeFiles(WORKER_HOME, 'sam').map((file) => ({
            ...file,
            mode: 0o755,
            owner: file.path.endsWith('.key') ? 'root' : 'sam',
          })),
        ],
      ],
    },
    found: [
      [`permissions of ${WORKER_HOME}`, 'fail', 'node.key belongs to root'],
      [`permissions of ${WORKER_HOME}`, 'fail', 'others can look into it'],
      [`permissions of ${WORKER_HOME}`, 'fail', 'others may read'],
    ],
    mend: `mv ${WORKER_HOME}/node.key ${WORKER_HOME}/node.key.old && sudo deploy-federation worker vps.tail.example`,
  },
  'a unit that is masked': {
    answers: unit({ load: 'masked', active: 'inactive' }),
    found: [[`unit ${UNIT}`, 'fail', 'masked']],
    mend: 'sudo systemctl unmask openclaw-worker',
  },
  'a unit that does not start at boot': {
    answers: unit({ file: 'disabled' }),
    found: [[`unit ${UNIT}`, 'fail', 'does not start at boot']],
    mend: 'sudo systemctl enable openclaw-worker',
    fix: ['unit'],
  },
  'a unit that was stopped': {
    answers: unit({ active: 'inactive', sub: 'dead' }),
    found: [[`unit ${UNIT}`, 'fail', 'it does not run']],
    mend: 'sudo systemctl enable --now openclaw-worker',
    fix: ['unit'],
  },
  'a unit that starts over and over': {
    answers: unit({ active: 'activating', sub: 'auto-restart', result: 'exit-code', restarts: 17 }),
    found: [[`unit ${UNIT}`, 'fail', 'anew 17 times, the last run ended with exit-code']],
    mend: 'sudo journalctl -u openclaw-worker -n 50',
  },
  'a unit that often starts anew': {
    answers: unit({ restarts: 5 }),
    found: [[`unit ${UNIT}`, 'warn', 'anew 5 times']],
    mend: 'journalctl',
  },
  'a unit that systemd has to read again': {
    answers: unit({ stale: true }),
    found: [[`unit ${UNIT}`, 'warn', 'has not read its file']],
    mend: 'sudo systemctl daemon-reload && sudo systemctl restart openclaw-worker',
    fix: ['reload', 'unit'],
  },
  'a home that others can look into': {
    answers: homeFile(WORKER_HOME, { mode: 0o755 }),
    found: [[`permissions of ${WORKER_HOME}`, 'fail', 'others can look into it (0755)']],
    mend: `chmod 700 ${WORKER_HOME}`,
    fix: ['folder'],
  },
  'a key that others can read': {
    answers: homeFile(`${WORKER_HOME}/node.key`, { mode: 0o644 }),
    found: [[`permissions of ${WORKER_HOME}`, 'fail', `others may read ${WORKER_HOME}/node.key`]],
    mend: `chmod 600 ${WORKER_HOME}/node.key`,
    fix: ['run'],
  },
  'a file that root left in the home': {
    answers: homeFile(`${WORKER_HOME}/settings.yaml`, { owner: 'root' }),
    found: [[`permissions of ${WORKER_HOME}`, 'fail', 'settings.yaml belongs to root']],
    mend: `mv ${WORKER_HOME}/settings.yaml ${WORKER_HOME}/settings.yaml.old && sudo deploy-federation worker vps`,
  },
  'a home that is root’s': {
    answers: { files: [[WORKER_HOME, homeFiles(WORKER_HOME, 'root')]] },
    found: [[`permissions of ${WORKER_HOME}`, 'fail', `${WORKER_HOME} belongs to root`]],
    mend: `mv ${WORKER_HOME} ${WORKER_HOME}.old && sudo deploy-federation worker vps`,
  },
  'a home that is gone': {
    answers: { files: [[WORKER_HOME, []]] },
    found: [[`permissions of ${WORKER_HOME}`, 'fail', 'missing']],
    mend: 'deploy-federation',
  },
  'a home that can’t be looked at': {
    answers: { files: [[WORKER_HOME, null]] },
    found: [[`permissions of ${WORKER_HOME}`, 'warn', 'can’t be looked at']],
    mend: 'sudo deploy-federation doctor',
  },
  'a disk that fills': {
    answers: { disks: [{ mountedAt: '/', freeBytes: (1 << 30) - 1 }] },
    found: [['disk /', 'warn', '1024 MiB free']],
    mend: 'du -xh',
  },
  'a disk that is full': {
    answers: { disks: [{ mountedAt: '/home', freeBytes: (256 << 20) - 1 }] },
    found: [['disk /home', 'fail', '256 MiB free']],
    mend: 'sudo du -xh -d2 /home',
  },
  'a setting that this version does not know': {
    facts: workerSettings('worker:\n  hub: vps.tail.example:19000\n  colour: blue\n'),
    found: [[`settings ${WORKER_HOME}/settings.yaml`, 'fail', 'worker.colour: unknown setting']],
    mend: `\${EDITOR:-vi} ${WORKER_HOME}/settings.yaml`,
  },
  'settings that are no YAML': {
    facts: workerSettings('worker: [\n'),
    found: [[`settings ${WORKER_HOME}/settings.yaml`, 'fail', 'line 2']],
    mend: 'settings.yaml',
  },
  'OpenClaw that is missing': {
    facts: { record: { wanted: { light: false } } },
    found: [['openclaw', 'fail', 'not installed']],
    mend: 'deploy-federation worker',
  },
  'OpenClaw that is too old': {
    facts: { record: { wanted: { light: false } }, openclaw: { program: '/usr/bin/openclaw', version: '2025.1.1' } },
    found: [['openclaw', 'fail', 'version 2025.1.1']],
    mend: 'npm install --global openclaw@2026.9.6',
  },
  'a node host that updates itself': {
    facts: withNodeHost,
    answers: { worker: { nodeHost: 'connected' }, nodeHostSettings: '{"nodeHost": {"autoUpdate": {"enabled": true}}}' },
    found: [['openclaw updates', 'warn', 'updates itself']],
    mend: `OPENCLAW_STATE_DIR=${WORKER_HOME}/openclaw openclaw config set`,
  },
  'a gateway of its own': {
    facts: { gateway: { unit: { name: 'openclaw-gateway.service', scope: 'user' }, listening: true } },
    found: [['gateway', 'warn', 'listens on port 18789']],
    mend: 'systemctl --user disable --now openclaw-gateway',
  },
  'a port that somebody else has': {
    facts: {
      ...workerSettings('worker:\n  hub: vps.tail.example:19000\nnodeHost:\n  enabled: true\n'),
      ports: [{ address: '127.0.0.1', port: 19_002 }],
      units: [[`system/${UNIT}`, { enabled: true, active: false }]],
    },
    answers: { worker: { nodeHost: 'connected' } },
    found: [['port 19002', 'fail', 'which the node host needs']],
    mend: 'sudo ss -ltnp "sport = :19002"',
  },
};

const MASTER_CASES: Readonly<Record<string, Case>> = {
  'a hub that does not answer': {
    answers: { hub: { state: 'unreachable', problem: 'connection refused' } as Answers['hub'] },
    found: [['hub', 'fail', '127.0.0.1:19000 from here: connection refused']],
    mend: 'sudo systemctl restart federation-hub',
  },
  'another program in the hub’s place': {
    facts: { units: [['system/federation-hub.service', { enabled: true, active: false }]] },
    answers: { hub: { state: 'foreign', problem: 'it answered 404, and is no hub' } as Answers['hub'] },
    found: [
      ['port 19000', 'fail', 'which the hub needs'],
      ['hub', 'fail', 'no hub'],
    ],
    mend: 'sudo ss -ltnp "sport = :19000"',
  },
  'a hub that runs what was deployed before': {
    answers: { hub: { state: 'answers', version: '0.0.1' } },
    found: [['versions', 'warn', 'the hub is 0.0.1']],
    mend: 'sudo systemctl restart federation-hub',
  },
  'a node that waits': {
    answers: { federation: { pending: [{ name: 'pi', held: null, rejected: false }], nodes: [] } },
    found: [['pending', 'warn', 'pi waits for approval']],
    mend: 'manage-federation approve pi',
  },
  'nodes of which one is held': {
    answers: {
      federation: {
        pending: [
          { name: 'pi', held: null, rejected: false },
          { name: 'nas', held: 'a new key', rejected: false },
          { name: 'gone', held: null, rejected: true },
        ],
        nodes: [],
      },
    },
    found: [['pending', 'warn', 'pi, nas (a new key) wait for approval']],
    mend: 'manage-federation pending',
  },
  'a hub that does not answer its operator': {
    answers: { federation: null },
    found: [['pending', 'warn', 'can’t be asked']],
    mend: 'manage-federation pending',
  },
  'a node host that was let in by half': {
    answers: { federation: { pending: [], nodes: [nodeHost('connected', [])] } },
    found: [['node host of pi', 'warn', 'let it in by half']],
    mend: 'openclaw nodes pending',
  },
  'a node host that hangs': {
    answers: { federation: { pending: [], nodes: [nodeHost('disconnected', ['system.run'])] } },
    found: [['node host of pi', 'warn', 'not connected to the gateway']],
    mend: 'on pi: deploy-federation doctor',
  },
  'a key of the hub that others can read': {
    answers: {
      files: [
        [
          HUB_HOME,
          [
            { path: HUB_HOME, mode: 0o700, owner: 'openclaw-federation', kind: 'directory' },
            { path: `${HUB_HOME}/hub.key`, mode: 0o640, owner: 'openclaw-federation', kind: 'regular file' },
          ],
        ],
      ],
    },
    found: [[`permissions of ${HUB_HOME}`, 'fail', 'hub.key']],
    mend: `sudo -u openclaw-federation chmod 600 ${HUB_HOME}/hub.key`,
    fix: ['run'],
  },
  'a master where anything may be run': {
    facts: workerSettings('worker:\n  hub: 127.0.0.1:19000\n'),
    found: [['exec', 'warn', 'any command here as sam']],
    mend: 'allowlist',
  },
  'a gateway that does not listen': {
    facts: { gateway: { listening: false } },
    found: [['gateway', 'fail', 'nothing listens on its port 18789']],
    mend: 'openclaw gateway status',
  },
  'a gateway without settings': {
    facts: { gateway: { settings: null } },
    found: [['gateway', 'fail', 'openclaw.json is missing']],
    mend: 'deploy-federation master',
  },
  'a gateway that listens everywhere': {
    facts: gatewaySettings({ bind: 'lan' }),
    found: [['gateway bind', 'warn', 'beyond this machine']],
    mend: 'openclaw config set gateway.bind loopback',
  },
  'a gateway without a token': {
    facts: gatewaySettings({ auth: { mode: 'token' } }),
    found: [['gateway token', 'fail', 'no token']],
    mend: 'deploy-federation master',
  },
  'a token that others can read': {
    facts: { gateway: { settings: { mode: 0o644 } } },
    found: [['gateway token', 'fail', 'others can read /home/sam/.openclaw/openclaw.json']],
    mend: 'chmod 600 /home/sam/.openclaw/openclaw.json',
    fix: ['run'],
  },
  'a gateway that lets in whoever looks local': {
    facts: gatewaySettings({ nodes: { pairing: {} } }),
    found: [['gateway pairing', 'fail', 'whoever looks local']],
    mend: 'openclaw config set gateway.nodes.pairing.autoApproveLocal false',
  },
  'a gateway that is not told of the plugin': {
    facts: gatewaySettings({}, {}),
    found: [['plugin', 'fail', '/home/sam/.openclaw/openclaw.json does not name it']],
    mend: 'deploy-federation master',
  },
  'a plugin that a person has switched off': {
    facts: gatewaySettings({}, { ...PLUGINS, entries: { 'openclaw-federation': { enabled: false } } }),
    found: [['plugin', 'warn', 'switched off']],
    mend: 'openclaw config set plugins.entries.openclaw-federation.enabled true',
  },
  'a plugin that a list of a person keeps out': {
    facts: gatewaySettings({}, { ...PLUGINS, deny: ['openclaw-federation'] }),
    found: [['plugin', 'warn', 'plugins.deny']],
    mend: 'openclaw config unset plugins.deny',
  },
  'a gateway that does not know the plugin': {
    answers: { plugin: { state: 'fails', problem: 'error: unknown command federation', hint: null } },
    found: [['plugin', 'fail', 'unknown command federation']],
    mend: 'openclaw plugins reload openclaw-federation --accept-capabilities',
  },
  'a plugin that the hub does not answer': {
    answers: { plugin: { state: 'fails', problem: 'the hub does not answer', hint: 'manage-federation status' } },
    found: [['plugin', 'fail', 'the hub does not answer']],
    mend: 'manage-federation status',
  },
  'an OpenClaw that does not answer': {
    answers: { plugin: null },
    found: [['plugin', 'warn', 'does not say']],
    mend: 'openclaw federation status',
  },
};

function nodeHost(state: 'connected' | 'disconnected', commands: string[]) {
  return { name: 'pi', state: 'online' as const, openclaw: { nodeHost: state, commands } };
}

function gatewaySettings(change: object, plugins: object = PLUGINS): Change<Facts> {
  const settings = {
    bind: 'loopback',
    auth: { mode: 'token', token: 'not-a-real-token' },
    nodes: { pairing: { autoApproveLocal: false } },
    ...change,
  };
  return { gateway: { settings: { text: JSON.stringify({ gateway: settings, plugins }) } } };
}

describe.each([
  ['a worker', healthyWorker, WORKER_CASES],
  ['a master', healthyMaster, MASTER_CASES],
])('on %s', (_, healthy, cases) => {
  it.each(Object.entries(cases))('finds %s', (_name, one) => {
    const facts = healthy(one.facts ?? {});
    const list = notOk(found(facts, one.answers ?? {}));
    expect(list.map(({ check, state }) => [check, state])).toEqual(one.found.map(([check, state]) => [check, state]));
    for (const [index, [, , words]] of one.found.entries()) expect(list[index]?.found).toContain(words);
    expect(list[0]?.mend).toContain(one.mend);
    expect(list.every(({ why }) => why !== undefined)).toBe(true);
    const [first] = list as readonly MachineFinding[];
    expect(first?.fix?.map(({ do: kind }) => kind)).toEqual(one.fix);
  });
});

it('says with what right the master runs commands, without calling it wrong', () => {
  const exec = (facts: Facts) => found(facts).find(({ check }) => check === 'exec');
  expect(exec(healthyWorker())).toMatchObject({
    state: 'ok',
    found: 'the master’s operator may run any command here as sam',
    mend: expect.stringContaining('--exec allowlist'),
  });
  const asRoot = healthyWorker({ person: { name: 'root', uid: 0 } });
  expect(exec(asRoot)?.why).toContain('that is root');
  const narrow = 'worker:\n  hub: vps.tail.example:19000\n  exec:\n    mode: allowlist\n    allow: [[df, "**"]]\n';
  expect(exec(healthyWorker(workerSettings(narrow)))?.found).toBe('what one rule allows may be run here as sam');
});

it('says sudo to whoever came by it, and not to root', () => {
  const mends = (bySudo: boolean) =>
    found(healthyWorker({ login: { name: 'root', root: true, sudo: false, bySudo } }), { worker: null })
      .filter(({ check }) => check === 'worker')
      .map(({ mend }) => mend);
  expect(mends(true)).toEqual(['sudo journalctl -u openclaw-worker -n 50']);
  expect(mends(false)).toEqual(['journalctl -u openclaw-worker -n 50']);
});

it('names the program that looks by its path, where an older one comes first on PATH', () => {
  const [first] = found(healthyWorker(), { program: { stdout: '0.0.1\n' } }).filter(({ check }) => check === 'program');
  expect(first?.mend).toMatch(/^sudo \/\S+\/bin\/deploy-federation worker vps\.tail\.example:19000$/);
});

it('finds that the services of a person end with their login', () => {
  const facts = healthyWorker({ systemd: { linger: false } }, 'user');
  expect(notOk(found(facts))).toMatchObject([
    { check: 'linger', state: 'fail', mend: 'loginctl enable-linger', fix: [{ do: 'linger', user: 'sam' }] },
  ]);
});

it('lets the tailnet alone where the federation does not use it', () => {
  const facts = healthyWorker({
    record: { wanted: { tailscale: { use: false } } },
    tailscale: { installed: null, state: null, peers: [] },
  });
  expect(notOk(found(facts, { tailnet: null, resolved: ['192.0.2.1'] }))).toEqual([]);
});

it('never widens what it fixes: a link out of the home is not followed', () => {
  const path = `${WORKER_HOME}/elsewhere`;
  const files = [...homeFiles(WORKER_HOME, 'sam'), { path, mode: 0o777, owner: 'root', kind: 'symbolic link' }];
  const [finding] = notOk(found(healthyWorker(), { files: [[WORKER_HOME, files]] })) as MachineFinding[];
  expect(finding).toMatchObject({ state: 'fail', found: `${path} belongs to root` });
  expect(finding?.fix).toBeUndefined();
});

it('keeps what nodes and programs say from steering the terminal, or from looking like a finding', () => {
  const hostile = 'pi\u001b[2J\u202e\nok    hub: all is well';
  const facts = healthyMaster();
  const list = found(facts, {
    federation: { pending: [{ name: hostile, held: null, rejected: false }], nodes: [] },
    worker: { link: 'refused', problem: { message: hostile, hint: hostile } },
    hub: { state: 'unreachable', problem: hostile } as Answers['hub'],
    program: { code: 1, stdout: '', stderr: hostile },
    units: [['federation-hub.service', { ...RUNNING, active: 'failed', result: hostile }]],
  });
  const lines = list.map(findingText).join('\n').split('\n');
  // oxlint-disable-next-line no-control-regex -- these are the characters that are looked for
  for (const line of lines) expect(line).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e]/);
  expect(lines.filter((line) => line.startsWith('ok    hub'))).toEqual([]);
});

it('cuts a secret out of what a program said', () => {
  const token = `ocf1.${HUB_ID}.${'x'.repeat(43)}`;
  const text = findingText({ check: 'worker', state: 'fail', found: `bad token ${token}` });
  expect(text).toBe('FAIL  worker: bad token [secret]');
});

it('takes facts that others change as they are', () => {
  const facts = changed(healthyWorker(), { machine: { hostname: 'pi' } });
  expect(deploymentOf(facts).hubAddresses).toEqual(['100.64.0.1']);
});

it.each(['vps:19000', 'VPS:19000', 'vps.tail.example.:19000'])('knows the tailnet’s machine behind %s', (hub) => {
  const facts = healthyWorker(workerSettings(`worker:\n  hub: ${hub}\n`));
  expect(deploymentOf(facts).hubAddresses).toEqual(['100.64.0.1']);
  const offline = { online: [['vps.tail.example', false]] } as const;
  const answers = { tailnet: offline, hub: { state: 'unreachable', problem: 'nothing answers there' } } as const;
  expect(findingText(found(facts, answers).find(({ check }) => check === 'hub')!)).toContain(
    'the tailnet does not see',
  );
});

it('knows no address of a name that two machines of the tailnet have', () => {
  const peers = ['vps.tail.example', 'vps.other.example'].map((dnsName) => ({ dnsName, addresses: ['100.64.0.1'] }));
  const settings = workerSettings('worker:\n  hub: vps:19000\n');
  expect(deploymentOf(healthyWorker({ ...settings, tailscale: { peers } })).hubAddresses).toEqual([]);
});
