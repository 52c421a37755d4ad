import { chmod, mkdir, mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { thisMachine } from '#src/adapters/machine/local.ts';
import type { Command, Machine } from '#src/adapters/machine/machine.ts';
import { VERSION } from '#src/adapters/version.ts';
import { FederationError } from '#src/core/errors.ts';
import { askDisks, diskAnswers } from '#src/deploy/doctor/ask/disks.ts';
import { askFederation } from '#src/deploy/doctor/ask/federation.ts';
import { askFiles, fileAnswers } from '#src/deploy/doctor/ask/files.ts';
import { askHealth } from '#src/deploy/doctor/ask/hub.ts';
import { askName } from '#src/deploy/doctor/ask/name.ts';
import { askPlugin } from '#src/deploy/doctor/ask/plugin.ts';
import { askTailnet, tailnetAnswer } from '#src/deploy/doctor/ask/tailnet.ts';
import { askUnits, unitAnswers } from '#src/deploy/doctor/ask/units.ts';
import { askWorker } from '#src/deploy/doctor/ask/worker.ts';
import { examine } from '#src/deploy/doctor/doctor.ts';
import type { MachineFinding } from '#src/deploy/doctor/finding.ts';
import { mend } from '#src/deploy/doctor/mend.ts';
import type { Facts } from '#src/deploy/facts.ts';
import { placeOf } from '#src/deploy/place.ts';
import { bareMachine, healthyMaster, healthyWorker } from '../support/facts.ts';
import { startFederation } from '../support/federation.ts';

const { signal } = new AbortController();
const here = thisMachine();
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ocf-doctor-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** Facts of this machine, as if `folder` were the home of who runs the tests. */
function factsHere(): Facts {
  const { username, uid } = userInfo();
  const person = { name: username, uid, group: username, home: folder };
  return {
    ...bareMachine(),
    person,
    place: placeOf('user', person),
    login: { name: username, root: false, sudo: false, bySudo: false, address: null },
  };
}

/** A machine whose programs say this, by the first words of what is run; the rest is missing. */
function saying(answers: Readonly<Record<string, string>>): Machine & { readonly ran: Command[] } {
  const ran: Command[] = [];
  return {
    name: 'pi',
    isLocal: false,
    ran,
    async run(command) {
      ran.push(command);
      const words = command.argv.join(' ');
      const found = Object.entries(answers).find(([start]) => words.startsWith(start));
      if (found === undefined) throw new FederationError('PROGRAM_MISSING', `there is no ${command.argv[0]}`);
      return { code: 0, stdout: found[1], stderr: '' };
    },
    connect: () => Promise.reject(new FederationError('HUB_UNREACHABLE', 'nothing answers')),
    close: async () => undefined,
  };
}

describe('the hub, asked from a machine', () => {
  it('says who it is and what it speaks, and its clock is that of this machine', async () => {
    await using federation = await startFederation();
    const hub = { host: '127.0.0.1', port: federation.hub.port };
    expect(await askHealth(here, { hub, addresses: [] }, signal)).toEqual({
      state: 'answers',
      version: VERSION,
      hubId: federation.hub.hubId,
      protocol: { min: 1, max: 1 },
      clockAheadMs: expect.closeTo(0, -4),
    });
  });

  it('is found by its tailnet address where its name is not resolved', async () => {
    await using federation = await startFederation({ hub: { hub: { names: ['vps.tail.example'] } } });
    const machine: Machine = {
      ...here,
      connect: (to, until) =>
        to.host === '127.0.0.1' ? here.connect(to, until) : Promise.reject(new FederationError('HUB_UNREACHABLE', '')),
    };
    const hub = { host: 'vps.tail.example', port: federation.hub.port };
    expect(await askHealth(machine, { hub, addresses: ['127.0.0.1'] }, signal)).toMatchObject({ state: 'answers' });
  });

  it('is found so, too, where a connection to nobody ends only later, as by ssh', async () => {
    await using federation = await startFederation({ hub: { hub: { names: ['vps.tail.example'] } } });
    const dead = (): Duplex => new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() }).end().destroy();
    const machine: Machine = {
      ...here,
      connect: async (to, until) => (to.host === '127.0.0.1' ? here.connect(to, until) : dead()),
    };
    const hub = { host: 'vps.tail.example', port: federation.hub.port };
    expect(await askHealth(machine, { hub, addresses: ['127.0.0.1'] }, signal)).toMatchObject({ state: 'answers' });
    expect(await askHealth(machine, { hub, addresses: [] }, signal)).toMatchObject({ state: 'unreachable' });
  });

  it('says that it does not go by a foreign name', async () => {
    await using federation = await startFederation();
    const machine: Machine = { ...here, connect: (to, until) => here.connect({ ...to, host: '127.0.0.1' }, until) };
    const hub = { host: 'other.tail.example', port: federation.hub.port };
    expect(await askHealth(machine, { hub, addresses: [] }, signal)).toMatchObject({ state: 'foreign' });
  });

  it.each([
    ['a web server', 200, '<html>'],
    ['one that answers everything', 200, '{"status":"ok"}'],
    ['one that floods', 200, 'x'.repeat(1 << 20)],
    ['one that fails', 500, ''],
  ])('is not taken for one where it is %s', async (_, status, text) => {
    const server = createServer((_request, response) => response.writeHead(status).end(text)).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as AddressInfo;
    const hub = { host: '127.0.0.1', port };
    expect(await askHealth(here, { hub, addresses: [] }, signal)).toMatchObject({ state: 'foreign' });
    server.closeAllConnections();
    server.close();
    expect(await askHealth(here, { hub, addresses: [] }, signal)).toMatchObject({ state: 'unreachable' });
  });

  it('ends the question where the person gives up', async () => {
    await using federation = await startFederation();
    const hub = { host: '127.0.0.1', port: federation.hub.port };
    const given = AbortSignal.abort(new Error('given up'));
    await expect(askHealth(here, { hub, addresses: [] }, given)).rejects.toThrow('given up');
  });
});

it('reads owner, mode and names of what is in a home, two levels deep', async () => {
  await chmod(folder, 0o750);
  await mkdir(join(folder, 'openclaw', 'deep'), { recursive: true });
  await writeFile(join(folder, 'node.key'), '', { mode: 0o640 });
  await writeFile(join(folder, 'openclaw', 'deep', 'unseen'), '');
  await symlink('/etc/passwd', join(folder, 'link'));
  const found = await askFiles(here, factsHere(), folder, signal);
  const owner = userInfo().username;
  expect(found?.map(({ path }) => path).toSorted()).toEqual([
    folder,
    join(folder, 'link'),
    join(folder, 'node.key'),
    join(folder, 'openclaw'),
    join(folder, 'openclaw/deep'),
  ]);
  expect(found).toContainEqual({ path: folder, mode: 0o750, owner, kind: 'directory' });
  const key = found?.find(({ path }) => path.endsWith('node.key'));
  expect(key).toMatchObject({ mode: 0o640, owner, kind: expect.stringMatching(/^regular/) });
  expect(found?.find(({ path }) => path.endsWith('/link'))?.kind).toBe('symbolic link');
});

it('takes no part of a file’s name for another file', () => {
  expect(fileAnswers('600 sam regular file\t/home/sam/a\n600 root regular file\tnot/absolute\nnoise\n')).toHaveLength(
    1,
  );
});

it('finds the free bytes of a folder’s file system', async () => {
  const [disk, ...others] = await askDisks(here, factsHere(), [folder, folder], signal);
  expect(others).toEqual([]);
  expect(disk?.mountedAt).toMatch(/^\//);
  expect(disk?.freeBytes).toBeGreaterThan(0);
});

it('reads df where a mount point holds blanks, and where a line makes no sense', () => {
  const text = [
    'Filesystem 1024-blocks Used Available Capacity Mounted on',
    '/dev/sda1 100 60 40 60% /',
    'my disk 100 60 30 60% /media/my disk',
    'df: /nowhere: No such file or directory',
  ].join('\n');
  expect(diskAnswers(text)).toEqual([
    { mountedAt: '/', freeBytes: 40 * 1024 },
    { mountedAt: '/media/my disk', freeBytes: 30 * 1024 },
  ]);
});

it('reads units as systemd shows them', () => {
  const text = [
    'Result=exit-code',
    'NRestarts=17',
    'Id=openclaw-worker.service',
    'LoadState=loaded',
    'ActiveState=activating',
    'SubState=auto-restart',
    'UnitFileState=enabled',
    'NeedDaemonReload=yes',
    '',
    'Id=federation-hub.socket',
    'LoadState=not-found',
    '',
  ].join('\n');
  expect(unitAnswers(text)).toEqual(
    new Map([
      [
        'openclaw-worker.service',
        {
          load: 'loaded',
          file: 'enabled',
          active: 'activating',
          sub: 'auto-restart',
          result: 'exit-code',
          restarts: 17,
          stale: true,
        },
      ],
      [
        'federation-hub.socket',
        { load: 'not-found', file: '', active: '', sub: '', result: '', restarts: 0, stale: false },
      ],
    ]),
  );
});

it('asks the person’s own systemd in the person’s name', async () => {
  const machine = saying({ 'systemctl --user': 'Id=openclaw-worker.service\nActiveState=active\n' });
  const facts = healthyWorker({}, 'user');
  const units = [{ name: 'openclaw-worker.service', scope: 'user' }] as const;
  const answers = await askUnits(machine, facts, units, signal);
  expect(answers.get('openclaw-worker.service')).toMatchObject({ active: 'active' });
  expect(machine.ran).toMatchObject([{ as: facts.person, environment: { XDG_RUNTIME_DIR: '/run/user/1000' } }]);
});

describe('the tailnet', () => {
  it('says when the login ends, and which machines it sees', () => {
    const status = {
      BackendState: 'Running',
      Self: { DNSName: 'pi.tail.example.', KeyExpiry: '2027-01-01T00:00:00Z' },
      Peer: {
        'nodekey:1': { DNSName: 'vps.tail.example.', Online: false },
        'nodekey:2': { DNSName: 'nas.tail.example.', Online: true },
      },
    };
    expect(tailnetAnswer(JSON.stringify(status))).toEqual({
      expires: Date.UTC(2027, 0, 1),
      isExpired: false,
      online: new Map([
        ['vps.tail.example', false],
        ['nas.tail.example', true],
      ]),
    });
  });

  it.each(['', 'not JSON', '[]', '{"Self":7}'])('is not known where Tailscale says %j', (text) => {
    expect(tailnetAnswer(text)).toBeNull();
  });

  it('is known of a tagged machine, whose login never ends', () => {
    expect(tailnetAnswer('{"Self":{"DNSName":"pi."},"Peer":null}')).toMatchObject({ expires: null });
  });

  it('is not asked where Tailscale does not run', async () => {
    const machine = saying({});
    expect(await askTailnet(machine, healthyWorker({ tailscale: { state: null } }), signal)).toBeNull();
    expect(machine.ran).toEqual([]);
  });
});

it('resolves a name as the machine does, and asks nothing about an address', async () => {
  const machine = saying({ 'getent ahosts vps': '100.64.0.1  STREAM vps\n100.64.0.1  DGRAM\nfd7a::1  STREAM\n' });
  expect(await askName(machine, 'vps', signal)).toEqual(['100.64.0.1', 'fd7a::1']);
  expect(await askName(machine, '100.64.0.1', signal)).toBeNull();
  expect(machine.ran).toHaveLength(1);
});

/** Without what later versions say of the node host. */
const EARLIER_RECORD = {
  ...{ pid: 1, id: 'b2', name: 'pi', fingerprint: 'b2b2', hub: 'vps:19000' },
  ...{ held: null, problem: null },
};

it('knows nothing of a worker whose record is damaged, and takes that of an earlier version', async () => {
  const facts = healthyWorker();
  const record = { ...EARLIER_RECORD, link: 'member' };
  expect(await askWorker(saying({ cat: '{"link":' }), facts, false, signal)).toBeNull();
  expect(await askWorker(saying({}), facts, false, signal)).toBeNull();
  expect(await askWorker(saying({ cat: JSON.stringify(record) }), facts, false, signal)).toMatchObject({
    nodeHost: null,
  });
});

it('waits for the word of a worker that has just started', async () => {
  const facts = healthyWorker();
  const record = { ...EARLIER_RECORD, link: 'connecting' };
  const texts = ['', JSON.stringify(record), JSON.stringify({ ...record, link: 'member' })];
  const machine: Machine = {
    ...saying({}),
    run: async () => ({ code: 0, stdout: (texts.length > 1 ? texts.shift() : texts[0]) ?? '', stderr: '' }),
  };
  expect(await askWorker(machine, facts, true, signal)).toMatchObject({ link: 'member' });
});

it('believes of the federation only what fits', async () => {
  const facts = healthyMaster();
  const program = join(facts.place.bin, 'manage-federation');
  const pending = '[{"name":"pi","held":null,"rejected":false,"more":1}]';
  const nodes = '[{"name":"nas","state":"online","openclaw":{"nodeHost":"none","commands":[]}}]';
  const good = saying({ [`${program} --json pending`]: pending, [`${program} --json list`]: nodes });
  expect(await askFederation(good, facts, signal)).toMatchObject({
    pending: [{ name: 'pi' }],
    nodes: [{ name: 'nas' }],
  });
  expect(good.ran.every(({ as }) => as === facts.person)).toBe(true);
  expect(await askFederation(saying({ [program]: '{"code":"HUB_UNREACHABLE"}' }), facts, signal)).toBeNull();
});

it('mends nothing of a deployment that was cut off: that is taken up as a whole', async () => {
  const fixable = async (state: 'deployed' | 'applying') =>
    (await examine(saying({}), healthyMaster({ record: { state } }), signal)).filter(({ fix }) => fix !== undefined);
  expect(await fixable('deployed')).not.toEqual([]);
  expect(await fixable('applying')).toEqual([]);
});

it('comes to an end on a machine where no program is there, and fails where it is not reached', async () => {
  const list = await examine(saying({}), healthyMaster(), signal);
  expect(list.find(({ check }) => check === 'hub')).toMatchObject({ state: 'fail' });
  expect(list.find(({ check }) => check === 'pending')).toMatchObject({
    state: 'warn',
    found: 'the hub can’t be asked',
  });
  const gone: Machine = {
    ...saying({}),
    run: () => Promise.reject(new FederationError('MACHINE_UNREACHABLE', 'pi is not reached')),
  };
  await expect(examine(gone, healthyMaster(), signal)).rejects.toMatchObject({ code: 'MACHINE_UNREACHABLE' });
});

describe('what is mended', () => {
  const finding: MachineFinding = { check: 'permissions', state: 'fail', found: 'others may read it', why: 'a key' };

  it('closes a home and its key to others, and says so', async () => {
    const facts = factsHere();
    const key = join(folder, 'node.key');
    await chmod(folder, 0o755);
    await writeFile(key, '', { mode: 0o644 });
    const lines: string[] = [];
    const mended = await mend(
      [
        { ...finding, fix: [{ do: 'folder', path: folder, mode: 0o700, owner: 'person' }] },
        {
          ...finding,
          fix: [{ do: 'run', title: 'Close it', argv: ['chmod', '600', key], owner: 'person', undo: null, hint: '' }],
        },
        { ...finding, check: 'without a fix' },
      ],
      here,
      facts,
      signal,
      (line) => lines.push(line),
    );
    expect(mended).toEqual([
      { check: 'permissions', state: 'ok', found: 'mended: others may read it' },
      { check: 'permissions', state: 'ok', found: 'mended: others may read it' },
    ]);
    expect(lines).toContain('permissions: others may read it');
    expect((await stat(folder)).mode & 0o777).toBe(0o700);
    expect((await stat(key)).mode & 0o777).toBe(0o600);
  });

  it('says what could not be mended, and goes on with the next', async () => {
    const argv = ['chmod', '600', join(folder, 'missing')] as const;
    const mended = await mend(
      [
        { ...finding, fix: [{ do: 'run', title: 'Close it', argv, owner: 'person', undo: null, hint: 'by hand' }] },
        { ...finding, fix: [{ do: 'folder', path: folder, mode: 0o700, owner: 'person' }] },
      ],
      here,
      factsHere(),
      signal,
      () => undefined,
    );
    expect(mended).toMatchObject([
      { state: 'fail', found: expect.stringContaining('could not be mended'), why: 'a key', mend: expect.any(String) },
      { state: 'ok' },
    ]);
  });

  it('lets alone what is well', async () => {
    const path = join(folder, 'never');
    const fix = [{ do: 'folder', path, mode: 0o700, owner: 'person' }] as const;
    expect(await mend([{ ...finding, state: 'ok', fix }], here, factsHere(), signal, () => undefined)).toEqual([]);
    await expect(stat(path)).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

describe('the plugin is asked by OpenClaw’s own command line', () => {
  const facts = healthyMaster();
  const answering = (ran: { readonly code: number; readonly stdout?: string; readonly stderr?: string }) => {
    const machine = saying({});
    return {
      ...machine,
      run: async (command: Command) => (machine.ran.push(command), { stdout: '', stderr: '', ...ran }),
    };
  };

  it('as the person, with the Node that it needs and no secret', async () => {
    const machine = answering({ code: 0, stdout: '{}' });
    expect(await askPlugin(machine, facts, signal)).toEqual({ state: 'answers' });
    expect(machine.ran).toMatchObject([
      {
        argv: ['/usr/local/bin/openclaw', 'gateway', 'call', 'federation.status', '--json', '--timeout', '10000'],
        as: facts.person,
        environment: {
          PATH: '/opt/openclaw-federation/openclaw/bin:/usr/bin:/usr/local/bin:/usr/bin:/bin',
          OPENCLAW_STATE_DIR: '/home/sam/.openclaw',
          OPENCLAW_GATEWAY_PORT: '18789',
        },
      },
    ]);
    const theirs = { ...facts, openclaw: { program: '/home/sam/bin/openclaw', version: '2026.9.6' } };
    await askPlugin(machine, theirs, signal);
    expect(machine.ran[1]?.argv[0]).toBe('/home/sam/bin/openclaw');
  });

  it.each([
    [{ stdout: '{"error":{"message":"it is gone","details":{"hint":"look"}}}' }, 'it is gone', 'look'],
    [{ stdout: '◇ Repaired ─╮\n│ {it} │\n{\n"error": {\n  "message":"it is gone"\n}\n}\n' }, 'it is gone', null],
    [{ stdout: '{"error":{"message":"it is gone","details":7}}' }, 'it is gone', null],
    [
      { stdout: '{"error":{"type":"gateway_transport_error","message":"not reachable"}}' },
      'not reachable',
      'openclaw gateway status',
    ],
    [{ stderr: '\n error: unknown command federation\n at x\n' }, 'error: unknown command federation', null],
    [{ stdout: '[]' }, 'it does not say why', null],
  ])('and says why it does not answer: %j', async (ran, problem, hint) => {
    expect(await askPlugin(answering({ code: 1, ...ran }), facts, signal)).toEqual({ state: 'fails', problem, hint });
  });

  it('and is not there where OpenClaw is not', async () => {
    expect(await askPlugin(saying({}), facts, signal)).toBeNull();
    expect(await askPlugin(answering({ code: 0 }), { ...facts, openclaw: null }, signal)).toBeNull();
  });
});
