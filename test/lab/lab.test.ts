import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { run } from './command.ts';
import { describeLab } from './describe-lab.ts';
import type { Lab } from './lab.ts';
import { openLab } from './lab.ts';
import { remainsOf, sweepRuns } from './run-folder.ts';

const ABANDONED = fileURLToPath(new URL('./abandoned-lab.ts', import.meta.url));

describeLab('a lab of four machines', 'machines', () => {
  let lab: Lab;

  beforeAll(async () => {
    lab = await openLab({ machines: 4, tailnet: false });
  });
  afterAll(() => lab.close());

  const reaches = async (from: string, to: string) =>
    (await lab.machine(from).run(['ping', '-c', '1', '-W', '1', `${to}.lan`])).code === 0;

  it('has machines whose systemd has no failed unit, and which reach one another by name', async () => {
    expect(await Promise.all(lab.machines().map((machine) => machine.state()))).toEqual(Array(4).fill('running'));
    expect(await reaches('m1', 'm4')).toBe(true);
  });

  it('runs commands as one of the people, with input, exit code and a session of their own', async () => {
    const machine = lab.machine('m1');
    const argv = ['sh', '-c', 'cat; id -un; echo "$XDG_RUNTIME_DIR" >&2; systemctl --user is-system-running; exit 7'];
    expect(await machine.run(argv, { user: 'claw', input: 'in ' })).toEqual({
      code: 7,
      stdout: 'in claw\nrunning\n',
      stderr: '/run/user/1000\n',
    });
    expect((await machine.run(['sudo', '-n', 'true'], { user: 'claw' })).code).toBe(0);
    expect((await machine.run(['sudo', '-n', 'true'], { user: 'pat' })).code).toBe(1);
  });

  it('writes files that belong to one of the people, and reads them', async () => {
    const machine = lab.machine('m1');
    await machine.write('/home/claw/a file', 'words\n', { owner: 'claw', mode: '600' });
    expect(await machine.read('/home/claw/a file')).toBe('words\n');
    expect(await machine.succeed(['stat', '-c', '%U %a', '/home/claw/a file'])).toBe('claw 600\n');
  });

  it('is reached by ssh from this host, and the machines reach one another', async () => {
    const ssh = (...argv: string[]) =>
      run(['ssh', ...argv], { env: { PATH: `${lab.sshPath}:${process.env['PATH']}` } });
    expect(await ssh('claw@10.77.0.12', 'hostname; ssh root@m3.lan hostname')).toEqual({
      code: 0,
      stdout: 'm2\nm3\n',
      stderr: '',
    });
    expect((await ssh('-o', 'UserKnownHostsFile=/dev/null', '-o', 'BatchMode=yes', 'pat@m2', 'true')).code).toBe(255);
  });

  it('has nothing on a machine that deploying is to bring', async () => {
    const programs = ['node', 'npm', 'openclaw', 'tailscale', 'tailscaled'];
    const { stdout } = await lab.machine('m1').run(['sh', '-c', 'command -v "$@"', 'sh', ...programs]);
    expect(stdout).toBe('');
  });

  it('starts a machine again that reboots, with its files and its journal', async () => {
    const machine = lab.machine('m2');
    await machine.write('/root/kept', 'kept');
    const bootId = () => machine.read('/proc/sys/kernel/random/boot_id');
    const before = await bootId();
    await machine.reboot();
    expect(await machine.state()).toBe('running');
    expect(await machine.read('/root/kept')).toBe('kept');
    expect(await bootId()).not.toBe(before);
    expect(await machine.succeed(['journalctl', '--list-boots', '--quiet'])).toMatch(/^ *-1 .*\n +0 .*\n/);
  });

  it('crashes a machine at once, with all that runs in it, and starts it again', async () => {
    const machine = lab.machine('m3');
    await machine.succeed(['systemd-run', '--unit=victim', 'sleep', '86400']);
    await machine.crash();
    expect(await reaches('m1', 'm3')).toBe(false);
    await expect(machine.run(['true'])).rejects.toThrow('m3 is off');
    await machine.start();
    expect((await machine.run(['systemctl', 'is-active', 'victim'])).stdout).toBe('inactive\n');
    expect(await reaches('m1', 'm3')).toBe(true);
  });

  it('cuts a machine off, seen by it or not, and restores it', async () => {
    const machine = lab.machine('m4');
    const carrier = () => machine.succeed(['cat', '/sys/class/net/eth0/carrier']);
    await machine.cut();
    expect([await reaches('m1', 'm4'), await reaches('m4', 'm1'), await carrier()]).toEqual([false, false, '1\n']);
    await machine.restore();
    expect(await reaches('m1', 'm4')).toBe(true);
    await machine.unplug();
    expect([await reaches('m1', 'm4'), await carrier()]).toEqual([false, '0\n']);
    await machine.restore();
    expect(await reaches('m1', 'm4')).toBe(true);
  });
});

describeLab('a lab that is closed', 'machines', () => {
  it('leaves nothing, even where a machine is off and another is busy', async () => {
    const lab = await openLab({ machines: 2, tailnet: false });
    await lab.machine('m1').crash();
    await lab.machine('m2').succeed(['systemd-run', 'sh', '-c', 'trap "" TERM; sleep 86400']);
    expect(await remainsOf(lab.run)).not.toEqual([]);
    await lab.close();
    expect(await remainsOf(lab.run)).toEqual([]);
  });

  it('is swept away by the next, where its process was killed', async () => {
    const child = spawn(process.execPath, ['--conditions=federation-source', ABANDONED], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (said += chunk));
    const folder = await eventually('the other lab is open', () => /^(.+)\n/.exec(said)?.[1], 60_000);
    const abandoned = { id: basename(folder), folder };
    child.kill('SIGKILL');
    await once(child, 'close');
    expect(await remainsOf(abandoned)).not.toEqual([]);
    await sweepRuns();
    expect(await remainsOf(abandoned)).toEqual([]);
  });
});
