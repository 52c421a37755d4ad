import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { PluginPackage } from './plugin-package.ts';
import { pluginPackage } from './plugin-package.ts';
import { freePort, OPENCLAW } from './small-federation.ts';

let plugin: PluginPackage;
let home: string;

beforeAll(async () => {
  plugin = await pluginPackage();
  home = await mkdtemp(join(tmpdir(), 'ocf-down-'));
  const settings = {
    gateway: {
      mode: 'local',
      bind: 'loopback',
      port: await freePort(),
      auth: { mode: 'token', token: 'x'.repeat(32) },
    },
    plugins: { load: { paths: [plugin.path] }, entries: { 'openclaw-federation': { enabled: true } } },
  };
  await writeFile(join(home, 'openclaw.json'), JSON.stringify(settings), { mode: 0o600 });
});

afterAll(async () => {
  await plugin?.remove();
  if (home !== undefined) await rm(home, { recursive: true, force: true, maxRetries: 5 });
});

/** `openclaw federation …` of somebody whose gateway does not run. OpenClaw says less under a test runner. */
function federation(...args: readonly string[]) {
  const env = { HOME: home, OPENCLAW_STATE_DIR: home, VITEST: '', NODE_ENV: 'production' };
  return execa(OPENCLAW, ['federation', ...args], { env, reject: false, stdin: 'ignore' });
}

it.each(['status', 'peers'])('openclaw federation %s says in two lines that the gateway is down', async (verb) => {
  const { exitCode, stdout, stderr } = await federation(verb);
  expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
  expect(stderr).toMatch(/^error: the gateway does not answer \(.+\)$/m);
  expect(stderr).toMatch(/^ {2}try: openclaw gateway status$/m);
});

it('and as JSON, for a program', async () => {
  const { exitCode, stdout } = await federation('peers', '--json');
  expect(exitCode).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject({ code: 'GATEWAY_UNREACHABLE', hint: 'openclaw gateway status' });
});
