import { readFileSync, readlinkSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import type { Finished } from './command.ts';
import { describeLab } from './describe-lab.ts';
import type { Lab } from './lab.ts';
import { openLab } from './lab.ts';
import type { LightWorker, PlannedStep } from './light-worker.ts';
import { lasting, lightWorkerOn, PREFIX, RECORD, tailnetFlags } from './light-worker.ts';
import type { Machine } from './machine.ts';
import { differences, takeSnapshot } from './snapshot.ts';
import { watch } from './watched-command.ts';

const IN_ORDER = { concurrent: false, timeout: 600_000 } as const;
const OF_CLAW = { owner: 'claw', mode: '600' } as const;
const AS_CLAW = { user: 'claw' } as const;
const DEPLOY = 'deploy-federation';
const NODE = `/usr/lib/node_modules/openclaw-federation/node_modules/node-linux-${process.arch}/bin/node`;

/**
 * m1 is the master of all; the others become workers of it, each in its own row of tests, of which each stands on those
 * before it. The last ones disturb the master too.
 */
describeLab('a deployment where something goes wrong', 'tailnet', () => {
  let lab: Lab;
  let master: Machine;
  let m2: LightWorker;
  let m3: LightWorker;
  let m4: LightWorker;

  beforeAll(async () => {
    lab = await openLab({ machines: 4 });
    for (const machine of lab.machines()) await lab.installPackage(machine);
    master = lab.machine('m1');
    await master.write('/home/claw/key', await lab.tailnet.authKey({ tags: ['tag:master'] }), OF_CLAW);
    const argv = ['sudo', DEPLOY, 'master', '--light', '--name', 'vps', ...tailnetFlags(lab), '--yes'];
    await master.succeed(argv, AS_CLAW);
    [m2, m3, m4] = await Promise.all([
      lightWorkerOn(lab, lab.machine('m2'), 'w2'),
      lightWorkerOn(lab, lab.machine('m3'), 'w3'),
      lightWorkerOn(lab, lab.machine('m4'), 'w4'),
    ]);
  }, IN_ORDER.timeout);
  afterAll(() => lab.close());

  describe('at any step', { concurrent: true }, () => {
    it('a deployment that failed at any step is taken up, and ends as one that did not', IN_ORDER, async () => {
      for (const step of m2.steps) {
        await m2.prepare();
        const stopped = await m2.stopWhen(m2.beginOf(step), m2.deploy, (command) => command.signal('SIGINT'));
        expect(stopped.code).toBe(130);
        await expectTruth(m2, stopped);
        await m2.succeed(...m2.resume);
        await m2.expectDeployed();
        await m2.takeBack();
      }
    });

    it(
      'a machine that loses its power at any step is taken up, and taken back, when it is there again',
      IN_ORDER,
      async () => {
        const lose = () => m2.machine.crash();
        await m2.prepare();
        for (const [at, step] of m2.steps.entries()) {
          const { code } = await m2.stopWhen(m2.beginOf(step), at === 0 ? m2.deploy : m2.resume, lose);
          expect(code).not.toBe(0);
          await m2.machine.start();
        }
        await m2.succeed(...m2.resume);
        await m2.expectDeployed();
        await m2.stopWhen('done    taken back: worker home', ['uninstall', '--yes'], lose);
        await m2.machine.start();
        await m2.takeBack();
      },
    );
  });

  describe('on the network', { concurrent: true }, () => {
    it('a download that is not what its checksum says is not installed', IN_ORDER, async () => {
      await m4.prepare();
      await m4.machine.succeed(['systemd-run', '--unit=depot', NODE, '-e', DEPOT]);
      const finished = await m4.run(...m4.deploy, '--tailscale-base-url', 'http://127.0.0.1:8099/false');
      expectError(finished, /^error: http:\/\/127\.\S+ does not have the SHA-256 that stands beside it\n  try: /m);
      expect(await m4.isSo(stepOf(m4, 'tailscale'))).toBe(false);
    });

    it('a download that falls silent is given up', IN_ORDER, async () => {
      const finished = await m4.run(...m4.resume, '--tailscale-base-url', 'http://127.0.0.1:8099/silent');
      expectError(finished, /^error: http:\/\/127\.\S+ can’t be fetched from here: nothing came for 20 s\n  try: /m);
      expect(await m4.isSo(stepOf(m4, 'tailscale'))).toBe(false);
      await m4.machine.succeed(['systemctl', 'stop', 'depot']);
    });

    it('a control server that can’t be reached ends it with its name', IN_ORDER, async () => {
      const right = ['--tailscale-base-url', lab.tailscaleBaseUrl];
      const finished = await m4.run(...m4.resume, ...right, '--login-server', 'https://10.77.0.99');
      expectError(
        finished,
        /^error: the machine can’t get into the tailnet: .*\n  try: see that https:\/\/10\.77\.0\.99 can be/m,
      );
    });

    it('an auth key that is wrong, or was used before, is refused', IN_ORDER, async () => {
      const right = ['--login-server', lab.tailnet.loginServer, '--tailscale-base-url', lab.tailscaleBaseUrl];
      await m4.machine.write('/home/claw/other-key', 'hskey-auth-aaaaaaaaaaaa-bbbbbbbbbbbbbbbbbbbbbbbb', OF_CLAW);
      const wrong = await m4.run(...m4.resume, ...right, '--auth-key-file', 'other-key');
      expectError(wrong, REFUSED);
      await m4.machine.write('/home/claw/other-key', await master.read('/home/claw/key'), OF_CLAW);
      const used = await m4.run(...m4.resume, '--auth-key-file', 'other-key');
      expectError(used, REFUSED);
      await m4.machine.succeed(['rm', '/home/claw/other-key']);
    });

    it('a hub that can’t be reached is told before the programs are sent', IN_ORDER, async () => {
      await loseHub(lab, m4.machine);
      expectError(
        await m4.run(...m4.resume, '--auth-key-file', 'key'),
        /^error: nothing answers at vps\.tail\.lab:19000.*\n  try: /m,
      );
      expect(await m4.isSo(stepOf(m4, 'program'))).toBe(false);
      await findHub(m4.machine);
    });

    it(
      'a hub that is lost while the worker waits for it ends it, and the worker joins when it is back',
      IN_ORDER,
      async () => {
        const begin = m4.beginOf(stepOf(m4, 'worker-home'));
        const finished = await m4.stopWhen(begin, m4.resume, () => loseHub(lab, m4.machine));
        expectError(finished, /^error: its link to vps\.tail\.lab:19000: connecting.*, after 60 s\n  try: /m);
        await findHub(m4.machine);
        // It may have been let in and not have heard of it: then its token is spent.
        await m4.succeed(...m4.resume);
        await m4.expectDeployed();
        await m4.takeBack();
      },
    );

    it(
      'a registry that goes away, and a port of the worker that is taken, are overcome one after the other',
      IN_ORDER,
      async () => {
        const { machine } = m4;
        const registry = new URL(lab.registryUrl).hostname;
        const npmrc = await machine.read('/root/.npmrc');
        await machine.write('/root/.npmrc', `${npmrc}fetch-retries=0\n`);
        await m4.prepare();
        const words = m4.deploy.filter((word) => word !== '--light');
        const gone = await m4.stopWhen(`done    ${titleOf(m4, 'program')}`, words, () =>
          machine.succeed(['ip', 'route', 'add', 'prohibit', registry]),
        );
        expectError(gone, /^error: can’t install OpenClaw \S+: .*\n  try: check that npm’s registry can be reached/m);
        await machine.succeed(['ip', 'route', 'del', 'prohibit', registry]);
        // From here on a connection that breaks is no matter, as with npm's own settings.
        await machine.write('/root/.npmrc', npmrc);
        await listen(machine, 19_002);
        const refused = await m4.run(...m4.resume);
        // All that it says: of what it would do nothing was begun.
        expectError(
          refused,
          /^(?:looking at this machine\n)?error: another program listens on port 19002, which the node host needs\n  try: stop it, or set nodeHost\.carrierPort in \/home\/claw\/\.openclaw-worker\/settings\.yaml to a free one; or go without: --light\n$/,
        );
        await machine.succeed(['systemctl', 'stop', 'listener-19002']);
        const taken = await m4.stopWhen('...     OpenClaw ', m4.resume, () => listen(machine, 19_002));
        expectError(taken, /^error: openclaw-worker\.service does not start: .*19002.*\n  try: /m);
        await machine.succeed(['systemctl', 'stop', 'listener-19002']);
        await m4.takeBack();
      },
    );
  });

  describe('on the machine', { concurrent: true }, () => {
    it('a deployment that is killed at any step is taken back byte for byte', IN_ORDER, async () => {
      for (const step of m3.steps) {
        await m3.prepare();
        const { code } = await m3.stopWhen(m3.beginOf(step), m3.deploy, (command) => command.signal('SIGKILL'));
        expect(code).not.toBe(0);
        await m3.takeBack();
      }
    });

    it(
      'a record that is damaged, or that others could have written, is refused and nothing is changed',
      IN_ORDER,
      async () => {
        const { machine } = m3;
        await m3.prepare();
        await m3.succeed(...m3.deploy);
        const look = async () => lasting(await takeSnapshot(machine));
        const before = await look();
        const record = await machine.read(RECORD);
        const copy = '/home/claw/record.json';
        const damages: Readonly<Record<string, () => Promise<unknown>>> = {
          'it is no JSON': () => machine.write(RECORD, record.slice(0, 1000), { mode: '600' }),
          'no path of a deployment': () =>
            machine.write(RECORD, record.replace('"path": "/home/claw/.openclaw-worker"', '"path": "/etc/../home"'), {
              mode: '600',
            }),
          'no word of a command': () =>
            machine.write(RECORD, record.replace('"entries": [', `"entries": [${HOSTILE},`), { mode: '600' }),
          'others may write it': () => machine.write(RECORD, record, { mode: '666' }),
          'it is no file': async () => {
            await machine.write(copy, record, OF_CLAW);
            await machine.succeed(['ln', '-sf', copy, RECORD]);
          },
        };
        for (const [why, damage] of Object.entries(damages)) {
          await damage();
          for (const words of [m3.resume, ['uninstall', '--yes']]) {
            const finished = await m3.run(...words);
            expectError(
              finished,
              new RegExp(`^error: the record of what was deployed can’t be trusted: .*${why}.*\\n  try: `, 'm'),
            );
          }
          await machine.succeed(['rm', '-f', RECORD, copy]);
          await machine.write(RECORD, record, { mode: '600' });
          expect(differences(before, await look())).toEqual(new Map());
        }
      },
    );

    it('what root deployed is taken back by root alone', IN_ORDER, async () => {
      for (const user of ['claw', 'pat'] as const) {
        const finished = await m3.machine.run([DEPLOY, 'uninstall', '--yes'], { user });
        expectError(finished, /^error: root deployed this machine\n  try: sudo deploy-federation uninstall$/m);
        const again = await m3.machine.run([DEPLOY, 'worker', '--resume', '--yes'], { user });
        expectError(again, /^error: root deployed this machine\n  try: sudo deploy-federation worker --resume/m);
      }
      await m3.expectDeployed();
    });

    it(
      'uninstall that is killed again and again finishes, and loses nothing that the person wrote since',
      IN_ORDER,
      async () => {
        const { machine } = m3;
        const changed = ['/home/claw/.openclaw-worker/settings.yaml', '/etc/systemd/system/openclaw-worker.service'];
        const versions = new Map<string, string>();
        for (const path of changed) {
          await machine.succeed(['sh', '-c', 'echo "# mine" >>"$0"', path]);
          versions.set(path, await machine.read(path));
        }
        for (const step of ['join token', 'worker home', 'program', 'tailscale']) {
          const argv = ['uninstall', '--yes'];
          await m3.stopWhen(`done    taken back: ${step}`, argv, (command) => command.signal('SIGKILL'));
        }
        await m3.succeed('uninstall', '--yes');
        for (const [path, version] of versions) {
          const kept = `/home/claw/${path.split('/').at(-1)}.kept-by-uninstall`;
          expect(await machine.read(kept)).toBe(version);
          await machine.succeed(['rm', kept]);
        }
        await m3.expectBare();
      },
    );

    it('a daemon that can’t start ends it with its last words', IN_ORDER, async () => {
      await m3.prepare();
      let program = '';
      let original = '';
      const broken = await m3.stopWhen(`done    ${titleOf(m3, 'program')}`, m3.deploy, () => {
        const release = readlinkSync(join(m3.machine.root, PREFIX, 'current'));
        program = join(m3.machine.root, release, 'node_modules/openclaw-federation/bin/federation-worker');
        original = readFileSync(program, 'utf8');
        writeFileSync(program, '#!/bin/sh\necho no such luck >&2\nexec false\n');
      });
      expectError(
        broken,
        /^error: openclaw-worker\.service does not start: no such luck\n  try: .*journalctl -u openclaw-worker/m,
      );
      // While systemd tries again and again: it may join by itself, and its token be spent before the resume.
      writeFileSync(program, original);
      await m3.succeed(...m3.resume);
      await m3.expectDeployed();
      await m3.takeBack();
    });

    it(
      'a disk that is full, or becomes so, ends it with that; it is taken up, and taken back from a full one',
      IN_ORDER,
      async () => {
        const { machine } = m3;
        const filler = `${PREFIX}/filler`;
        const fill = () => machine.run(['dd', 'if=/dev/zero', `of=${filler}`, 'bs=1M']);
        await m3.prepare();
        await machine.succeed(['mkdir', PREFIX]);
        await machine.succeed(['mount', '-t', 'tmpfs', '-o', 'size=8m,mode=755', 'tmpfs', PREFIX]);
        expectError(
          await m3.run(...m3.deploy),
          /^error: \/opt\/openclaw-federation needs \d+ MiB, \d+ MiB are free\n  try: make room$/m,
        );
        expect(await machine.succeed(['ls', '-A', PREFIX])).toBe('');
        await machine.succeed(['mount', '-o', 'remount,size=600m', PREFIX]);
        const stopped = await m3.stopWhen('        sent ', m3.deploy, fill);
        expectError(
          stopped,
          /^error: can’t put our programs into .*: no space is left on this machine\n  try: make room there/m,
        );
        await machine.succeed(['rm', filler]);
        await m3.succeed(...m3.resume);
        await m3.expectMember();
        await fill();
        await m3.succeed('uninstall', '--yes');
        expect(await machine.succeed(['ls', '-A', PREFIX])).toBe('filler\n');
        await machine.succeed(['umount', PREFIX]);
        await machine.succeed(['rmdir', PREFIX]);
        await m3.expectBare();
      },
    );

    it('a port of the hub that is taken is told before anything is changed', IN_ORDER, async () => {
      await listen(m3.machine, 19_000);
      const finished = await m3.run('master', '--light', '--no-tailscale', '--yes');
      expectError(finished, /^error: another program listens on port 19000\n  try: stop it, or choose another port/m);
      await m3.machine.succeed(['systemctl', 'stop', 'listener-19000']);
      await m3.expectBare();
    });
  });

  describe('by ssh, from the master', () => {
    const target = 'claw@m2.lan';
    const machineFlags = ['--ssh', target, '--yes'];
    const deploy = (at: string) => [
      ...[DEPLOY, 'worker', '--ssh', at, '--light', '--name', 'w2', ...tailnetFlags(lab)],
      ...['--auth-key-file', 'worker-key', '--yes'],
    ];
    const resume = () => [...deploy(target), '--resume'];

    async function stopWhen(words: string, argv: readonly string[], stop: () => unknown): Promise<Finished> {
      const command = await watch(lab, master, argv, AS_CLAW);
      await command.says(words);
      await stop();
      return command.ended;
    }

    it('a user without sudo is refused, and nothing is changed', IN_ORDER, async () => {
      await m2.prepare();
      await master.write('/home/claw/worker-key', await m2.machine.read('/home/claw/key'), OF_CLAW);
      const finished = await master.run([...deploy('pat@m2.lan'), '--system'], AS_CLAW);
      expectError(finished, /^error: sudo on pat@m2\.lan refuses pat.*\n  try: /m);
      await m2.expectBare();
    });

    it('a connection that is lost, and a sudo that is taken away, end it with that', IN_ORDER, async () => {
      const lost = await stopWhen('        sent ', deploy(target), () =>
        m2.machine.succeed(['pkill', '-KILL', '-u', 'claw', '-x', 'sshd']),
      );
      expectError(lost, /^error: claw@m2\.lan (?:was lost on the way|can’t be reached by ssh)\n  try: /m);
      const sudoers = join(m2.machine.root, 'etc/sudoers.d/claw');
      const refused = await stopWhen('        sent ', resume(), () => renameSync(sudoers, `${sudoers}.off`));
      renameSync(`${sudoers}.off`, sudoers);
      expectError(refused, /^error: sudo on claw@m2\.lan refuses claw.*\n  try: /m);
    });

    it('a machine that deploys, and one that is deployed, may lose its power', IN_ORDER, async () => {
      await stopWhen(`done    ${titleOf(m2, 'program')}`, resume(), () => master.crash());
      await master.start();
      const asked = () => master.run(['manage-federation', 'status', '--json'], AS_CLAW);
      const isInTailnet = async () => /"100\.[\d.]+:19000"/.test((await asked()).stdout);
      await eventually('the hub answers in the tailnet again', isInTailnet, 60_000);
      const lost = await stopWhen(`done    ${titleOf(m2, 'worker-home')}`, resume(), () => m2.machine.crash());
      expectError(lost, /^error: claw@m2\.lan .*\n  try: /m);
      await m2.machine.start();
    });

    it('a machine is deployed from there in the end, and taken back', IN_ORDER, async () => {
      await master.succeed(resume(), AS_CLAW);
      await m2.expectDeployed();
      const { stderr } = await master.run([DEPLOY, 'uninstall', ...machineFlags], AS_CLAW);
      expect(stderr).toContain('\nnothing of the federation is left here\n');
      await m2.expectBare();
    });
  });
});

/** What it says was done is so, and what it says was not is not, but for the step that it stopped in. */
async function expectTruth(worker: LightWorker, { stderr }: Finished): Promise<void> {
  const titles = (word: string) => worker.steps.filter(({ title }) => stderr.includes(`\n${word}: ${title}\n`));
  const [done, left] = [titles('done'), titles('not done')];
  expect([...done, ...left]).toEqual(worker.steps);
  expect(stderr).toMatch(/\n  try: .*: sudo deploy-federation worker --resume --token-file token --yes\n/);
  expect(linesOf(stderr, 'error:')).toEqual([`error: stopped before this was so: ${left[0]?.title}`]);
  expect(await soAmong(worker, done)).toEqual(done);
  // Of the hub nothing stays on the machine that could be looked at.
  const untouched = left.slice(1).filter(({ id }) => id !== 'reach');
  expect(await soAmong(worker, untouched)).toEqual([]);
}

async function soAmong(worker: LightWorker, steps: readonly PlannedStep[]): Promise<PlannedStep[]> {
  const so = await Promise.all(steps.map((step) => worker.isSo(step)));
  return steps.filter((_, index) => so[index]);
}

/** One error, and one thing to try. */
function expectError({ code, stderr }: Finished, lines: RegExp): void {
  expect(stderr).toMatch(lines);
  expect(code).toBe(1);
  expect([linesOf(stderr, 'error:').length, linesOf(stderr, '  try:').length]).toEqual([1, 1]);
}

function linesOf(text: string, start: string): string[] {
  return text.split('\n').filter((line) => line.startsWith(start));
}

function stepOf({ steps }: LightWorker, id: string): PlannedStep {
  const step = steps.find((each) => each.id === id);
  if (step === undefined) throw new Error(`there is no step ${id}`);
  return step;
}

function titleOf(worker: LightWorker, id: string): string {
  return stepOf(worker, id).title;
}

/** Another program of the machine that has this port. */
async function listen(machine: Machine, port: number): Promise<void> {
  const server = `require('node:net').createServer().listen(${port}, '127.0.0.1')`;
  await machine.succeed(['systemd-run', `--unit=listener-${port}`, NODE, '-e', server]);
  const isTaken = async () => (await machine.succeed(['ss', '-Hltn', `sport = :${port}`])) !== '';
  await eventually(`port ${port} is taken`, isTaken);
}

/** Packets to the hub are lost from now on, whichever of its addresses they go to. */
async function loseHub({ tailnet }: Lab, machine: Machine): Promise<void> {
  const hub = (await tailnet.nodes()).find(({ name }) => name === 'vps');
  const drops = hub?.addresses.map((ip) => `${ip.includes(':') ? 'ip6' : 'ip'} daddr ${ip} drop;`) ?? [];
  const rules = `table inet fault { chain out { type filter hook output priority 0; ${drops.join(' ')} }; }`;
  await machine.succeed(['nft', '-f', '-'], { input: rules });
}

async function findHub(machine: Machine): Promise<void> {
  await machine.succeed(['nft', 'delete', 'table', 'inet', 'fault']);
}

const REFUSED = /^error: the tailnet refuses the auth key: .*\n  try: make a new one in its admin console/m;

/** Whatever is asked below `silent` never comes; below `false` it is not what its checksum says. */
const DEPOT = `require('node:http').createServer(({ url }, answer) => {
  if (url.endsWith('.sha256')) answer.end('0'.repeat(64));
  else if (url.startsWith('/false/')) answer.end('not a tarball');
  else answer.writeHead(200, { 'content-length': 1000 }).write('the beginning');
}).listen(8099, '127.0.0.1')`;

/** An entry that would have root run what somebody else says. */
const HOSTILE = JSON.stringify({
  key: 'run x',
  step: 'x',
  action: { do: 'run', title: 'x', argv: ['true'], owner: 'root', undo: ['--help'], hint: 'x' },
  before: null,
  wrote: [],
  state: 'done',
});
