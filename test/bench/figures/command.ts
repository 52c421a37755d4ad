import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { startHub, startWorker, WORKER } from '../federation.ts';
import type { Figure } from '../figure.ts';
import { atMost, median } from '../figure.ts';

export const command: Figure = {
  name: 'command',
  unit: 'ms',
  what: '`manage-federation exec w1 -- /bin/true` as an installed process; floor: `node -e 0` of the same Node',
  warmUps: 3,
  samples: 31,
  lines: [{ name: 'p50', of: median, bar: atMost(150, 'ms') }],
  async open(bench) {
    const hub = await startHub(bench);
    await startWorker(bench, hub);
    const manage = join(bench.installed, 'bin/manage-federation');
    return {
      ours: () => timed(manage, ['--home', hub.home, 'exec', WORKER, '--', '/bin/true']),
      floor: () => timed(process.execPath, ['-e', '0']),
    };
  },
};

function timed(program: string, args: readonly string[]): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const startedAt = performance.now();
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  child.on('error', reject);
  child.on('exit', (code) => {
    if (code === 0) resolve(performance.now() - startedAt);
    else reject(new Error(`${program} ended with exit code ${code}`));
  });
  return promise;
}
