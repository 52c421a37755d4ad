import { afterAll, beforeAll, expect, it } from 'vitest';
import type { JobView } from '#src/protocol/hub-api/job.ts';
import type { OperatorView } from '#src/protocol/hub-api/operator.ts';
import type { PairingRequestView } from '#src/protocol/hub-api/pairing-request.ts';
import type { Status } from '#src/protocol/hub-api/status.ts';
import { eventually } from '../support/eventually.ts';
import type { Finished } from './command.ts';
import { deployerOf } from './deployer.ts';
import { describeLab } from './describe-lab.ts';
import type { Lab } from './lab.ts';
import { openLab } from './lab.ts';
import type { Machine } from './machine.ts';
import type { Operator } from './operator.ts';
import { operatorOn } from './operator.ts';
import { expectDone } from './problem.ts';

const SETTINGS = '/var/lib/openclaw-federation/settings.yaml';

/** The steps build on one another. m1 is the master; pat works on m2, a worker, and has a key of their own there. */
describeLab('a person on another machine', 'tailnet', () => {
  let lab: Lab;
  let m1: Machine;
  let m2: Machine;
  let operator: Operator;
  let hubKey: string;

  beforeAll(async () => {
    lab = await openLab({ machines: 2 });
    [m1, m2] = [lab.machine('m1'), lab.machine('m2')];
    for (const machine of lab.machines()) await lab.installPackage(machine);
    operator = operatorOn(m1);
    const { deploy } = deployerOf(lab);
    expectDone(await deploy(m1, ['master', '--light', '--name', 'vps']));
    const words = ['worker', 'vps', '--light', '--name', 'm2', '--token-file', '-'];
    expectDone(await deploy(m2, words, { input: await operator.token('m2') }));
    hubKey = (await operator.status()).fingerprint;
  });
  afterAll(() => lab.close());

  const pat = (...words: readonly string[]): Promise<Finished> =>
    m2.run(['manage-federation', ...words], { user: 'pat' });
  const login = () => pat('login', 'vps', '--name', 'pat', '--hub-key', hubKey);

  it('is told whose machines may operate, and what to write', async () => {
    const { code, stderr } = await login();
    expect(code).toBe(2);
    expect(stderr).toContain('only a machine of the federation’s admins may operate, and this one is of tag:worker');
    expect(stderr).toContain('under hub: admins: ["tag:worker"]');
  });

  it('operates from an admin’s machine by a key that was approved', async () => {
    await m1.succeed(['sed', '-i', 's/^hub:$/hub:\\n  admins: ["tag:worker"]/', SETTINGS]);
    await m1.succeed(['systemctl', 'restart', 'federation-hub']);
    await operator.untilUsable('m2', m2);
    const entering = login();
    const request = await eventually('it waits', async () => {
      const { stdout } = await operator.manage(['pending', '--json']);
      return (JSON.parse(stdout) as PairingRequestView[]).find(({ kind }) => kind === 'operator');
    });
    expect(request).toMatchObject({
      name: 'pat',
      tailnet: { name: expect.stringContaining('m2'), tags: ['tag:worker'] },
    });
    expectDone(await operator.manage(['approve', request.fingerprint]));
    expectDone(await entering);
    const { code, stdout } = await pat('exec', 'm2', '--', 'id', '-un');
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'claw\n' });
    expect((JSON.parse((await pat('status', '--json')).stdout) as Status).fingerprint).toBe(hubKey);
    const [job] = await operator.jobs();
    expect((job as JobView).by).toMatch(/^pat@m2\S* \(tag:worker\)$/);
  });

  it('hears that the tailnet is gone', async () => {
    await m2.succeed(['tailscale', 'down']);
    const { code, stderr } = await pat('list');
    await m2.succeed(['tailscale', 'up']).catch(() => '');
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error: no hub answers at vps:19000\n {2}try: /);
  });

  it('is out as soon as it is revoked', async () => {
    expectDone(await operator.manage(['operators', 'revoke', 'pat']));
    expect(JSON.parse((await operator.manage(['operators', '--json'])).stdout) as OperatorView[]).toEqual([]);
    await eventually('it is told', async () => (await pat('list')).stderr.includes('this operator’s key was revoked'));
  });
});
