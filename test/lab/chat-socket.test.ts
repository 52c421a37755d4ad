import { afterAll, beforeAll, expect, it } from 'vitest';
import type { ChatAsker } from '#src/core/policy.ts';
import { ASKER_HEADER, encodeAsker } from '#src/protocol/asker.ts';
import { deployerOf } from './deployer.ts';
import { describeLab } from './describe-lab.ts';
import type { Lab } from './lab.ts';
import { openLab } from './lab.ts';
import type { Machine, User } from './machine.ts';
import { expectDone } from './problem.ts';
import { unitState } from './unit-state.ts';

const OPERATOR = '/run/openclaw-federation/operator.sock';
const PLUGIN = '/run/openclaw-federation/plugin.sock';
const SOCKET_UNIT = 'federation-hub-plugin.socket';
const MASTER = ['master', '--light', '--name', 'vps'];
const OWNER: ChatAsker = { kind: 'chat', channel: 'telegram', sender: '1001', owner: true };

/** The steps build on one another. The gateway of m1 would run as `claw`. */
describeLab('the socket of the gateway’s plugin', 'tailnet', () => {
  let lab: Lab;
  let m1: Machine;

  beforeAll(async () => {
    lab = await openLab({ machines: 1 });
    m1 = lab.machine('m1');
    await lab.installPackage(m1);
    expectDone(await deployerOf(lab).deploy(m1, MASTER));
  });
  afterAll(() => lab.close());

  /** Status of the answer; null where no connection came about. */
  async function asked(user: User, socket: string, said?: ChatAsker): Promise<number | null> {
    const header = said === undefined ? [] : ['-H', `${ASKER_HEADER}: ${encodeAsker(said)}`];
    const words = ['-s', '-o', '/dev/null', '-w', '%{http_code}', '--unix-socket', socket, ...header];
    const { code, stdout } = await m1.run(['curl', ...words, 'http://localhost/api/v1/status'], { user });
    return code === 0 ? Number(stdout) : null;
  }

  async function expectBoth(): Promise<void> {
    expect(await asked('claw', PLUGIN, OWNER)).toBe(200);
    expect(await asked('claw', PLUGIN, { ...OWNER, owner: false })).toBe(403);
    expect(await asked('claw', PLUGIN)).toBe(401);
    expect(await asked('claw', OPERATOR)).toBe(200);
    expect(await asked('claw', OPERATOR, OWNER)).toBe(403);
  }

  it('is the gateway’s user’s alone, and each of the two sockets is answered as what it is', async () => {
    expect(await m1.succeed(['stat', '-c', '%a %U', OPERATOR, PLUGIN])).toBe('600 claw\n600 claw\n');
    await expectBoth();
    expect(await asked('pat', PLUGIN, OWNER)).toBeNull();
  });

  it('is there again after the hub was killed, and after the machine was', async () => {
    await m1.succeed(['systemctl', 'kill', '--signal=KILL', 'federation-hub.service']);
    await expectBoth();
    await m1.crash();
    await m1.start();
    await expectBoth();
  });

  it('comes to a master that was deployed without it, where the hub runs', async () => {
    const folder = '/etc/systemd/system';
    await m1.succeed(['systemctl', 'disable', '--now', SOCKET_UNIT]);
    await m1.succeed(['rm', `${folder}/${SOCKET_UNIT}`]);
    await m1.succeed(['sed', '-i', `s/ ${SOCKET_UNIT}//`, `${folder}/federation-hub.service`]);
    await m1.succeed(['systemctl', 'daemon-reload']);
    await m1.succeed(['systemctl', 'start', 'federation-hub.service']);
    expect(await asked('claw', OPERATOR)).toBe(200);
    expect(await asked('claw', PLUGIN, OWNER)).toBeNull();
    expectDone(await deployerOf(lab).deploy(m1, MASTER));
    expect(await unitState(m1, SOCKET_UNIT, 'ActiveState', 'UnitFileState')).toEqual({
      ActiveState: 'active',
      UnitFileState: 'enabled',
    });
    await expectBoth();
  });

  it('goes with all that was deployed', async () => {
    expectDone(await deployerOf(lab).uninstall(m1));
    expect(await unitState(m1, SOCKET_UNIT, 'LoadState', 'ActiveState')).toEqual({
      LoadState: 'not-found',
      ActiveState: 'inactive',
    });
    expect((await m1.run(['ls', '-A', '/run/openclaw-federation'])).stdout).toBe('');
  });
});
