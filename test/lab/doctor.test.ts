import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { deployerOf } from './deployer.ts';
import { describeLab } from './describe-lab.ts';
import type { Lab } from './lab.ts';
import { openLab } from './lab.ts';
import type { Machine, User } from './machine.ts';
import type { Operator } from './operator.ts';
import { operatorOn } from './operator.ts';
import { expectDone, problemIn } from './problem.ts';
import { differences, takeSnapshot } from './snapshot.ts';

const HOME = '/home/claw/.openclaw-worker';
const UNIT = '/etc/systemd/system/openclaw-worker.service';
/** What daemons write by themselves when they are started, and systemd when a unit is enabled anew. */
const RESTLESS =
  /^\/var\/lib\/tailscale\/|^\/var\/lib\/openclaw-federation\/|\/\.openclaw-(?:worker|federation)\/(?!node\.key|settings\.yaml)/;

interface Finding {
  readonly check: string;
  readonly state: 'ok' | 'warn' | 'fail';
  readonly found: string;
  readonly mend?: string;
}

/** A machine is healthy after each test. m1 is a master; m2 a worker that root deployed for claw, and one that pat has. */
describeLab('a doctor', 'tailnet', () => {
  let lab: Lab;
  let m1: Machine;
  let m2: Machine;
  let operator: Operator;

  beforeAll(async () => {
    lab = await openLab({ machines: 2 });
    [m1, m2] = [lab.machine('m1'), lab.machine('m2')];
    for (const machine of lab.machines()) await lab.installPackage(machine);
    operator = operatorOn(m1);
    const { deploy } = deployerOf(lab);
    expectDone(await deploy(m1, ['master', '--light', '--name', 'vps']));
    const words = ['worker', 'vps', '--light', '--name', 'm2', '--token-file', '-'];
    expectDone(await deploy(m2, words, { input: await operator.token('m2') }));
    const pats = ['deploy-federation', 'worker', 'vps', '--light', '--user', '--name', 'pats', '--yes'];
    const input = await operator.token('pats');
    expectDone(await m2.run([...pats, '--token-file', '-'], { user: 'pat', input }));
  });
  afterAll(() => lab.close());

  async function examine(machine: Machine, user: User, ...words: string[]) {
    const sudo = user === 'claw' ? ['sudo'] : [];
    const { code, stdout } = await machine.run([...sudo, 'deploy-federation', 'doctor', '--json', ...words], { user });
    return { code, findings: JSON.parse(stdout) as Finding[] };
  }

  const broken = ({ findings }: { readonly findings: readonly Finding[] }) =>
    findings.filter(({ state }) => state !== 'ok');

  const healthy = (machine: Machine, user: User = 'claw') =>
    eventually('all is well', async () => broken(await examine(machine, user)).length === 0, 60_000);

  const shell = (machine: Machine, script: string) => machine.succeed(['sh', '-euc', script]);

  it('finds nothing wrong with what was just deployed', async () => {
    for (const [machine, user] of [
      [m1, 'claw'],
      [m2, 'claw'],
      [m2, 'pat'],
    ] as const) {
      await healthy(machine, user);
      const { code, findings } = await examine(machine, user);
      expect(code).toBe(0);
      expect(findings.length).toBeGreaterThan(8);
    }
  });

  it.each([
    ['a unit that was stopped', 'systemctl stop openclaw-worker', 'fail', 'unit openclaw-worker.service', /not run/],
    [
      'a unit that was disabled',
      'systemctl disable openclaw-worker',
      'fail',
      'unit openclaw-worker.service',
      /at boot/,
    ],
    [
      'a unit that was edited',
      `sed -i s/Restart=always/Restart=no/ ${UNIT}`,
      'warn',
      'unit openclaw-worker.service',
      /not as it was deployed/,
    ],
    ['a unit that is gone', `rm ${UNIT}; systemctl daemon-reload`, 'fail', 'unit openclaw-worker.service', /gone/],
    ['a home that was opened', `chmod 755 ${HOME}`, 'fail', `permissions of ${HOME}`, /0755/],
    ['a key that others may read', `chmod 644 ${HOME}/node.key`, 'fail', `permissions of ${HOME}`, /others may read/],
  ] as const)('names and mends %s, and nothing besides', async (_, damage, state, check, found) => {
    const before = await takeSnapshot(m2);
    await shell(m2, damage);
    const seen = await examine(m2, 'claw');
    expect(broken(seen)).toContainEqual(expect.objectContaining({ check, state, found: expect.stringMatching(found) }));
    expect(seen.code).toBe(broken(seen).some((finding) => finding.state === 'fail') ? 1 : 0);
    await examine(m2, 'claw', '--fix');
    await healthy(m2);
    const changed = [...differences(before, await takeSnapshot(m2))];
    expect(changed.filter(([path]) => !RESTLESS.test(path))).toEqual([]);
    await operator.untilUsable('m2', m2);
  });

  it('names a key that is root’s, and gives nothing of root’s away', async () => {
    await shell(m2, `chown root:root ${HOME}/node.key`);
    for (const words of [[], ['--fix']]) {
      const seen = await examine(m2, 'claw', ...words);
      expect(seen.code).toBe(1);
      expect(broken(seen)).toContainEqual(
        expect.objectContaining({
          check: `permissions of ${HOME}`,
          state: 'fail',
          found: `${HOME}/node.key belongs to root`,
        }),
      );
    }
    expect(await m2.succeed(['stat', '-c', '%U', `${HOME}/node.key`])).toBe('root\n');
    await shell(m2, `chown claw:claw ${HOME}/node.key; systemctl restart openclaw-worker`);
    await healthy(m2);
  });

  it('gives services back to a person who no longer lingers', async () => {
    await shell(m2, 'loginctl disable-linger pat');
    const seen = await examine(m2, 'pat');
    expect(broken(seen)).toContainEqual(expect.objectContaining({ check: 'linger', state: 'fail' }));
    expect(seen.code).toBe(1);
    await examine(m2, 'pat', '--fix');
    await healthy(m2, 'pat');
    expect((await m2.run(['test', '-e', '/var/lib/systemd/linger/pat'])).code).toBe(0);
  });

  it('says of the rest what a person has to do, and leaves it', async () => {
    const settings = `${HOME}/settings.yaml`;
    const text = await m2.read(settings);
    for (const [damage, undo, check, mend] of [
      ['tailscale down', 'tailscale up', 'tailscale', /tailscale up$/],
      [`echo 'nonsense: 1' >>${settings}`, null, `settings ${settings}`, /settings\.yaml$/],
    ] as const) {
      await shell(m2, damage);
      for (const words of [[], ['--fix']]) {
        const seen = await examine(m2, 'claw', ...words);
        expect(seen.code).toBe(1);
        expect(broken(seen)).toContainEqual(
          expect.objectContaining({ check, state: 'fail', mend: expect.stringMatching(mend) }),
        );
      }
      if (undo !== null) await shell(m2, undo);
    }
    expect(await m2.read(settings)).toBe(`${text}nonsense: 1\n`);
    await m2.write(settings, text, { owner: 'claw', mode: '600' });
    await healthy(m2);
  });

  it('sees a disk that is nearly full', async () => {
    await shell(m2, SHRINK);
    await operator.untilUsable('m2', m2);
    for (const words of [[], ['--fix']]) {
      const seen = await examine(m2, 'claw', ...words);
      expect(seen.code).toBe(1);
      expect(broken(seen)).toEqual([expect.objectContaining({ check: `disk ${HOME}`, state: 'fail' })]);
    }
    await shell(m2, GROW);
    await healthy(m2);
  });

  it('mends a master whose hub was stopped', async () => {
    await shell(m1, 'systemctl stop federation-hub.socket federation-hub-plugin.socket federation-hub.service');
    const away = await examine(m2, 'claw');
    expect(away.code).toBe(1);
    expect(broken(away)).toContainEqual(expect.objectContaining({ check: 'hub', state: 'fail' }));
    const seen = await examine(m1, 'claw');
    expect(seen.code).toBe(1);
    expect(broken(seen).map(({ check }) => check)).toEqual(
      expect.arrayContaining(['unit federation-hub.service', 'unit federation-hub.socket', 'hub']),
    );
    await examine(m1, 'claw', '--fix');
    for (const machine of [m1, m2]) await healthy(machine);
  });

  it('of a person sends them to root where root deployed', async () => {
    expect(problemIn(await m1.run(['deploy-federation', 'doctor', '--fix'], { user: 'pat' }))).toEqual({
      code: 1,
      problem: 'error: root deployed this machine\n  try: sudo deploy-federation doctor\n',
    });
  });
});

/** The worker's home comes to lie on a file system of its own, with less room than there should be. */
const SHRINK = `systemctl stop openclaw-worker
mkdir /small
mount -t tmpfs -o size=200m tmpfs /small
cp -a ${HOME} /small/home
mount --bind /small/home ${HOME}
systemctl start openclaw-worker`;

const GROW = `systemctl stop openclaw-worker
umount ${HOME} /small
rmdir /small
systemctl start openclaw-worker`;
