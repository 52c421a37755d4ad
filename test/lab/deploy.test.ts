import { dirname } from 'node:path/posix';
import { parse } from 'jsonc-parser';
import { afterAll, beforeAll, expect, it, onTestFailed, beforeEach } from 'vitest';
import type { JobView } from '#src/protocol/hub-api/job.ts';
import { eventually } from '../support/eventually.ts';
import { watchCommandLines } from './command-lines.ts';
import type { Finished } from './command.ts';
import type { Deployer } from './deployer.ts';
import { deployerOf } from './deployer.ts';
import { describeLab } from './describe-lab.ts';
import { figure, timed } from './figure.ts';
import type { Lab } from './lab.ts';
import { openLab } from './lab.ts';
import type { Machine } from './machine.ts';
import type { Operator } from './operator.ts';
import { operatorOn, resultIn } from './operator.ts';
import { footprintOf } from './footprint.ts';
import {
  giveOwnGateways,
  OWN_LATER,
  OWN_PORT,
  ownGatewayAnswers,
  ownGatewayUnit,
  untilOwnGatewayAnswers,
} from './own-gateway.ts';
import type { Snapshot } from './snapshot.ts';
import { below, differences, outermost, takeSnapshot } from './snapshot.ts';
import { listeningAt } from './sockets.ts';
import { unitState } from './unit-state.ts';

/** Where this host is busy with something else: alone it takes a third of it. */
const LONG_MS = 480_000;
const CLAW = { user: 'claw' } as const;
const VPS = ['master', '--name', 'vps'];
const HOME_SERVER = ['worker', 'vps', '--name', 'home-server'];
const STUDIO = ['hybrid', 'vps', '--name', 'studio'];
/** On the master: ssh does the rest. */
const PI = ['worker', '--ssh', 'claw@10.77.0.14', '--name', 'pi', '--light'];
const HUB_PORT = 19_000;
const SETTINGS = '/home/claw/.openclaw/openclaw.json';
const OWN_SETTINGS = `{
  // Written by hand.
  "logging": { "level": "info" }, // and kept
  "cron": { "enabled": false }
}
`;

/** Each test goes on from where the one before it left the machines. */
describeLab('a federation of four machines: master, worker, hybrid and light worker', 'tailnet', () => {
  let lab: Lab;
  let deployer: Deployer;
  let operator: Operator;
  let m1: Machine, m2: Machine, m3: Machine, m4: Machine;
  /** Each machine before anything was deployed on it, and the paths that it changes by itself. */
  const before = new Map<Machine, Snapshot>();
  const restless = new Map<Machine, ReadonlySet<string>>();
  /** What no process, journal or output may show. */
  const secrets: string[] = [];

  beforeAll(async () => {
    lab = await openLab({ machines: 4 });
    [m1, m2, m3, m4] = lab.machines() as [Machine, Machine, Machine, Machine];
    deployer = deployerOf(lab);
    operator = operatorOn(m1);
    for (const machine of lab.machines()) await lab.installPackage(machine);
    await giveOwnGateways([m2, m3]);
    await m1.write(SETTINGS, OWN_SETTINGS, { owner: 'claw', mode: '600' });
    await m1.succeed(['chown', 'claw:claw', '/home/claw/.openclaw']);
    await ofEach(async (machine) => {
      const first = await takeSnapshot(machine);
      await machine.reboot();
      if (machine === m2 || machine === m3) await untilOwnGatewayAnswers(machine);
      const second = await takeSnapshot(machine);
      before.set(machine, second);
      restless.set(machine, new Set([...differences(first, second).keys(), OWN_LATER]));
    });
  }, LONG_MS);
  afterAll(() => lab.close());

  let journals = '';
  beforeEach(() => {
    onTestFailed(async () => {
      const units = ['federation-hub', 'openclaw-worker', 'openclaw-gateway'].flatMap((unit) => ['-u', unit]);
      for (const machine of lab.machines()) {
        const { stdout } = await machine.run(['journalctl', '--no-pager', '-n', '25', '-o', 'cat', ...units]);
        journals += `---- ${machine.name}\n${stdout}`;
      }
      console.error(journals);
    });
  });

  /** Of all machines at once. */
  async function ofEach(work: (machine: Machine) => Promise<void>, machines = lab.machines()): Promise<void> {
    await Promise.all(machines.map(work));
  }

  /** What a machine holds other than before, without what it changes by itself. */
  async function changesOf(machine: Machine): Promise<ReadonlyMap<string, string>> {
    const changes = differences(before.get(machine) ?? new Map(), await takeSnapshot(machine));
    return new Map([...changes].filter(([path]) => restless.get(machine)?.has(path) !== true));
  }

  function expectDone({ code, stdout, stderr }: Finished): string {
    expect(stderr).not.toContain('error:');
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
    return stderr;
  }

  async function expectNoSecret(machine: Machine, ...texts: readonly string[]): Promise<void> {
    const journal = await machine.succeed(['journalctl', '--no-pager', '-o', 'cat']);
    expect(journal).not.toBe('');
    const all = [journal, ...texts];
    expect(secrets.filter((secret) => all.some((text) => text.includes(secret)))).toEqual([]);
  }

  async function untilAllUsable(): Promise<void> {
    await operator.untilUp('vps');
    await operator.untilUsable('home-server', m2, 'connected');
    await operator.untilUsable('studio', m3, 'connected');
    await operator.untilUsable('pi', m4);
  }

  /** How the job with that command ended; null while it runs. */
  async function summaryOf(command: string): Promise<JobView['summary'] | null> {
    const job = (await operator.jobs()).find((one) => one.command === command);
    return job === undefined || job.endedAt === null ? null : job.summary;
  }

  const modeOf = async (machine: Machine, path: string) =>
    (await machine.succeed(['stat', '-c', '%a %U', path])).trim();

  it('a master is deployed by one command, and ends with its address and what to do next', async () => {
    const lines = watchCommandLines(lab, m1);
    const said = expectDone(await timed('master from nothing', () => deployer.deploy(m1, VPS)));
    const [node] = await lab.tailnet.nodes();
    expect(node).toMatchObject({ name: 'vps', tags: ['tag:master'], online: true });
    const [address = '', address6 = ''] = node?.addresses ?? [];
    expect(said).toContain(`the master runs: vps.tail.lab, ${address}`);
    expect(said).toContain('next, on another machine:\n  deploy-federation worker vps.tail.lab\n');

    const status = await operator.status();
    expect(status).toMatchObject({ name: 'vps', gateway: { state: 'connected' }, tailnet: { state: 'Running' } });
    expect((await operator.nodes()).map(({ name, role, state }) => ({ name, role, state }))).toEqual([
      { name: 'vps', role: 'master', state: 'online' },
    ]);
    expect((await m1.run(['manage-federation', 'status'], { user: 'pat' })).code).not.toBe(0);
    expect(await modeOf(m1, '/run/openclaw-federation/operator.sock')).toBe('600 claw');
    expect(await modeOf(m1, '/run/openclaw-federation/plugin.sock')).toBe('600 claw');

    const settings: unknown = parse(await m1.read(SETTINGS));
    expect(await m1.read(SETTINGS)).toContain('// Written by hand.\n  "logging": { "level": "info" }, // and kept');
    expect(settings).toMatchObject({
      logging: { level: 'info' },
      gateway: { mode: 'local', auth: { mode: 'token' }, nodes: { pairing: { autoApproveLocal: false } } },
    });
    const { token } = (settings as { gateway: { auth: { token: string } } }).gateway.auth;
    const stranger = ['openclaw', 'nodes', 'status', '--url', `ws://127.0.0.1:${OWN_PORT}`, '--token', 'none'];
    expect(await m1.run(stranger, CLAW)).toMatchObject({ code: 1 });

    expect(await listeningAt(m1, OWN_PORT)).toEqual(['127.0.0.1', '[::1]']);
    expect(await listeningAt(m1, HUB_PORT)).toEqual([address, '127.0.0.1', `[${address6}]`].toSorted());
    expect(await unitState(m1, 'federation-hub.service', 'User', 'ActiveState', 'UnitFileState')).toEqual({
      User: 'openclaw-federation',
      ActiveState: 'active',
      UnitFileState: 'enabled',
    });
    for (const unit of ['openclaw-gateway.service', 'openclaw-worker.service']) {
      expect(await unitState(m1, unit, 'User', 'UnitFileState')).toEqual({ User: 'claw', UnitFileState: 'enabled' });
    }
    expect(await modeOf(m1, '/var/lib/openclaw-federation')).toBe('700 openclaw-federation');
    expect(await modeOf(m1, '/home/claw/.openclaw-worker')).toBe('700 claw');
    expect(await m1.state()).toBe('running');

    secrets.push(token, await deployer.authKey(m1));
    await expectNoSecret(m1, said, await lines.seen());
  });

  it('a worker with OpenClaw joins, and the gateway that it had is stopped', async () => {
    const token = await operator.token('home-server');
    secrets.push(token, await deployer.authKey(m2));
    const lines = watchCommandLines(lab, m2);
    const words = [...HOME_SERVER, '--token-file', '-'];
    const said = expectDone(
      await timed('worker with OpenClaw: its command', () => deployer.deploy(m2, words, { input: token })),
    );
    expect(said).toContain('home-server is a member of vps');
    const node = await operator.untilUsable('home-server', m2, 'connected');
    expect(node).toMatchObject({ role: 'worker' });
    expect(await operator.exec('home-server', ['id', '-un'])).toMatchObject({ code: 0, stdout: 'claw\n' });
    expect(await operator.which('home-server')).toMatchObject({
      payload: { bins: { sh: expect.stringContaining('/') } },
    });

    expect(await ownGatewayUnit(m2)).toMatchObject({ ActiveState: 'inactive', UnitFileState: 'disabled' });
    expect(await listeningAt(m2, OWN_PORT)).toEqual([]);
    expect(await modeOf(m2, '/home/claw/.openclaw-worker')).toBe('700 claw');
    await expectNoSecret(m2, said, await lines.seen());
    await expectNoSecret(m1);
  });

  it('a hybrid joins, and its own gateway is as it was', async () => {
    const unit = await ownGatewayUnit(m3);
    const token = await operator.token('studio', '--role', 'hybrid');
    secrets.push(token);
    const words = [...STUDIO, '--token-file', '-'];
    const said = expectDone(await timed('hybrid: its command', () => deployer.deploy(m3, words, { input: token })));
    expect(said).toContain('studio is a member of vps');
    expect(await operator.untilUsable('studio', m3, 'connected')).toMatchObject({ role: 'hybrid' });
    expect(await operator.which('studio')).toMatchObject({ payload: { bins: { sh: expect.stringContaining('/') } } });

    const changed = [...(await changesOf(m3)).keys()];
    expect(changed).toContain('/home/claw/.openclaw-worker/settings.yaml');
    expect(changed).toContain('/etc/systemd/system/openclaw-worker.service');
    expect(before.get(m3)?.get('/home/claw/.openclaw/openclaw.json')).toMatch(/^f 600 1000:1000 /);
    for (const folder of ['/home/claw/.openclaw', '/home/claw/.config', '/usr/local/lib']) {
      expect(below(changed, folder)).toEqual([]);
    }
    expect(unit).toMatchObject({ ActiveState: 'active', UnitFileState: 'enabled' });
    expect(await ownGatewayUnit(m3)).toEqual(unit);
    expect(await listeningAt(m3, OWN_PORT)).toEqual(['127.0.0.1', '[::1]']);
    expect(await ownGatewayAnswers(m3)).toBe(true);
    expect(await modeOf(m3, '/home/claw/.openclaw-worker')).toBe('700 claw');
  });

  it('a light worker joins by one command and a token', async () => {
    const token = await operator.token('pi');
    secrets.push(token);
    const words = ['worker', 'vps', '--name', 'pi', '--light', '--token-file', '-'];
    const start = performance.now();
    const said = expectDone(await deployer.deploy(m4, words, { input: token }));
    expect(said).toContain('pi is a member of vps');
    expect(await operator.untilUsable('pi', m4)).toMatchObject({ role: 'worker' });
    figure('light worker usable after its command', performance.now() - start);
    expect(await operator.exec('pi', ['sudo', '-n', 'id', '-u'])).toMatchObject({ code: 0, stdout: '0\n' });
    expect((await m4.run(['test', '-e', '/opt/openclaw-federation/openclaw'])).code).toBe(1);
    expectDone(await deployer.uninstall(m4));
    expect(await changesOf(m4)).toEqual(new Map());
    await eventually('the hub has noticed', async () => (await operator.node('pi')).state === 'offline');
    expectDone(await operator.manage(['revoke', 'pi', '--yes']));
  });

  it('a worker without a token waits, and says what to run on the master', async () => {
    const said = expectDone(await deployer.deploy(m4, ['worker', 'vps', '--name', 'guest', '--light']));
    const [, fingerprint = ''] = /guest waits for approval; its fingerprint is (\S+)/.exec(said) ?? [];
    expect(said).toMatch(/on vps(?:\.tail\.lab)?:\n {2}manage-federation approve guest\n/);
    expect((await operator.manage(['pending'])).stdout).toContain(fingerprint);
    expect((await operator.nodes()).map(({ name }) => name)).not.toContain('guest');
    expectDone(await operator.manage(['approve', 'guest']));
    await operator.untilUsable('guest', m4);
    expectDone(await deployer.uninstall(m4));
    expect(await changesOf(m4)).toEqual(new Map());
    expectDone(await operator.manage(['revoke', 'guest', '--yes']));
  });

  it('one command on the master adds a machine by ssh', async () => {
    const { length: tokensBefore } = await operator.audit('token.create');
    const added = await timed('light worker by ssh from the master: its command', () =>
      deployer.deploy(m1, PI, { target: m4 }),
    );
    expect(expectDone(added)).toContain('pi is a member of vps');
    await operator.untilUsable('pi', m4);
    expect(await operator.exec('pi', ['hostname'])).toMatchObject({ stdout: 'm4\n' });
    expect(await modeOf(m4, '/home/claw/.openclaw-worker')).toBe('700 claw');
    expect((await operator.audit('token.create')).length).toBe(tokensBefore + 1);
  });

  it('a second run changes nothing, and says so', async () => {
    for (const [machine, words] of [
      [m1, VPS],
      [m2, HOME_SERVER],
      [m3, STUDIO],
      [m4, PI],
    ] as const) {
      const was = await footprintOf(machine);
      const on = machine === m4 ? m1 : machine;
      const again = await timed(`second run of ${words[0]} on ${machine.name}`, () =>
        deployer.deploy(on, words, { target: machine }),
      );
      expect(expectDone(again)).toContain('nothing to change\n');
      expect(await footprintOf(machine)).toEqual(was);
    }
  });

  it('the units are hardened as far as their work allows', async () => {
    for (const [machine, units] of [
      [m1, ['federation-hub.service', 'openclaw-gateway.service', 'openclaw-worker.service']],
      [m2, ['openclaw-worker.service']],
    ] as const) {
      const paths = units.map((unit) => `/etc/systemd/system/${unit}`);
      expect(await machine.run(['systemd-analyze', 'verify', ...paths])).toEqual({ code: 0, stdout: '', stderr: '' });
      for (const path of paths) expect(await machine.read(path)).toContain('What stays open, and why');
    }
    for (const unit of ['federation-hub', 'openclaw-worker', 'openclaw-gateway']) {
      const exposure = await exposureOf(m1, `${unit}.service`);
      process.stderr.write(`figure: exposure of ${unit}: ${exposure}\n`);
      expect(exposure).toBeLessThanOrEqual(unit === 'federation-hub' ? 2.5 : 10);
    }
    const { MainPID = '' } = await unitState(m1, 'federation-hub.service', 'MainPID');
    const hub = await m1.read(`/proc/${MainPID}/status`);
    expect(hub).toMatch(/^CapBnd:\t0+$/m);
    expect(hub).toMatch(/^NoNewPrivs:\t1$/m);
    expect(hub).toMatch(/^Seccomp:\t2$/m);
    const asHub = [
      'nsenter',
      '--target',
      MainPID,
      '--mount',
      'setpriv',
      '--reuid=openclaw-federation',
      '--clear-groups',
    ];
    const sees = (...words: string[]) => m1.run([...asHub, ...words]);
    expect((await sees('touch', '/var/lib/openclaw-federation/settings.yaml')).code).toBe(0);
    expect((await sees('touch', '/etc/settings')).stderr).toContain('Read-only file system');
    expect((await sees('ls', '/home')).code).not.toBe(0);
    // What is taken from the worker's unit would be taken from the person's commands.
    expect(await operator.exec('home-server', ['sudo', '-n', 'id', '-u'])).toMatchObject({ code: 0, stdout: '0\n' });
  });

  it('the journal of each unit tells what its daemon did', async () => {
    const journal = (unit: string) => ['journalctl', '--no-pager', '-o', 'cat', '-u', unit];
    const hub = await m1.succeed(journal('federation-hub'));
    expect(hub).toContain('"message":"the hub listens"');
    expect(hub).toContain('"message":"the hub listens on the tailnet"');
    for (const { id } of await operator.nodes()) {
      const up = hub.split('\n').filter((line) => line.includes(id) && line.includes('"message":"a link is up"'));
      expect(up).not.toEqual([]);
    }
    expect(await m1.succeed(journal('openclaw-gateway'), CLAW)).toContain('[gateway] ready');
    expect(await m1.succeed(['openclaw', 'logs', '--plain', '--limit', '50'], CLAW)).toContain('gateway');

    const follow = 'timeout 30 journalctl -u openclaw-worker -f -n 0 -o cat | grep -m 1 "linked to the hub"';
    const following = m2.run(['sh', '-c', follow], CLAW);
    await eventually('it is followed', async () => (await m2.run(['pgrep', 'grep'])).code === 0);
    await m2.succeed(['systemctl', 'restart', 'openclaw-worker']);
    expect((await following).stdout).toContain('"module":"link"');
    expect(await m2.succeed(journal('openclaw-worker'), CLAW)).toContain('"message":"the worker daemon runs"');
    await operator.untilUsable('home-server', m2, 'connected');
    for (const machine of lab.machines()) await expectNoSecret(machine);
  });

  it(
    'every node is back by itself after a reboot',
    async () => {
      const reboot = async (machine: Machine, name: string, untilThere: () => Promise<unknown>) => {
        const start = performance.now();
        await machine.reboot();
        const up = performance.now();
        await untilThere();
        figure(
          `${name} usable after its reboot, systemd being up after ${seconds(up - start)}`,
          performance.now() - start,
        );
        expect(await machine.state()).toBe('running');
      };
      await Promise.all([
        reboot(m4, 'pi', () => operator.untilUsable('pi', m4)),
        reboot(m3, 'studio', () => operator.untilUsable('studio', m3, 'connected')),
        reboot(m2, 'home-server', () => operator.untilUsable('home-server', m2, 'connected')),
      ]);
      await reboot(m1, 'vps', () => operator.untilUp('vps'));
      await timed('all nodes usable after that of the master', untilAllUsable);
      await untilOwnGatewayAnswers(m3);
      expect(await ownGatewayAnswers(m2)).toBe(false);
    },
    LONG_MS,
  );

  it('a worker that loses its power is back, and its job is not told as done', async () => {
    const running = operator.manage(['exec', '--json', 'home-server', '--', 'sleep', '301']);
    await eventually('it runs', () => runs(m2, 'sleep 301'));
    const start = performance.now();
    await m2.crash();
    const end = resultIn(await running);
    figure('a job on a worker without power is told as lost', performance.now() - start);
    expect(end).toMatchObject({ code: 254, outcome: 'unknown' });
    await m2.start();
    await timed('worker with OpenClaw usable after a power cut', () =>
      operator.untilUsable('home-server', m2, 'connected'),
    );
    await timed('its node host usable through the gateway after that', () =>
      eventually('the node host answers', () => operator.which('home-server'), 120_000),
    );
    expect(await runs(m2, 'sleep 301')).toBe(false);
    expect(await summaryOf('sleep 301')).toEqual({ unknown: 1 });
  });

  it('a master that loses its power is back with all its nodes, and its job is not told as done', async () => {
    const running = operator.manage(['exec', 'home-server', '--', 'sleep', '302']);
    await eventually('it runs', () => runs(m2, 'sleep 302'));
    await m1.crash();
    expect((await running).code).not.toBe(0);
    await m1.start();
    await timed('all nodes usable after a power cut of the master', untilAllUsable);
    expect(await operator.manage(['audit', 'verify'])).toMatchObject({ code: 0 });
    const ended = await eventually('the job is told', () => summaryOf('sleep 302'), 60_000);
    expect(['cancelled', 'unknown']).toEqual(expect.arrayContaining(Object.keys(ended)));
    await eventually('its worker has ended it', async () => !(await runs(m2, 'sleep 302')), 60_000);
  });

  it('a node that the tailnet lost is noticed, and comes back', async () => {
    await m2.cut();
    await timed('a dead link noticed', () => operator.untilLost('home-server'));
    await eventually('it is off', async () => (await operator.node('home-server')).state === 'offline', 60_000);
    const end = await operator.exec('home-server', ['true']);
    expect(end.code).toBeGreaterThan(0);
    expect(['unreachable', 'refused']).toContain(end.outcome);
    await m2.restore();
    await timed('worker with OpenClaw usable after a partition', () =>
      operator.untilUsable('home-server', m2, 'connected'),
    );
  });

  it('the hub takes its tailnet address when it comes late, and again when it was gone', async () => {
    const addresses = (await listeningAt(m1, HUB_PORT)).toSorted();
    expect(addresses.length).toBe(3);
    const listens =
      (...wanted: readonly string[]) =>
      async () =>
        (await listeningAt(m1, HUB_PORT)).join() === wanted.join();
    await m1.succeed(['systemctl', 'disable', 'tailscaled']);
    await m1.reboot();
    await operator.untilUp('vps');
    expect(await listeningAt(m1, HUB_PORT)).toEqual(['127.0.0.1']);
    await m1.succeed(['systemctl', 'enable', '--now', 'tailscaled']);
    await timed('the hub listens on a tailnet that came late', () =>
      eventually('the hub listens', listens(...addresses), 30_000),
    );
    await untilAllUsable();
    await m1.succeed(['tailscale', 'down']);
    await eventually('the hub does not listen there', listens('127.0.0.1'), 30_000);
    await m1.succeed(['tailscale', 'up', `--login-server=${lab.tailnet.loginServer}`, '--hostname=vps']);
    await eventually('the hub listens again', listens(...addresses), 30_000);
    await timed('all nodes usable after the tailnet is back', untilAllUsable);
  });

  it('a newer version takes the place of an older one, and is taken back', async () => {
    const manifest = '/usr/lib/node_modules/openclaw-federation/package.json';
    const text = await m1.read(manifest);
    const older = await operator.nodes();
    const ids = (nodes: typeof older) => nodes.map(({ name, id, role }) => ({ name, id, role }));
    const { version } = JSON.parse(text) as { version: string };
    const newer = version.replace(/\d+$/, (patch) => String(Number(patch) + 1));
    const release = (await m1.succeed(['readlink', '/opt/openclaw-federation/current'])).trim();

    async function update(wanted: string): Promise<void> {
      await m1.write(manifest, text.replace(`"version": "${version}"`, `"version": "${wanted}"`));
      // As npm puts it on PATH: before it stands that of the release which runs.
      expectDone(await deployer.deployBy('/usr/bin/deploy-federation', m1, VPS));
      expectDone(await deployer.deployBy('/usr/bin/deploy-federation', m1, PI, { target: m4 }));
      await untilAllUsable();
      expect(await operator.status()).toMatchObject({ version: wanted, gateway: { state: 'connected' } });
      const nodes = await operator.nodes();
      expect(ids(nodes)).toEqual(ids(older));
      const versions = new Map(nodes.map((node) => [node.name, node.version]));
      expect([versions.get('vps'), versions.get('pi')]).toEqual([wanted, wanted]);
      expect(versions.get('home-server')).toBe(version);
    }

    await update(newer);
    expect(await m4.succeed(['readlink', '/opt/openclaw-federation/current'])).toContain(`/${newer}-`);
    await update(version);
    expect((await m1.succeed(['readlink', '/opt/openclaw-federation/current'])).trim()).toBe(release);
  });

  it(
    'uninstall leaves exactly what was there before',
    async () => {
      const bySsh = ['deploy-federation', 'uninstall', '--ssh', 'claw@10.77.0.14', '--yes'];
      const uninstall = (machine: Machine) => (machine === m4 ? m1.run(bySsh, CLAW) : deployer.uninstall(machine));
      await ofEach(async (machine) => void expectDone(await uninstall(machine)), [m2, m3, m4]);
      expectDone(await uninstall(m1));
      await ofEach(async (machine) => {
        const units = ['federation-*', 'openclaw-*', 'tailscaled*', 'auto-register*'];
        expect(await machine.succeed(['systemctl', 'list-units', '--all', '--no-legend', ...units])).toBe('');
        expect(await machine.state()).toBe('running');
        const temporary = (await machine.succeed(['ls', '-A', '/tmp', '/var/tmp'])).split('\n');
        expect(temporary.filter((name) => /^ocf-|federation/.test(name))).toEqual([]);
      });
      await ofEach(untilOwnGatewayAnswers, [m2, m3]);
      for (const machine of [m2, m3]) {
        expect(await ownGatewayUnit(machine)).toMatchObject({ ActiveState: 'active', UnitFileState: 'enabled' });
      }
      await ofEach(async (machine) => expect([...(await changesOf(machine)).keys()]).toEqual([]), [m2, m3, m4]);
      expect(await m1.read(SETTINGS)).toBe(OWN_SETTINGS);
      const changed = await changesOf(m1);
      expect(outermost(changed)).toEqual(THEIRS);
      expect(below(changed.keys(), CACHE).filter((path) => dirname(path) === CACHE)).toEqual(OPENCLAW_CACHES);
      const ours = [...changed.keys()].filter((path) => /federation|tailscale/.test(path));
      expect(ours.filter((path) => !path.startsWith(OPENCLAW_COPIES))).toEqual([]);
    },
    LONG_MS,
  );
});

const CACHE = '/home/claw/.cache';
/** OpenClaw runs a copy of each plugin, and a gateway that lost its power leaves that behind. */
const OPENCLAW_COPIES = '/home/claw/.openclaw/tmp/plugin-captures/';
const OPENCLAW_CACHES = [`${CACHE}/openclaw`, `${CACHE}/openclaw-1000`];

/** What others have made meanwhile on the master, and keep: each path, or a folder that was not there. */
const THEIRS = [
  // useradd and userdel, which the hub's user came and went by, leave their last backup (passwd(5), shadow(5)).
  '/etc/group-',
  '/etc/gshadow-',
  '/etc/passwd-',
  '/etc/shadow-',
  // The gateway, which is OpenClaw's own program, and the person's data in it: their state, keys, media and caches.
  CACHE,
  '/home/claw/.openclaw/cache',
  '/home/claw/.openclaw/config-journal-fingerprint.key',
  '/home/claw/.openclaw/media',
  '/home/claw/.openclaw/state',
  '/home/claw/.openclaw/tmp',
];

async function exposureOf(machine: Machine, unit: string): Promise<number> {
  const said = await machine.succeed(['systemd-analyze', 'security', '--no-pager', unit]);
  return Number(/Overall exposure level for \S+: ([\d.]+)/.exec(said)?.[1]);
}

async function runs(machine: Machine, command: string): Promise<boolean> {
  return (await machine.run(['pgrep', '--full', '--exact', command])).code === 0;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
