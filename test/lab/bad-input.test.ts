import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { watchCommandLines } from './command-lines.ts';
import type { Finished } from './command.ts';
import { startContained } from './container.ts';
import { deployerOf } from './deployer.ts';
import { describeLab } from './describe-lab.ts';
import type { Lab } from './lab.ts';
import { openLab } from './lab.ts';
import type { Machine, RunOptions } from './machine.ts';
import type { Operator } from './operator.ts';
import { operatorOn } from './operator.ts';
import { expectDone, problemIn } from './problem.ts';
import { differences, takeSnapshot } from './snapshot.ts';

const CLAW = { user: 'claw' } as const;
/** The hub of m1, as m3 reaches it without a tailnet. */
const TUNNEL = '127.0.0.1:19900';
const LIGHT = ['--light', '--no-tailscale', '--yes'];
const WORKER_HOME = '/home/pat/.openclaw-worker';
/** What useradd keeps of a time before. */
const KEPT = /^\/etc\/(?:passwd|shadow|group|gshadow)-$/;

type Refusal = readonly [words: readonly string[], code: number, problem: RegExp];

/**
 * m1 is a master of a tailnet; m3 is in none, and reaches its hub by a tunnel. A machine is left as it was by each test.
 */
describeLab('what can’t be deployed', 'tailnet', () => {
  let lab: Lab;
  let m1: Machine;
  let m2: Machine;
  let m3: Machine;
  let operator: Operator;

  beforeAll(async () => {
    lab = await openLab({ machines: 3 });
    [m1, m2, m3] = [lab.machine('m1'), lab.machine('m2'), lab.machine('m3')];
    for (const machine of lab.machines()) await lab.installPackage(machine);
    operator = operatorOn(m1);
    expectDone(await deployerOf(lab).deploy(m1, ['master', '--light', '--name', 'vps']));
    const forward = ['ssh', '-N', '-o', 'ExitOnForwardFailure=yes', '-L', `${TUNNEL}:127.0.0.1:19000`, 'claw@m1.lan'];
    await m3.succeed(['systemd-run', '--quiet', '--uid=claw', '--setenv=HOME=/home/claw', ...forward]);
    await eventually('the tunnel leads to the hub', async () => {
      return (await m3.run(['curl', '--silent', '--fail', `http://${TUNNEL}/health`])).code === 0;
    });
  });
  afterAll(() => lab.close());

  const deploy = (words: readonly string[], options: RunOptions = {}) =>
    m3.run(['sudo', 'deploy-federation', ...words], { ...CLAW, ...options });

  /** As root, for pat. */
  const forPat = (...words: readonly string[]) =>
    m3.run(['deploy-federation', 'worker', TUNNEL, ...LIGHT, '--run-as', 'pat', ...words]);

  const uninstall = (machine = m3) => machine.run(['sudo', 'deploy-federation', 'uninstall', '--yes'], CLAW);

  function expectRefusal(finished: Finished, code: number, problem: RegExp): void {
    const found = problemIn(finished);
    expect(found).toEqual({ code, problem: expect.stringMatching(problem) });
    expect(found.problem).toMatch(/^error: [^\n]+\n {2}try: [^\n]+\n$/);
    expect(finished.stderr.match(/^error: /gm)).toHaveLength(1);
  }

  async function expectRefusals(
    cases: readonly Refusal[],
    run: (words: readonly string[]) => Promise<Finished> = deploy,
  ) {
    for (const [words, code, problem] of cases) expectRefusal(await run(words), code, problem);
  }

  /** Whatever is done, the machine is as before. */
  async function unchanged(machine: Machine, work: () => Promise<void>): Promise<void> {
    const before = await takeSnapshot(machine);
    await work();
    const found = [...differences(before, await takeSnapshot(machine))];
    expect(found.filter(([path]) => !KEPT.test(path))).toEqual([]);
  }

  it('is what makes no sense', async () => {
    const worker = (...words: string[]) => ['worker', ...words, ...LIGHT];
    await m3.write('/home/claw/noise', Buffer.alloc(100_000, 'ü').toString('latin1'), { owner: 'claw' });
    await unchanged(m3, () =>
      expectRefusals([
        [worker('a;touch /pwned'), 2, /names no machine/],
        [worker('x$(touch /pwned)'), 2, /names no machine/],
        [worker('vps:99999'), 2, /port/],
        [worker('--oops'), 2, /unknown option/],
        [worker(), 2, /which master\?/],
        [worker('vps', '--name', '../x'), 2, /node name/],
        [worker('vps', '--name', 'No Name!'), 2, /node name/],
        [worker('vps', '--system', '--user'), 2, /--system and --user don’t go together/],
        [worker('vps', '--token', 'abc'), 2, /not a join token/],
        [worker('vps', '--token-file', '/home/claw/noise'), 2, /not a join token/],
        [worker('vps', '--token-file', '/nowhere'), 2, /can’t be read/],
        [worker('vps', '--home', '/srv'), 2, /--home is for --foreground/],
        [worker('vps', '--run-as', 'pat;id'), 2, /not the name of a user/],
        [['master', 'vps', ...LIGHT], 2, /too many arguments/],
        [['hybrid', 'vps', '--keep-gateway', '--yes'], 2, /--keep-gateway is for a worker/],
        [['worker', 'vps', '--tailscale-base-url', 'file:///etc', '--yes'], 2, /not an http or https address/],
        [['worker', 'vps', '--openclaw-version', 'x$(id)', '--yes'], 2, /not a version/],
      ]),
    );
  });

  it('is a worker of what is no master', async () => {
    const other = [
      'deploy-federation',
      'master',
      '--foreground',
      '--light',
      '--no-tailscale',
      '--home',
      '/home/pat/hub',
    ];
    const hub = await startContained(m3, 'other-hub', 'plain', [...other, '--port', '19100']);
    await hub.says('ready; in another terminal:');
    const input = await operator.token('m3');
    const before = await takeSnapshot(m3);
    await expectRefusals(
      [
        [['nobody.lan'], 1, /nothing answers at nobody\.lan:19000/],
        [['10.77.0.99'], 1, /nothing answers at 10\.77\.0\.99:19000/],
        [['127.0.0.1:22'], 2, /what answers at 127\.0\.0\.1:22 is no hub/],
        [['10.77.0.254:80'], 2, /does not answer as a hub/],
        [['127.0.0.1:19100'], 2, /the join token is of another hub/],
      ],
      (words) => deploy(['worker', ...words, ...LIGHT, '--token-file', '-'], { input }),
    );
    const found = [...differences(before, await takeSnapshot(m3)).keys()];
    expect(found.filter((path) => !path.startsWith('/home/pat/hub/'))).toEqual([]);
    expect(await hub.stop()).toBe('0');
    await m3.succeed(['rm', '-r', '/home/pat/hub']);
  });

  it('is a worker whose token does not let it in', async () => {
    const join = (input: string) =>
      deploy(['worker', TUNNEL, '--name', 'm3', ...LIGHT, '--token-file', '-'], { input });
    // No token is made for the name of a member.
    const used = await operator.token('m3');
    const expired = await operator.token('m3', '--ttl', '1s');
    onTestFinished(() => operator.revoke('m3'));
    await unchanged(m3, async () => {
      expectDone(await join(used));
      expectDone(await uninstall());
      expectRefusal(await join(expired), 2, /join token has expired|unknown, used up or expired/);
      expectRefusal(await join(used), 2, /unknown, used up or expired/);
      expectRefusal(await join(await operator.token('other')), 2, /for a node named other, not m3/);
      expectRefusal(await join(await operator.token('other', '--role', 'hybrid')), 2, /for a hybrid, not for a worker/);
      expectRefusal(await join(used.slice(0, -1)), 2, /not a join token/);
      expectRefusal(await join(''), 2, /nothing came by standard input/);
    });
    expect((await operator.status()).pending).toBe(0);
  });

  it('is a machine that ssh does not reach', async () => {
    const known = await m1.read('/etc/ssh/ssh_known_hosts');
    const key = await m1.read('/home/claw/.ssh/id_ed25519');
    const to = (target: string) => m1.run(['deploy-federation', 'worker', TUNNEL, ...LIGHT, '--ssh', target], CLAW);
    await unchanged(m3, async () => {
      expectRefusal(await to('claw@nobody.lan'), 1, /is a name that nobody knows/);
      expectRefusal(await to('claw@10.77.0.99'), 1, /can’t be reached from here|does not answer/);
      expectRefusal(await to('nobody@m3.lan'), 1, /does not let us in/);
      expectRefusal(await to('-oProxyCommand=touch /pwned'), 2, /no machine that ssh can reach/);
      await m1.succeed(['rm', '/home/claw/.ssh/id_ed25519']);
      expectRefusal(await to('claw@m3.lan'), 1, /does not let us in/);
      await m1.write('/home/claw/.ssh/id_ed25519', key, { owner: 'claw', mode: '600' });
      await m1.write('/etc/ssh/ssh_known_hosts', known.replaceAll(/^m3,.*\n/gm, ''));
      expectRefusal(await to('claw@m3.lan'), 1, /host key that is not known here/);
      const [m2Key = ''] = /(?<=^m2,\S+ ).*/m.exec(known) ?? [];
      await m1.write('/etc/ssh/ssh_known_hosts', known.replaceAll(/^(m3,\S+) .*/gm, `$1 ${m2Key}`));
      expectRefusal(await to('claw@m3.lan'), 1, /shows another host key than before/);
    });
    await m1.write('/etc/ssh/ssh_known_hosts', known);
    expect((await m1.run(['test', '-e', '/pwned'])).code).toBe(1);
  });

  it('is not a machine whose login shell talks, and whose host name is hostile', async () => {
    const bashrc = await m3.read('/home/claw/.bashrc');
    const noise =
      'echo "uid=0(root) WELCOME"; echo noise >&2; printf "federation facts begin\\nno newline at the end"\n';
    const hostile = 'x\\n0.uid\\0; touch /pwned \\033[2J$(touch /pwned)';
    await unchanged(m3, async () => {
      await m3.write(
        '/home/claw/fake/uname',
        `#!/bin/sh\n[ "$1" = -n ] && printf '${hostile}' && exit\nexec /bin/uname "$@"\n`,
        {
          owner: 'claw',
          mode: '755',
        },
      );
      await m3.write('/home/claw/.bashrc', `${noise}PATH=/home/claw/fake:$PATH\n${bashrc}`, { owner: 'claw' });
      const there = ['--ssh', 'claw@m3.lan'];
      const deployed = await m1.run(['deploy-federation', 'worker', TUNNEL, ...LIGHT, ...there], CLAW);
      expect(deployed).toMatchObject({ code: 0, stdout: '' });
      for (const noise of ['\u001b', 'WELCOME', 'noise']) expect(deployed.stderr).not.toContain(noise);
      const settings = await m3.read('/home/claw/.openclaw-worker/settings.yaml');
      const [, name = ''] = /^name: ([a-z0-9-]{1,63})$/m.exec(settings) ?? [];
      expect((await operator.manage(['approve', name, '--yes'])).code).toBe(0);
      await operator.untilUsable(name, m3);
      expect(await operator.exec(name, ['echo', 'heard'])).toMatchObject({ code: 0, stdout: 'heard\n' });
      expect(await m1.run(['deploy-federation', 'doctor', ...there], CLAW)).toMatchObject({ code: 0 });
      expect(await m1.run(['deploy-federation', 'uninstall', '--yes', ...there], CLAW)).toMatchObject({ code: 0 });
      await m3.write('/home/claw/.bashrc', bashrc, { owner: 'claw' });
      await m3.succeed(['rm', '-r', '/home/claw/fake']);
      await operator.manage(['revoke', name, '--yes']);
    });
    for (const machine of [m1, m3]) expect((await machine.run(['test', '-e', '/pwned'])).code).toBe(1);
  });

  it('is a machine that we have no programs for', async () => {
    await unchanged(m3, async () => {
      for (const [option, answer, problem] of [
        ['-m', 'armv7l', /no Node of ours for armv7l/],
        ['-m', 'riscv64', /no Node of ours for riscv64/],
        ['-s', 'Darwin', /runs darwin, which has no systemd/],
      ] as const) {
        const script = `#!/bin/sh\n[ "$1" = ${option} ] && echo ${answer} && exit\nexec /bin/uname "$@"\n`;
        await m3.write('/root/fake/uname', script, { mode: '755' });
        const words = ['deploy-federation', 'worker', TUNNEL, ...LIGHT];
        expectRefusal(await m3.run(['env', 'PATH=/root/fake:/usr/bin:/bin', ...words]), 2, problem);
      }
      await m3.succeed(['rm', '-r', '/root/fake']);
      for (const version of ['2025.1.1', '2031.1.1']) {
        const folder = '/usr/local/lib/node_modules/openclaw';
        await m3.write(`${folder}/package.json`, `{"name": "openclaw", "version": "${version}"}`);
        await m3.write(`${folder}/openclaw.mjs`, '#!/bin/sh\n', { mode: '755' });
        await m3.succeed(['ln', '-sf', '../lib/node_modules/openclaw/openclaw.mjs', '/usr/local/bin/openclaw']);
        const problem = new RegExp(`OpenClaw ${version} is not supported`);
        for (const role of [['master'], ['worker', TUNNEL], ['hybrid', TUNNEL]]) {
          expectRefusal(await deploy([...role, '--no-tailscale', '--yes']), 2, problem);
        }
      }
      await m3.succeed(['rm', '-r', '/usr/local/lib/node_modules', '/usr/local/bin/openclaw']);
    });
  });

  it('is another role on a machine that has one', async () => {
    for (const [role, other] of [
      ['worker', 'hybrid'],
      ['hybrid', 'worker'],
    ] as const) {
      expectDone(await deploy([role, TUNNEL, '--name', role, ...LIGHT]));
      const started = await m3.succeed(['systemctl', 'show', 'openclaw-worker', '--property=MainPID']);
      await unchanged(m3, async () => {
        const problem = new RegExp(`this machine is deployed as ${role}, not as ${other}`);
        expectRefusal(await deploy([other, TUNNEL, '--name', role, ...LIGHT]), 2, problem);
        expectRefusal(await deploy(['master', ...LIGHT]), 2, /this machine is deployed as/);
      });
      expect(await m3.succeed(['systemctl', 'show', 'openclaw-worker', '--property=MainPID'])).toBe(started);
      expectDone(await uninstall());
    }
  });

  it('is a home that leads root astray, or can’t be used', async () => {
    const asPat = (script: string) => m3.succeed(['sh', '-euc', script, 'sh', WORKER_HOME], { user: 'pat' });
    const traps: readonly (readonly [make: () => Promise<unknown>, problem: RegExp])[] = [
      [() => asPat('ln -s /etc "$1"'), /belongs to root, not to pat/],
      [() => asPat('ln -s /nowhere "$1"'), /is no folder/],
      [() => asPat('touch "$1"'), /is no folder/],
      [() => asPat('mkdir -m 700 "$1"; ln -s /etc/shadow "$1/settings.yaml"'), /can’t read .*Permission denied/],
      [() => m3.succeed(['install', '-d', '-o', 'claw', '-m', '700', WORKER_HOME]), /belongs to claw, not to pat/],
    ];
    const look = () => m3.succeed(['find', WORKER_HOME, '-printf', '%p %y %m %u %l\\n']);
    await unchanged(m3, async () => {
      for (const [make, problem] of traps) {
        await make();
        const before = await look();
        expectRefusal(await forPat(), 1, problem);
        // What was done before it was noticed is taken back.
        expectDone(await m3.run(['deploy-federation', 'uninstall', '--yes']));
        expect(await look()).toBe(before);
        await m3.succeed(['rm', '-r', WORKER_HOME]);
      }
    });
  });

  it('is a machine whose settings can’t be understood', async () => {
    const bomb = `a: &a [x, x]\nb: &b [*a, *a]\nname: *b\n`;
    const large = 'x'.repeat(2_000_000);
    const texts = [bomb, '- 1\n', 'worker: 5\n', 'nonsense: 1\n', '\u0000\u0001', 'a: [', large];
    await unchanged(m3, async () => {
      for (const text of texts) {
        await m3.write(`${WORKER_HOME}/settings.yaml`, text);
        await m3.succeed(['chown', '-R', 'pat:pat', WORKER_HOME]);
        expectRefusal(await forPat(), 2, text === large ? /is larger than 1 MiB/ : /settings in .* can’t be used: /);
        expect(await m3.read(`${WORKER_HOME}/settings.yaml`)).toBe(text);
      }
      await m3.succeed(['rm', '-r', WORKER_HOME]);
    });
    const openclaw = '/home/claw/.openclaw/openclaw.json';
    await unchanged(m3, async () => {
      await m3.succeed(['install', '-d', '-o', 'claw', '-g', 'claw', '-m', '700', '/home/claw/.openclaw']);
      await m3.write(openclaw, '// JSON5\n{ gateway: { port: 18800, }, }\n', { owner: 'claw' });
      expectRefusal(await deploy(['master', '--no-tailscale', '--yes']), 2, /openclaw\.json can’t be merged with/);
      expect(await m3.read(openclaw)).toContain('JSON5');
      await m3.succeed(['rm', '-r', '/home/claw/.openclaw']);
    });
  });

  it('is a machine that a tailnet does not let in; what was done before is taken back', async () => {
    await m2.write('/root/key', 'hskey-auth-nonsense', { mode: '600' });
    await unchanged(m2, async () => {
      const access = ['--auth-key-file', '/root/key', '--login-server', lab.tailnet.loginServer];
      const more = ['--tailscale-base-url', lab.tailscaleBaseUrl, '--light', '--yes'];
      const refused = await m2.run(['deploy-federation', 'worker', 'vps', ...access, ...more]);
      expectRefusal(refused, 1, /the tailnet refuses the auth key/);
      expect(refused.stderr).not.toContain('hskey-auth-nonsense');
      expectDone(await uninstall(m2));
    });
  });

  it('tells nobody the join token, and warns of the flag that does', async () => {
    const token = await operator.token('secret');
    onTestFinished(() => operator.revoke('secret'));
    const words = ['worker', TUNNEL, '--name', 'secret', ...LIGHT];
    const commandLines = watchCommandLines(lab, m3);
    const { code, stdout, stderr } = await deploy([...words, '--token-file', '-'], { input: token });
    const secret = token.split('.').at(-1) ?? '';
    expect(secret.length).toBeGreaterThan(20);
    const told = [stdout, stderr, await commandLines.seen(), await m3.succeed(['journalctl', '--no-pager'])];
    const record = await m3.read('/opt/openclaw-federation/deployment/record.json');
    expect({ code, told: [...told, record].some((text) => text.includes(secret)) }).toEqual({ code: 0, told: false });
    // By standard input, for the machine logs what is run here.
    const search = ['grep', '-rlF', '-f', '-', '/home', '/etc', '/var', '/opt/openclaw-federation/deployment'];
    expect((await m3.run(search, { input: secret })).stdout).toBe('');
    expectDone(await uninstall());
    const warned = await deploy(['worker', TUNNEL, ...LIGHT, '--dry-run', '--token', await operator.token('open')]);
    expect(warned).toMatchObject({ code: 0, stderr: expect.stringContaining('warning: other users of this machine') });
  });
});
