import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { runOpenClaw } from '#src/adapters/openclaw/program.ts';
import { isRunning, startTime } from '#src/adapters/process/start-time.ts';
import { eventually } from '../support/eventually.ts';

test('a program ends when the process that started it is killed', async () => {
  const script = fileURLToPath(new URL('../fixtures/openclaw-parent.ts', import.meta.url));
  const parent = spawn(process.execPath, ['--conditions=federation-source', script, '61.7'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(createInterface(parent.stdout), 'line')) as [string];
  const [pid, started] = [Number(line), startTime(Number(line))];
  expect(started).not.toBeNull();
  parent.kill('SIGKILL');
  await eventually('the program is gone', () => !isRunning(pid, started));
});

test.each(['no-such-openclaw', '/no/such/openclaw', '/etc/passwd'])(
  '%s is reported as missing, with what to do',
  async (openclaw) => {
    const starting = runOpenClaw({ openclaw, args: [], environment: {}, onLine: () => undefined });
    await expect(starting).rejects.toMatchObject({
      code: 'OPENCLAW_MISSING',
      hint: expect.stringContaining('npm install') as string,
    });
  },
);
