import { expect, onTestFinished, test, vi } from 'vitest';
import { deedExitCode } from '#src/cli/manage/deed.ts';
import type { ErrorCode } from '#src/core/errors.ts';
import { FederationError } from '#src/core/errors.ts';

function failing(code: ErrorCode) {
  const said: string[] = [];
  const spy = vi.spyOn(process.stderr, 'write').mockImplementation((text) => said.push(String(text)) > 0);
  onTestFinished(() => spy.mockRestore());
  const work = () => Promise.reject(new FederationError(code, 'so it is', { hint: 'do that' }));
  return { said, ended: deedExitCode(work, { json: false }) };
}

test.each<[ErrorCode, number]>([
  ['LINK_LOST', 254],
  ['GATEWAY_UNREACHABLE', 254],
  ['MACHINE_UNREACHABLE', 255],
  ['FORBIDDEN', 255],
  ['PATH_DENIED', 255],
  ['TOOL_DENIED', 255],
  ['LOCKED_DOWN', 255],
])('%s of one node ends a command with %i, and says why', async (code, exitCode) => {
  const { said, ended } = failing(code);
  expect(await ended).toBe(exitCode);
  expect(said.join('')).toContain('error: so it is');
});

test.each<ErrorCode>(['PATH_NOT_FOUND', 'TOOL_FAILED', 'DISK_FULL', 'USAGE', 'HUB_UNREACHABLE'])(
  '%s stays what it is anywhere',
  async (code) => {
    await expect(failing(code).ended).rejects.toMatchObject({ code });
  },
);

test('what went well is told as it is', async () => {
  expect(await deedExitCode(async () => 0, { json: false })).toBe(0);
});
