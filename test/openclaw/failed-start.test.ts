import { writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Place } from '../e2e/place.ts';
import { makePlace } from '../e2e/place.ts';
import { until } from '../e2e/until.ts';

let place: Place;

beforeEach(async () => {
  place = await makePlace();
});

// Throws where something was left running.
afterEach(() => place.remove());

it.each([['in the foreground'], ['in the background', '--detach']])(
  'ends with all of the federation where the gateway can’t be started, %s',
  async (_, ...flags) => {
    const local = ['local', '--dir', place.file('f'), '--workers', '1', '--openclaw', '/bin/false', ...flags];
    const { exitCode, stderr } = await place.run('deploy-federation', local);
    expect(stderr).toContain('error: the OpenClaw gateway ended at its start (exit 1)');
    expect(stderr).toContain('\n  try: ');
    expect(exitCode).toBe(1);
  },
);

it('ends with all of the federation where Ctrl-C comes while the gateway starts', async () => {
  const silent = place.file('openclaw');
  await writeFile(silent, '#!/bin/sh\nexec sleep 600\n', { mode: 0o755 });
  const local = ['local', '--dir', place.file('f'), '--workers', '1', '--openclaw', silent];
  const running = place.start('deploy-federation', local);
  await until('only the gateway is missing', () => running.said().includes('waiting for the OpenClaw gateway'));
  running.kill('SIGINT');
  expect(await running.ended).toMatchObject({ exitCode: 130 });
});
