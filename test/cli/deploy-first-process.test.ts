import { execa } from 'execa';
import { expect, test } from 'vitest';
import { FIRST_PROCESS } from '#src/cli/deploy/first-process.ts';

const under = (script: string, input = '') =>
  execa('sh', ['-c', FIRST_PROCESS, 'sh', process.execPath, '-e', script], { reject: false, input });

test('the first process of a container ends as the command that it runs', async () => {
  expect((await under('process.exitCode = 7')).exitCode).toBe(7);
});

test('the first process of a container passes standard input on', async () => {
  expect((await under('process.stdin.pipe(process.stdout)', 'token')).stdout).toBe('token');
});

test.each(['SIGTERM', 'SIGINT'] as const)(
  'the first process of a container passes %s on, and waits for the end',
  async (signal) => {
    const running = under(
      `process.once('${signal}', () => setTimeout(() => { console.log('done'); process.exit(3) }, 50));
       console.log('ready'); setTimeout(() => undefined, 60_000)`,
    );
    for await (const line of running) {
      if (line === 'ready') running.kill(signal);
    }
    expect(await running).toMatchObject({ exitCode: 3, stdout: 'ready\ndone' });
  },
);
