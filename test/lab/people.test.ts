import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import type { Seclusion } from './container.ts';
import { startContained } from './container.ts';
import { deployerOf } from './deployer.ts';
import { describeLab } from './describe-lab.ts';
import type { Lab } from './lab.ts';
import { openLab } from './lab.ts';
import type { Machine } from './machine.ts';
import type { Operator } from './operator.ts';
import { operatorOn } from './operator.ts';
import { expectDone, problemIn } from './problem.ts';
import type { Snapshot } from './snapshot.ts';
import { differences, takeSnapshot } from './snapshot.ts';
import { startTimes } from './unit-state.ts';

const PAT = { user: 'pat' } as const;
/** What the machine itself writes on, whoever is deployed. */
const RESTLESS = /^\/var\/lib\/tailscale\/|^\/home\/claw\/\.openclaw-worker\//;

/**
 * The steps build on one another. m1 is a master, deployed by claw for the whole machine, and m2 claw's worker; pat may
 * not use sudo. m3 stays without a tailnet; later an encrypted tunnel leads from there to the master.
 */
describeLab('people who share machines', 'tailnet', () => {
  let lab: Lab;
  let m1: Machine;
  let m2: Machine;
  let m3: Machine;
  let operator: Operator;
  let before: Snapshot;

  beforeAll(async () => {
    lab = await openLab({ machines: 3 });
    [m1, m2, m3] = [lab.machine('m1'), lab.machine('m2'), lab.machine('m3')];
    for (const machine of lab.machines()) await lab.installPackage(machine);
    await m2.succeed(['groupadd', 'media']);
    await m2.succeed(['usermod', '--append', '--groups', 'media', 'pat']);
    operator = operatorOn(m1);
    const { deploy } = deployerOf(lab);
    expectDone(await deploy(m1, ['master', '--light', '--name', 'vps']));
    const words = ['worker', 'vps', '--light', '--name', 'm2', '--token-file', '-'];
    expectDone(await deploy(m2, words, { input: await operator.token('m2') }));
  });
  afterAll(() => lab.close());

  /** In a login shell, as they type it: what was deployed for them alone is on their own PATH. */
  const types = (machine: Machine, user: 'claw' | 'pat', words: readonly string[], input = '') =>
    machine.run(['bash', '-lc', '"$@"', 'bash', ...words], { user, input });

  const idOf = (name: string) => operator.exec(name, ['id', '-un']);

  const lingers = async (machine: Machine, user: string) =>
    (await machine.run(['test', '-e', `/var/lib/systemd/linger/${user}`])).code === 0;

  async function changes(machine: Machine, since: Snapshot): Promise<string[]> {
    return [...differences(since, await takeSnapshot(machine)).keys()].filter((path) => !RESTLESS.test(path));
  }

  it('each have a worker of their own on one machine, where neither disturbs the other', async () => {
    before = await takeSnapshot(m2);
    const started = await startTimes(m2);
    const words = ['worker', 'vps', '--light', '--user', '--name', 'pats', '--yes', '--token-file', '-'];
    const { code, stderr } = await types(m2, 'pat', ['deploy-federation', ...words], await operator.token('pats'));
    expect({ code, stderr }).toMatchObject({ code: 0, stderr: expect.stringMatching(/\npats is a member of vps\n$/) });
    expect([await idOf('pats'), await idOf('m2')]).toMatchObject([{ stdout: 'pat\n' }, { stdout: 'claw\n' }]);
    expect(await startTimes(m2)).toEqual(started);
    expect(await changes(m2, before)).toSatisfy((paths: string[]) =>
      paths.every((path) => path.startsWith('/home/pat/') || path.startsWith('/var/lib/systemd/linger')),
    );
    expect(await m2.succeed(['systemctl', '--user', 'is-enabled', 'openclaw-worker.service'], PAT)).toBe('enabled\n');
  });

  it('find nothing to do a second time, and nothing wrong', async () => {
    const words = ['worker', 'vps', '--light', '--user', '--name', 'pats', '--yes'];
    const again = await types(m2, 'pat', ['deploy-federation', ...words]);
    expect(again).toMatchObject({ code: 0, stderr: expect.stringContaining('\nnothing to change\n') });
    expect(await types(m2, 'pat', ['deploy-federation', 'doctor'])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('ok    linger: pat’s services run without a login\n'),
    });
    expectDone(await types(m2, 'claw', ['sudo', 'deploy-federation', 'doctor']));
  });

  it('have their workers again after a reboot, without logging in', async () => {
    await m2.reboot();
    await operator.untilUsable('pats', m2);
    await operator.untilUsable('m2', m2);
    expect([await idOf('pats'), await idOf('m2')]).toMatchObject([{ stdout: 'pat\n' }, { stdout: 'claw\n' }]);
  });

  it('take back what is theirs, and nothing else: linger too', async () => {
    expectDone(await types(m2, 'pat', ['deploy-federation', 'uninstall', '--yes']));
    expect(await changes(m2, before)).toEqual([]);
    expect(await lingers(m2, 'pat')).toBe(false);
    expect((await m2.run(['pgrep', '-u', 'pat', '-f', 'federation'])).stdout).toBe('');
    expect(await idOf('m2')).toMatchObject({ stdout: 'claw\n' });
  });

  it('who lingered before do so afterwards', async () => {
    await m2.succeed(['loginctl', 'enable-linger', 'pat']);
    const words = ['worker', 'vps', '--light', '--user', '--name', 'pats', '--exec', 'off', '--yes'];
    expectDone(await types(m2, 'pat', ['deploy-federation', ...words]));
    expectDone(await types(m2, 'pat', ['deploy-federation', 'uninstall', '--yes']));
    expect(await lingers(m2, 'pat')).toBe(true);
    await m2.succeed(['loginctl', 'disable-linger', 'pat']);
    expect(await changes(m2, before)).toEqual([]);
  });

  it('without root are told what takes root', async () => {
    expect(problemIn(await types(m2, 'pat', ['deploy-federation', 'doctor', '--fix']))).toEqual({
      code: 1,
      problem: 'error: root deployed this machine\n  try: sudo deploy-federation doctor\n',
    });
    expect(problemIn(await types(m2, 'pat', ['deploy-federation', 'uninstall', '--yes']))).toEqual({
      code: 1,
      problem: 'error: root deployed this machine\n  try: sudo deploy-federation uninstall\n',
    });
    const start = ['deploy-federation', 'worker', 'vps', '--light', '--user', '--yes'];
    expect(problemIn(await types(m3, 'pat', start))).toEqual({
      code: 1,
      problem: 'error: Tailscale is not installed\n  try: deploy with sudo; or do without a tailnet: --no-tailscale\n',
    });
  });

  it('may have a master without root, and on the same machine a worker of it', async () => {
    const untouched = await takeSnapshot(m3);
    const master = ['deploy-federation', 'master', '--light', '--user', '--no-tailscale', '--yes'];
    expectDone(await types(m3, 'pat', master));
    const created = await types(m3, 'pat', ['manage-federation', 'token', 'create', '--name', 'claws', '--json']);
    const { token } = JSON.parse(created.stdout) as { token: string };
    const worker = ['deploy-federation', 'worker', '127.0.0.1', '--light', '--user', '--no-tailscale', '--yes'];
    const joined = await types(m3, 'claw', [...worker, '--name', 'claws', '--token-file', '-'], token);
    expectDone(joined);
    await m3.reboot();
    const asked = ['manage-federation', 'exec', 'claws', '--', 'id', '-un'];
    await eventually(
      'the worker is usable after the reboot',
      async () => (await types(m3, 'pat', asked)).stdout === 'claw\n',
      30_000,
    );
    expectDone(await types(m3, 'pat', ['deploy-federation', 'doctor']));
    expect((await types(m3, 'claw', ['manage-federation', 'list'])).code).not.toBe(0);
    for (const user of ['claw', 'pat'] as const) {
      expectDone(await types(m3, user, ['deploy-federation', 'uninstall', '--yes']));
    }
    expect(await changes(m3, untouched)).toEqual([]);
  });

  it('get commands run in their name, and with their groups, where root deploys for them', async () => {
    expectDone(await types(m2, 'claw', ['sudo', 'deploy-federation', 'uninstall', '--yes']));
    const { deploy } = deployerOf(lab);
    const words = ['worker', 'vps', '--light', '--name', 'for-pat', '--run-as', 'pat', '--token-file', '-'];
    expectDone(await deploy(m2, words, { input: await operator.token('for-pat') }));
    const shown = await operator.exec('for-pat', ['sh', '-c', 'id -un; id -Gn; pwd; touch made; stat -c %U made']);
    expect(shown).toMatchObject({ code: 0, stdout: 'pat\npat media\n/home/pat\npat\n' });
    expect(await m2.succeed(['stat', '-c', '%U %a', '/home/pat/.openclaw-worker'])).toBe('pat 700\n');
  });

  it('are found again by whoever is root, and are not exchanged for each other', async () => {
    const again = ['deploy-federation', 'worker', 'vps', '--light', '--name', 'for-pat', '--yes'];
    const nothing = { code: 0, stderr: expect.stringContaining('\nnothing to change\n') };
    expect(await m2.run(again)).toMatchObject(nothing);
    expect(await types(m2, 'claw', ['sudo', ...again])).toMatchObject(nothing);
    expect(await types(m2, 'claw', ['sudo', 'deploy-federation', 'doctor'])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('ok    permissions of /home/pat/.openclaw-worker: for pat alone\n'),
    });
    expect(await m2.run([...again, '--run-as', 'claw'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('error: this machine is deployed for pat, not for claw\n'),
    });
    expect(await m2.run([...again, '--run-as', 'nobody-here'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('error: there is no user "nobody-here" on this machine\n'),
    });
    await m2.succeed(['rm', '/home/pat/made']);
    expectDone(await types(m2, 'claw', ['sudo', 'deploy-federation', 'uninstall', '--yes']));
    expect((await m2.run(['test', '-e', '/home/pat/.openclaw-worker'])).code).toBe(1);
  });

  const TUNNEL = '127.0.0.1:19900';

  async function dig(): Promise<void> {
    const forward = ['ssh', '-N', '-o', 'ExitOnForwardFailure=yes', '-L', `${TUNNEL}:127.0.0.1:19000`, 'pat@m1.lan'];
    await m3.succeed(['systemd-run', '--quiet', '--uid=pat', '--setenv=HOME=/home/pat', ...forward]);
    await eventually('the tunnel leads to the hub', async () => {
      return (await m3.run(['curl', '--silent', '--fail', `http://${TUNNEL}/health`])).code === 0;
    });
  }

  it('a worker runs in the foreground where there is no systemd', async () => {
    await dig();
    for (const seclusion of ['plain', 'first'] as const satisfies readonly Seclusion[]) {
      const home = `/home/pat/${seclusion}`;
      await m3.write('/home/pat/token', await operator.token(seclusion), { owner: 'pat', mode: '600' });
      const words = ['deploy-federation', 'worker', TUNNEL, '--foreground', '--light', '--no-tailscale'];
      const more = ['--name', seclusion, '--home', home, '--token-file', '/home/pat/token'];
      const worker = await startContained(m3, `${seclusion}-1`, seclusion, [...words, ...more]);
      await worker.says(`${seclusion} is a member of the federation at ${TUNNEL}`);
      expect(await operator.exec(seclusion, ['sh', '-c', 'id -un; ls -A /run'])).toMatchObject({ stdout: 'pat\n' });
      const { id } = await operator.node(seclusion);

      // What it leaves behind belongs to the first process; a daemon that only forks would keep it as a zombie.
      expect(await operator.exec(seclusion, ['sh', '-c', '(setsid sleep 0.2 &) ; true'])).toMatchObject({ code: 0 });
      await eventually(
        'the orphan is gone',
        async () => !(await worker.processes()).some((line) => /sleep/.test(line)),
      );
      expect((await worker.processes()).filter((line) => line.startsWith('Z'))).toEqual([]);

      const running = operator.exec(seclusion, ['sh', '-c', 'setsid sleep 4321 & sleep 4322']);
      await eventually('both commands run', async () => {
        return (await worker.processes()).filter((line) => /sleep 432[12]$/.test(line)).length >= 2;
      });
      expect(await worker.stop()).toBe('0');
      expect(await running).toMatchObject({ outcome: 'cancelled' });
      expect(await worker.processes()).toEqual([]);
      expect((await worker.log()).trimEnd().split('\n')).toEqual(expect.arrayContaining(['stopping', 'stopped']));

      const again = ['deploy-federation', 'worker', '--foreground', '--light', '--home', home];
      const second = await startContained(m3, `${seclusion}-2`, seclusion, again);
      await second.says(`${seclusion} is a member of the federation at ${TUNNEL}`);
      expect(await operator.node(seclusion)).toMatchObject({ id, state: 'online' });
      expect(await operator.exec(seclusion, ['id', '-un'])).toMatchObject({ stdout: 'pat\n' });
      expect(await second.stop()).toBe('0');
      expect(await m3.succeed(['stat', '-c', '%U %a', home])).toBe('pat 700\n');
    }
    expect((await m3.run(['test', '-e', '/home/pat/.openclaw-worker'])).code).toBe(1);
  });

  it('a master runs in the foreground where there is no systemd, and knows its nodes again', async () => {
    const home = '/home/pat/master';
    const words = ['deploy-federation', 'master', '--foreground', '--light', '--no-tailscale', '--home', home];
    const manage = (...more: string[]) => m3.succeed(['manage-federation', '--home', home, '--json', ...more], PAT);
    const nodes = async () => JSON.parse(await manage('list')) as { id: string; name: string; state: string }[];
    const first = await startContained(m3, 'master-1', 'first', [...words, '--name', 'home']);
    await first.says('ready; in another terminal:');
    const before = await nodes();
    expect(before).toMatchObject([{ name: 'home', role: 'master', state: 'online' }]);
    expect(await first.stop()).toBe('0');
    expect(await first.processes()).toEqual([]);
    const second = await startContained(m3, 'master-2', 'first', words);
    await second.says('ready; in another terminal:');
    expect(await nodes()).toMatchObject([{ id: before[0]?.id, name: 'home', state: 'online' }]);
    expect(await second.stop()).toBe('0');
  });
});
