import { createServer } from 'node:net';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { mkdir, readdir, readFile, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { thisMachine } from '#src/adapters/machine/local.ts';
import type { Facts } from '#src/deploy/facts.ts';
import type { Asked } from '#src/deploy/gather.ts';
import { gatherFacts } from '#src/deploy/gather.ts';
import type { Faked, FakedMachine } from '../support/faked-machine.ts';
import { fakedMachine } from '../support/faked-machine.ts';
import { wantedOf } from '../support/facts.ts';

let machine: FakedMachine;
beforeEach(() => use({}));
afterEach(() => machine.remove());

/** Another machine than the one that each test has. */
async function use(faked: Faked): Promise<void> {
  await machine?.remove().catch(() => undefined);
  machine = await fakedMachine(faked);
}

function gather(asked: Partial<Asked> = {}): Promise<Facts> {
  return gatherFacts(machine, { scope: null, runAs: null, ...asked }, AbortSignal.timeout(20_000));
}

describe('a machine', () => {
  it.each(['dash', 'bash'])('is looked at by a %s in two rounds', async (shell) => {
    await use({ shell });
    await machine.program('uname', 'case $1 in -n) echo home-server ;; -s) echo Linux ;; -m) echo aarch64 ;; esac');
    await machine.program('systemctl', '[ "$1" = --version ] && echo "systemd 252 (252.39-1~deb12u1)" && echo +PAM');
    const facts = await gather();
    expect(machine.ranAs).toEqual(['login', 'login']);
    expect(facts).toMatchObject({
      machine: {
        hostname: 'home-server',
        platform: 'linux',
        arch: 'arm64',
        libc: 'glibc',
      },
      login: { name: 'sam', root: false, sudo: false },
      person: { name: 'sam', uid: 1000, group: 'sam', home: machine.home },
      place: { scope: 'user', prefix: join(machine.home, '.local/share/openclaw-federation') },
      systemd: { linger: false },
      gateway: { unit: null, settings: null, port: 18_789 },
      record: null,
      worker: null,
    });
    expect(facts.machine.freeBytes).toBeGreaterThan(1 << 20);
    expect(Math.abs(facts.machine.clock - Date.now())).toBeLessThan(60_000);
  });

  it('has as room what a deployment that was cut off left there', async () => {
    await machine.program(
      'df',
      `echo 'Filesystem 1024-blocks Used Available Capacity Mounted on'; echo 'tmpfs 614400 108400 506000 18% /'`,
    );
    expect((await gather()).machine.freeBytes).toBe(506_000 * 1024);
    const releases = '.local/share/openclaw-federation/releases';
    await machine.file(`${releases}/0.1.0-abcdef.new/a`, Buffer.alloc(1 << 20));
    await machine.file(`${releases}/0.1.0-012345/a`, Buffer.alloc(1 << 20));
    const room = (await gather()).machine.freeBytes - 506_000 * 1024;
    expect(room).toBeGreaterThanOrEqual(1 << 20);
    // Of that one alone: the other is whole.
    expect(room).toBeLessThan(2 << 20);
  });

  it('is not changed by being looked at', async () => {
    await machine.file('.openclaw/openclaw.json', '{}');
    const before = await readdir(machine.home, { recursive: true });
    await gather();
    expect(await readdir(machine.home, { recursive: true })).toEqual(before);
  });

  it('with programs of 32 bits is one of 32 bits', async () => {
    await machine.program('uname', 'case $1 in -s) echo Linux ;; *) echo aarch64 ;; esac');
    await machine.program('getconf', '[ "$1" = LONG_BIT ] && echo 32');
    expect((await gather()).machine.arch).toBe('arm');
  });

  it('that is none of ours is refused', async () => {
    await machine.program('uname', 'echo Darwin');
    await expect(gather()).rejects.toMatchObject({ code: 'MACHINE_UNSUPPORTED', hint: expect.any(String) as string });
  });

  it('whose shell breaks off is refused, with its last word', async () => {
    await machine.program('base64', 'echo base64: not here >&2; exit 127');
    await expect(gather()).rejects.toMatchObject({
      code: 'MACHINE_UNSUPPORTED',
      message: expect.stringContaining('base64: not here') as string,
    });
  });

  it('has the ports that somebody listens at', async () => {
    const servers = [createServer().listen(0, '127.0.0.1'), createServer().listen(0, '::1')];
    await Promise.all(servers.map((server) => once(server, 'listening')));
    const addresses = servers.map((server) => server.address() as AddressInfo);
    const { ports } = await gather();
    for (const server of servers) server.close();
    expect(ports).toEqual(expect.arrayContaining(addresses.map(({ address, port }) => ({ address, port }))));
  });
});

describe('the scope', () => {
  it.each([
    ['sam', 'here', 'exit 0', 'user'],
    ['sam', 'elsewhere', 'exit 0', 'system'],
    ['sam', 'elsewhere', 'exit 1', 'user'],
    ['root', 'here', 'exit 1', 'system'],
  ] as const)('of %s %s, where sudo is “%s”, is %s', async (login, where, sudo, scope) => {
    await use({ login, isLocal: where === 'here' });
    await machine.program('sudo', sudo);
    const facts = await gather();
    expect(facts.place.scope).toBe(scope);
    expect(facts.login).toEqual({
      name: login,
      root: login === 'root',
      sudo: login === 'sam' && sudo === 'exit 0',
      bySudo: false,
      address: null,
    });
  });

  it('of the system has root look at what is root’s, and the person at what is theirs', async () => {
    await use({ login: 'root' });
    machine.environment['SUDO_USER'] = 'sam';
    const settings = await machine.file('.openclaw/openclaw.json', '{}', 0o600);
    const facts = await gather();
    expect(machine.ranAs.slice(0, 3)).toEqual([
      'login',
      'root',
      { name: 'sam', uid: 1000, group: 'sam', home: machine.home },
    ]);
    expect(facts.place).toMatchObject({ scope: 'system', openclawState: join(machine.home, '.openclaw') });
    expect(facts.files.get(settings)).toMatchObject({ text: '{}', mode: 0o600 });
  });

  it('of a person is their own: nobody else is deployed for without root', async () => {
    await expect(gather({ runAs: 'root', scope: 'user' })).rejects.toMatchObject({ code: 'USAGE' });
  });
});

it.each(['nobody-here', '-x', 'a b', '', "'; touch x"])('the user %j is refused as there is none', async (runAs) => {
  await expect(gather({ runAs })).rejects.toMatchObject({ code: 'USAGE', hint: expect.stringContaining('--run-as') });
});

describe('what is hostile', () => {
  const FRAME = 'federation facts begin\nMC5lbmQAAA==\nfederation facts end\n';

  it('in names and settings is taken for nothing else', async () => {
    const name = `x\n0.clock\u0000${FRAME}"'$(exit 3)\u001b[2J\ty`;
    await machine.file('name', name.replace('\u0000', ''));
    await machine.program('uname', `case $1 in -n) cat "$HOME/name" ;; -s) echo Linux ;; -m) echo x86_64 ;; esac`);
    const settings = await machine.file(
      '.openclaw/openclaw.json',
      Buffer.from(`{"a":"\u0000 ${FRAME} \\n"}\xff`, 'latin1'),
    );
    const facts = await gather();
    expect(facts.machine.hostname).toBe(name.replace('\u0000', ''));
    expect(facts.files.get(settings)?.text).toBe(`{"a":"\uFFFD ${FRAME} \\n"}\uFFFD`);
  });

  it('in an answer that nobody asked for is said', async () => {
    const answer = Buffer.from('99.x\0y\u00001.end\0\0').toString('base64');
    machine.run = async () => ({
      code: 0,
      stdout: `federation facts begin\n${answer}\nfederation facts end\n`,
      stderr: '',
    });
    await expect(gather()).rejects.toMatchObject({ code: 'MACHINE_UNSUPPORTED' });
  });

  it('in what a login shell prints is taken for nothing', async () => {
    const run = machine.run.bind(machine);
    machine.run = async (command) => {
      const ran = await run(command);
      if (command.argv[1] !== '-s') return ran;
      return { ...ran, stdout: `Welcome!\r\nfederation facts begin?\n${ran.stdout}logout\n` };
    };
    await machine.file('.profile', `echo 'login path /nowhere'; PATH=$HOME/mine:$PATH`);
    await nodeAt(join(machine.home, 'mine'), 'v30.1.0');
    expect((await gather()).node).toEqual({ program: join(machine.home, 'mine/node'), version: '30.1.0' });
  });

  it('as a file that is too large is refused by its name', async () => {
    const path = await machine.file('.openclaw-worker/settings.yaml', 'x'.repeat((1 << 20) + 1));
    await expect(gather()).rejects.toMatchObject({
      code: 'SETTINGS_INVALID',
      message: expect.stringContaining(path) as string,
    });
  });

  it('as a folder in the place of a file is refused by its name', async () => {
    await mkdir(join(machine.home, '.openclaw/openclaw.json'), { recursive: true });
    await expect(gather()).rejects.toMatchObject({
      code: 'SETTINGS_INVALID',
      message: expect.stringContaining('openclaw.json') as string,
    });
  });
});

describe('paths', () => {
  it('are told with their modes, and as null where nothing is', async () => {
    const { home } = machine;
    const unit = await machine.file('.config/systemd/user/openclaw-worker.service', '[Unit]\n', 0o640);
    await mkdir(join(home, '.openclaw-worker'), { mode: 0o700 });
    await mkdir(join(home, '.local/bin'), { recursive: true });
    await symlink('../some where', join(home, '.local/bin/manage-federation'));
    const facts = await gather();
    expect(facts.files.get(unit)).toMatchObject({ text: '[Unit]\n', mode: 0o640 });
    expect(facts.files.get(join(home, '.openclaw-worker/settings.yaml'))).toBeNull();
    expect(facts.folders.get(join(home, '.openclaw-worker'))).toMatchObject({ mode: 0o700 });
    expect(facts.folders.get(facts.place.prefix)).toBeNull();
    expect(facts.links.get(join(home, '.local/bin/manage-federation'))).toBe('../some where');
    expect(facts.links.get(facts.place.current)).toBeNull();
  });

  it.each([
    [process.pid, 'laptop'],
    [2 ** 22 + 1, undefined],
  ])('a worker daemon with pid %i is called %s', async (pid, name) => {
    const record = { pid, id: 'a1', name: 'laptop', fingerprint: 'f', hub: 'vps:19000', link: 'member', held: null };
    await machine.file('.openclaw-worker/worker.json', JSON.stringify(record));
    const { worker } = await gather();
    expect(worker?.name).toBe(name);
  });

  it('a record of a deployment is read', async () => {
    const record = { version: 1, wanted: wantedOf(), state: 'deployed', entries: [] };
    await machine.file('.local/share/openclaw-federation/deployment/record.json', JSON.stringify(record));
    expect((await gather()).record).toEqual(record);
  });

  it.each(['{"version":1', '{"version":1}'])('a record such as %s is refused', async (text) => {
    await machine.file('.local/share/openclaw-federation/deployment/record.json', text);
    await expect(gather()).rejects.toMatchObject({ code: 'STORE_DAMAGED' });
  });
});

describe('units', () => {
  /** A systemctl that knows these units of the person. */
  async function systemctl(units: Readonly<Record<string, string>>): Promise<void> {
    const cases = Object.entries(units).map(([name, says]) => `"--user show"*${name}) printf '%s\\n' ${says} ;;`);
    await machine.program(
      'systemctl',
      `case "$*" in
  "--user show --property=ExecStart -- openclaw-gateway.service") printf '%s\\n' "$GATEWAY" ;;
  ${cases.join('\n  ')}
  "--user show --property=Version") echo Version=252 ;;
  "--user "*) printf '%s\\n' LoadState=not-found UnitFileState= ActiveState=inactive ;;
  *) exit 1 ;;
esac`,
    );
  }

  it('stand as systemd says', async () => {
    await systemctl({
      'openclaw-worker.service': 'LoadState=loaded UnitFileState=enabled ActiveState=activating',
      'federation-hub.socket': 'LoadState=loaded UnitFileState=disabled ActiveState=failed',
    });
    const { units } = await gather();
    expect(units.get('user/openclaw-worker.service')).toEqual({ enabled: true, active: true });
    expect(units.get('user/federation-hub.socket')).toEqual({ enabled: false, active: false });
    expect(units.get('user/federation-hub.service')).toBeNull();
  });

  it('of a manager that doesn’t run stand as its folders say', async () => {
    const unit = await machine.file('.config/systemd/user/openclaw-worker.service', '');
    await mkdir(join(machine.home, '.config/systemd/user/default.target.wants'));
    await symlink(unit, join(machine.home, '.config/systemd/user/default.target.wants/openclaw-worker.service'));
    await machine.file('.config/systemd/user/openclaw-gateway.service', '');
    const { units, gateway } = await gather();
    expect(units.get('user/openclaw-worker.service')).toEqual({ enabled: true, active: false });
    expect(units.get('user/openclaw-gateway.service')).toEqual({ enabled: false, active: false });
    expect(gateway.unit).toEqual({ name: 'openclaw-gateway.service', scope: 'user' });
  });

  const LOADED = { 'openclaw-gateway.service': 'LoadState=loaded UnitFileState=enabled ActiveState=active' };

  it('a gateway that is the person’s has the port of its unit, else of its settings', async () => {
    await systemctl(LOADED);
    await machine.file('.openclaw/openclaw.json', '{ // mine\n "gateway": { "port": 18800, }, }');
    machine.environment['GATEWAY'] = 'ExecStart={ path=/usr/bin/node ; argv[]=/usr/bin/node gateway --port 18900 ; }';
    expect((await gather()).gateway).toMatchObject({ unit: { scope: 'user' }, port: 18_900, listening: false });
    machine.environment['GATEWAY'] = 'ExecStart={ path=/usr/bin/node ; argv[]=/usr/bin/node gateway ; }';
    expect((await gather()).gateway).toMatchObject({ unit: { scope: 'user' }, port: 18_800 });
  });

  it('a gateway whose unit we wrote is not the person’s', async () => {
    await systemctl(LOADED);
    const path = await machine.file('.config/systemd/user/openclaw-gateway.service', '');
    const entry = {
      key: `file ${path}`,
      step: 'gateway',
      action: { do: 'write', path, mode: 0o644, owner: 'person', text: '' },
      before: { original: { was: 'absent' }, missing: [] },
      wrote: [],
      state: 'done',
    };
    await machine.file(
      '.local/share/openclaw-federation/deployment/record.json',
      JSON.stringify({ version: 1, wanted: wantedOf(), state: 'deployed', entries: [entry] }),
    );
    expect((await gather()).gateway.unit).toBeNull();
  });
});

describe('Tailscale', () => {
  it('says how the machine stands in its tailnet', async () => {
    const status = {
      BackendState: 'Running',
      TailscaleIPs: ['100.64.0.2', 'fd7a:115c:a1e0::2'],
      Self: { DNSName: 'home-server.tail.example.', HostName: 'home-server' },
      Peer: { a: { ID: '1', DNSName: 'vps.tail.example.', HostName: 'vps', TailscaleIPs: ['100.64.0.1'] } },
    };
    const answer = await machine.file('status.json', JSON.stringify(status));
    await machine.program('tailscale', `case $1 in version) echo 1.102.3; echo more ;; status) cat ${answer} ;; esac`);
    expect((await gather()).tailscale).toMatchObject({
      installed: { program: expect.stringMatching(/\/tailscale$/) as string, version: '1.102.3' },
      packagedBy: null,
      state: 'Running',
      addresses: ['100.64.0.2', 'fd7a:115c:a1e0::2'],
      dnsName: 'home-server.tail.example',
      peers: [{ dnsName: 'vps.tail.example', addresses: ['100.64.0.1'] }],
    });
  });

  it('that needs a login has no address, and nobody beside it', async () => {
    const status = { BackendState: 'NeedsLogin', TailscaleIPs: null, Self: { DNSName: '', HostName: 'x' }, Peer: null };
    const answer = await machine.file('status.json', JSON.stringify(status));
    await machine.program('tailscale', `case $1 in version) echo 1.102.3 ;; status) cat ${answer} ;; esac`);
    expect((await gather()).tailscale).toMatchObject({ state: 'NeedsLogin', addresses: [], dnsName: null, peers: [] });
  });

  it('whose daemon doesn’t run has no state', async () => {
    await machine.program('tailscale', '[ "$1" = version ] && echo 1.102.3');
    expect((await gather()).tailscale).toMatchObject({ installed: { version: '1.102.3' }, state: null });
  });

  it.each([
    ['apt-get', 'apt-cache', `printf '%s\\n' tailscale: '  Installed: (none)' '  Candidate: 1.80.0'`],
    ['pacman', 'pacman', '[ "$*" = "-Si tailscale" ]'],
    ['dnf', 'dnf', 'true'],
    ['zypper', 'zypper', 'true'],
  ])('that is not installed is packaged by %s', async (tool, program, text) => {
    await machine.program(tool, 'true');
    await machine.program(program, text);
    expect((await gather()).tailscale).toMatchObject({ installed: null, packagedBy: tool });
  });

  it('without a candidate is packaged by nobody', async () => {
    await machine.program('apt-get', 'true');
    await machine.program('apt-cache', `printf '%s\\n' tailscale: '  Candidate: (none)'`);
    expect((await gather()).tailscale.packagedBy).toBeNull();
  });
});

describe('programs', () => {
  it('the newest Node that runs OpenClaw is taken, from where a login has it or nvm put it', async () => {
    await machine.file('.profile', 'PATH=$HOME/a:"$HOME/b c":$PATH');
    await nodeAt(join(machine.home, 'a'), 'v24.90.0');
    await nodeAt(join(machine.home, 'b c'), 'v25.9.0');
    await nodeAt(join(machine.home, '.nvm/versions/node/v24.95.1/bin'), 'never asked');
    expect((await gather()).node).toEqual({
      program: join(machine.home, '.nvm/versions/node/v24.95.1/bin/node'),
      version: '24.95.1',
    });
  });

  it('a profile that leaves something running holds nothing up', async () => {
    await machine.file('.profile', 'sleep 100 & echo $! >"$HOME/pid"; PATH=$HOME/a:$PATH');
    await nodeAt(join(machine.home, 'a'), 'v24.90.0');
    const facts = await gather();
    process.kill(Number(await readFile(join(machine.home, 'pid'), 'utf8')));
    expect(facts.node?.version).toBe('24.90.0');
  });

  it('a unit of the system gets a Node that root alone can change, where there is one', async () => {
    await use({ login: 'root' });
    machine.environment['SUDO_USER'] = 'sam';
    const shared = join(machine.home, '../shared');
    const linked = join(machine.home, '../linked');
    await machine.file('.profile', `PATH=$HOME/a:${linked}:${shared}:$PATH`);
    await nodeAt(join(machine.home, 'a'), 'v24.90.0');
    await nodeAt(join(machine.home, 'b'), 'v24.95.0');
    await nodeAt(shared, 'v24.80.0');
    await mkdir(linked);
    await symlink(join(machine.home, 'b/node'), join(linked, 'node'));
    // Above every temp folder is one that all may write.
    expect((await gather()).node?.version ?? '').not.toMatch(/^24\.[89][05]/);
    await machine.program(
      'stat',
      `case "$2 $4" in
  '%u %A ${machine.home}'*) echo '1000 drwxr-xr-x' ;;
  '%u %A '*) echo '0 drwxr-xr-x' ;;
  '%u '*) echo 0 ;;
  *) exec /usr/bin/stat "$@" ;;
esac`,
    );
    expect((await gather()).node).toEqual({ program: join(shared, 'node'), version: '24.80.0' });
  });

  it('a Node is root’s by all that is on the way to it', async () => {
    const linked = await machine.file('linked/node', '');
    await rm(linked);
    await symlink('/usr/bin/true', linked);
    expect(await versionSaid(linked)).toBe(false);
    expect(await versionSaid('/usr/bin/true')).toBe(true);
    expect(await versionSaid('//usr/./lib/../bin/true')).toBe(true);
    expect(await versionSaid(`${machine.home}/../../../usr/bin/true`)).toBe(false);
    expect(await versionSaid('/usr/bin/nowhere/node')).toBe(false);
  });

  it('OpenClaw is found by its link, and its version by its package', async () => {
    await openclawAt('.npm-global', '2026.9.7');
    expect((await gather()).openclaw).toEqual({
      program: join(machine.home, '.npm-global/bin/openclaw'),
      version: '2026.9.7',
    });
  });

  it('OpenClaw is found where npm was told to install', async () => {
    await machine.file('.npmrc', 'registry = x\nprefix = ~/my npm\n');
    await openclawAt('my npm', '2026.9.7');
    expect((await gather()).openclaw?.program).toBe(join(machine.home, 'my npm/bin/openclaw'));
  });

  it('one that was deployed stays, and one that is not supported is named only where there is no other', async () => {
    await openclawAt('.npm-global', '2025.1.1');
    expect((await gather()).openclaw?.version).toBe('2025.1.1');
    await openclawAt('.local', '2026.10.1');
    expect((await gather()).openclaw?.version).toBe('2026.10.1');
    await openclawAt('.local/share/openclaw-federation/openclaw', '2026.9.6');
    expect((await gather()).openclaw?.version).toBe('2026.9.6');
  });

  it('a wrapper of somebody’s is asked for its version', async () => {
    await machine.file('.local/bin/openclaw', '#!/bin/sh\necho "OpenClaw 2026.9.8 (abc1234)"\n', 0o755);
    expect((await gather()).openclaw).toEqual({
      program: join(machine.home, '.local/bin/openclaw'),
      version: '2026.9.8',
    });
  });

  it('what has no version is no OpenClaw', async () => {
    await machine.file('.local/bin/openclaw', '#!/bin/sh\nexit 1\n', 0o755);
    expect((await gather()).openclaw).toBeNull();
  });
});

it('the script holds nothing that only one shell knows', async () => {
  const script = await readFile(join(import.meta.dirname, '../../templates/facts.sh'), 'utf8');
  expect(script).not.toMatch(/\blocal \b|\[\[|\$'|<<<|&>|\bfunction\b/);
});

/** Whether the script runs it as a Node that nobody but root can change. */
async function versionSaid(path: string): Promise<boolean> {
  const script = await readFile(join(import.meta.dirname, '../../templates/facts.sh'), 'utf8');
  const argv = ['sh', '-s', '--', 'node', path] as const;
  const { stdout } = await thisMachine().run({ argv, as: 'login', input: script, signal: AbortSignal.timeout(20_000) });
  return Buffer.from(stdout.split('\n').slice(1, -2).join(''), 'base64').toString().includes('node_version');
}

async function nodeAt(folder: string, version: string): Promise<void> {
  await machine.file(join(folder, 'node'), `#!/bin/sh\necho ${version}\n`, 0o755);
}

async function openclawAt(prefix: string, version: string): Promise<void> {
  const root = `${prefix}/lib/node_modules/openclaw`;
  await machine.file(`${root}/openclaw.mjs`, '#!/bin/sh\nexit 3\n', 0o755);
  await machine.file(`${root}/package.json`, JSON.stringify({ name: 'openclaw', version }, null, 2));
  await mkdir(join(machine.home, prefix, 'bin'), { recursive: true });
  await symlink('../lib/node_modules/openclaw/openclaw.mjs', join(machine.home, prefix, 'bin/openclaw'));
}
