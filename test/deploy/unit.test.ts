import { execFile, spawnSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Scope } from '#src/deploy/place.ts';
import type { UnitName, UnitValues } from '#src/deploy/unit.ts';
import { readUnitTemplate, renderUnit } from '#src/deploy/unit.ts';

const UNITS: readonly (readonly [Scope, UnitName])[] = [
  ['system', 'federation-hub.service'],
  ['system', 'federation-hub.socket'],
  ['system', 'federation-hub-plugin.socket'],
  ['system', 'auto-register.service'],
  ['system', 'auto-register.path'],
  ['system', 'openclaw-worker.service'],
  ['system', 'openclaw-gateway.service'],
  ['user', 'federation-hub.service'],
  ['user', 'auto-register.service'],
  ['user', 'auto-register.path'],
  ['user', 'openclaw-worker.service'],
  ['user', 'openclaw-gateway.service'],
];

const HOSTILE = `a %h 50% "b" 'c' $HOME \${HOME} ; # @BIN@ \\x20 \\ ünï`;

const values: UnitValues = {
  BIN: '/opt/bin',
  PERSON: 'claw',
  PERSON_HOME: '/home/claw',
  HUB_USER: 'openclaw-federation',
  HUB_HOME: '/var/lib/openclaw-federation',
  WORKER_HOME: '/home/claw/.openclaw-worker',
  PATH: '/usr/local/bin:/usr/bin:/bin',
  OPENCLAW: '/opt/openclaw',
  NODE_FOLDER: '/opt/node/bin',
  GATEWAY_PORT: '18789',
  OPENCLAW_STATE: '/home/claw/.openclaw',
};

describe('renderUnit', () => {
  it.each(UNITS)('fills in all that the %s unit %s leaves open', async (scope, name) => {
    const template = await readUnitTemplate(scope, name);
    const unit = renderUnit(template, values);
    expect(template).toMatch(/@[A-Z_]+@/);
    expect(unit).not.toMatch(/@[A-Z_]+@/);
    expect(unit.split('\n')).toHaveLength(template.split('\n').length);
  });

  it('escapes what means something in a list of words', () => {
    expect(renderUnit('ExecStart=:@BIN@/x --home @HUB_HOME@\n', { BIN: '/a b', HUB_HOME: HOSTILE })).toBe(
      String.raw`ExecStart=:/a\x20b/x --home a\x20%%h\x2050%%\x20\x22b\x22\x20\x27c\x27\x20$HOME\x20` +
        String.raw`${'$'}{HOME}\x20\x3b\x20#\x20@BIN@\x20\x5cx20\x20\x5c\x20ünï` +
        '\n',
    );
    expect(renderUnit('Environment=PATH=@NODE_FOLDER@:@PATH@', { NODE_FOLDER: '/a b', PATH: '/c "d":/e' })).toBe(
      String.raw`Environment=PATH=/a\x20b:/c\x20\x22d\x22:/e`,
    );
  });

  it('leaves the rest of a line as it is where the whole of it is one value', () => {
    expect(renderUnit('WorkingDirectory=@PERSON_HOME@', { PERSON_HOME: `/home/50% "a" \\b c` })).toBe(
      `WorkingDirectory=/home/50%% "a" \\b c`,
    );
  });

  it.each(['\n', '\r', '\0', '\t', '\x1b', '\x7f', '\x85'])('refuses the control character %j', (character) => {
    for (const line of ['ExecStart=:@BIN@/x', 'WorkingDirectory=@BIN@']) {
      expect(() => renderUnit(line, { BIN: `/a${character}[Service]User=root` })).toThrow(
        expect.objectContaining({ code: 'USAGE', message: expect.stringContaining('BIN') as string }),
      );
    }
  });

  it.each([
    ['WorkingDirectory=@PERSON_HOME@', '/home/a\\'],
    ['WorkingDirectory=@PERSON_HOME@', '/home/a '],
    ['WorkingDirectory=@PERSON_HOME@', ' /home/a'],
    ['ExecStart=:/x @PERSON_HOME@', '/home/\ud800'],
    ['ExecStart=:@PERSON_HOME@/a b', `/home/o'neill`],
    ['ExecStart=:@PERSON_HOME@/a b', '/home/a "b"'],
    ['ExecStart=:@PERSON_HOME@/a b', '/home/a\\b'],
  ])('refuses what %s can’t hold: %j', (line, PERSON_HOME) => {
    expect(() => renderUnit(line, { PERSON_HOME })).toThrow(expect.objectContaining({ code: 'USAGE' }));
  });

  it.each(['User=@SOMEBODY@', 'User=@PERSON@', 'User=@constructor@', 'User=@HUB_USER@'])(
    'refuses to render %s without a value',
    (line) => {
      const unit = () => renderUnit(line.toUpperCase().replace('USER=', 'User='), { HUB_USER: '' });
      expect(unit).toThrow(/has no value/);
    },
  );
});

const hasSystemd = spawnSync('systemd-analyze', ['--version']).status === 0;

describe.skipIf(!hasSystemd)('the units, by systemd-analyze (not run where there is none)', () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'federation-units-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  /** Writes all units of a scope, for programs that are there. */
  async function writeUnits(scope: Scope, name: string): Promise<void> {
    const home = join(folder, name);
    // A program's name takes less than everything else.
    const plain = join(folder, name.replaceAll(/["'\\]/g, ''));
    const programs = { BIN: join(plain, 'bin'), OPENCLAW: join(plain, 'openclaw') };
    const homes = { PERSON_HOME: `${home}/x`, HUB_HOME: home, WORKER_HOME: home, OPENCLAW_STATE: home, PATH: home };
    const paths = { ...values, ...programs, ...homes };
    await mkdir(programs.BIN, { recursive: true });
    for (const file of [
      `${programs.BIN}/federation-hub`,
      `${programs.BIN}/federation-worker`,
      `${programs.BIN}/auto-register`,
      programs.OPENCLAW,
    ]) {
      await writeFile(file, '#!/bin/sh\n');
      await chmod(file, 0o755);
    }
    for (const [, unit] of UNITS.filter(([of]) => of === scope)) {
      await writeFile(join(folder, unit), renderUnit(await readUnitTemplate(scope, unit), paths));
    }
  }

  async function analyze(...args: readonly string[]): Promise<{ stdout: string; stderr: string }> {
    const env = { ...process.env, XDG_RUNTIME_DIR: folder, LC_ALL: 'C.UTF-8' };
    return promisify(execFile)('systemd-analyze', ['--no-pager', ...args], { env });
  }

  it.each(UNITS)('the %s unit %s is taken without a word', async (scope, name) => {
    await writeUnits(scope, 'home');
    expect(await analyze(`--${scope}`, 'verify', join(folder, name))).toEqual({ stdout: '', stderr: '' });
  });

  it.each(UNITS)('the %s unit %s is taken from a home with an odd name', async (scope, name) => {
    await writeUnits(scope, HOSTILE);
    expect(await analyze(`--${scope}`, 'verify', join(folder, name))).toEqual({ stdout: '', stderr: '' });
  });

  it('would not be taken with a word that systemd does not know', async () => {
    const unit = join(folder, 'x.service');
    await writeFile(unit, '[Service]\nExecStart=/bin/true\nRestrt=always\n');
    expect((await analyze('verify', unit)).stderr).toMatch(/Unknown key/);
  });

  it('what judges by the rules is exposed by what its unit explains, and by nothing else', async () => {
    await writeUnits('system', 'home');
    const unit = join(folder, 'auto-register.service');
    const { stdout } = await analyze('security', '--offline=true', '--json=short', unit);
    const openings = (JSON.parse(stdout) as { name: string; exposure: string | null }[])
      .filter(({ exposure }) => Number(exposure) > 0)
      .map(({ name }) => name);
    expect(openings).toMatchInlineSnapshot(`
      [
        "RemoveIPC=",
        "RootDirectory=/RootImage=",
        "MemoryDenyWriteExecute=",
        "RestrictAddressFamilies=~AF_UNIX",
        "PrivateUsers=",
        "DeviceAllow=",
      ]
    `);
  });

  it('the hub of a machine is exposed by what its unit explains, and by nothing else', async () => {
    await writeUnits('system', 'home');
    const unit = join(folder, 'federation-hub.service');
    const { stdout } = await analyze('security', '--offline=true', '--json=short', unit);
    const openings = (JSON.parse(stdout) as { name: string; exposure: string | null }[])
      .filter(({ exposure }) => Number(exposure) > 0)
      .map(({ name }) => name);
    expect(openings).toMatchInlineSnapshot(`
      [
        "RootDirectory=/RootImage=",
        "MemoryDenyWriteExecute=",
        "RestrictAddressFamilies=~AF_NETLINK",
        "RestrictAddressFamilies=~AF_UNIX",
        "RestrictAddressFamilies=~AF_(INET|INET6)",
        "PrivateNetwork=",
        "PrivateUsers=",
        "DeviceAllow=",
        "IPAddressDeny=",
      ]
    `);
    expect(await exposure(unit)).toBeLessThan(2);
  });

  it.each([
    ['system', 'openclaw-worker.service', 9.2],
    ['system', 'openclaw-gateway.service', 9.2],
    ['user', 'federation-hub.service', 6.2],
  ] as const)('the %s unit %s is exposed by %d at most', async (scope, name, most) => {
    await writeUnits(scope, 'home');
    expect(await exposure(join(folder, name))).toBeLessThanOrEqual(most);
  });

  async function exposure(unit: string): Promise<number> {
    const { stdout } = await analyze('security', '--offline=true', unit);
    return Number(/Overall exposure level for [^:]+: ([\d.]+)/.exec(stdout)?.[1]);
  }

  it.each(['system', 'user'] as const)('the worker of a %s may do what the person may', async (scope) => {
    const unit = await readUnitTemplate(scope, 'openclaw-worker.service');
    // Of themselves, or by what they imply, these take sudo from the commands, or split the cgroup that is threaded.
    expect(unit).not.toMatch(/^(?:NoNewPrivileges|SystemCall|Restrict[A-Z]|Protect|Private|Lock|ExecReload|ExecStop)/m);
  });
});
