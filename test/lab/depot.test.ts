import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import { describeLab } from './describe-lab.ts';
import type { Lab } from './lab.ts';
import { openLab } from './lab.ts';
import type { Machine } from './machine.ts';

const Packument = z.object({
  versions: z.record(z.string(), z.object({ dist: z.object({ tarball: z.string(), integrity: z.string() }) })),
});

describeLab('what a machine can install', 'machines', () => {
  let lab: Lab;
  let machine: Machine;

  beforeAll(async () => {
    lab = await openLab({ machines: 1, tailnet: false });
    machine = lab.machine('m1');
  });
  afterAll(() => lab.close());

  it('is OpenClaw, whole, from the registry that npm is set to', async () => {
    expect(await machine.succeed(['cat', '.npmrc'], { user: 'claw' })).toBe(`registry=${lab.registryUrl}/\n`);
    const packument = await machine.succeed(['curl', '-sSf', `${lab.registryUrl}/openclaw`]);
    const { tarball = '', integrity } = Packument.parse(JSON.parse(packument)).versions['2026.9.6']?.dist ?? {};
    await machine.succeed(['curl', '-sSf', '-o', '/root/openclaw.tgz', tarball]);
    const content = await readFile(join(machine.root, 'root/openclaw.tgz'));
    expect(`sha512-${createHash('sha512').update(content).digest('base64')}`).toBe(integrity);
  });

  it('is found by the path that npm asks for a package with a scope, and nothing else is', async () => {
    const status = (path: string) =>
      machine.succeed(['curl', '-s', '-o', '/dev/null', '-w', '%{http_code}', `${lab.registryUrl}/${path}`]);
    expect(await status('@openclaw%2fgateway-client')).toBe('404');
    expect(await status('@anthropic-ai%2fsdk')).toBe('200');
    expect(await status('left-pad')).toBe('404');
    expect(await status('..%2f..%2f..%2fetc%2fpasswd')).toBe('404');
  });

  it('is the package of this project, with the Node that it brings', async () => {
    await lab.installPackage(machine);
    const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8'));
    for (const user of ['root', 'claw', 'pat'] as const) {
      expect(await machine.succeed(['deploy-federation', '--version'], { user })).toBe(`${version}\n`);
    }
  });

  it('is nothing of the internet', async () => {
    expect((await machine.run(['curl', '-s', '--max-time', '2', 'https://registry.example'])).code).not.toBe(0);
    expect(await machine.read('/etc/resolv.conf')).toBe('');
  });
});
