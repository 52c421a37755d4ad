import { defineConfig } from 'vitest/config';

const source = { conditions: ['federation-source'] };
const node = { pool: 'forks' as const, execArgv: ['--conditions=federation-source'], testTimeout: 30_000 };

/** Projects by what they need: `unit` needs nothing, `e2e` starts processes, `openclaw` starts the real gateway, `lab` machines. */
export default defineConfig({
  test: {
    projects: [
      {
        resolve: source,
        ssr: { resolve: source },
        test: {
          ...node,
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/e2e/**', 'test/handoffs/**', 'test/openclaw/**', 'test/lab/**'],
          maxWorkers: 2,
        },
      },
      {
        resolve: source,
        ssr: { resolve: source },
        test: {
          ...node,
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts', 'test/handoffs/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          maxWorkers: 2,
        },
      },
      {
        resolve: source,
        ssr: { resolve: source },
        test: {
          ...node,
          name: 'openclaw',
          include: ['test/openclaw/**/*.test.ts'],
          testTimeout: 240_000,
          hookTimeout: 240_000,
          maxWorkers: 1,
          // Programs of others, which take their time: what fails twice is broken, and what fails once is named.
          retry: 1,
        },
      },
      {
        resolve: source,
        ssr: { resolve: source },
        test: {
          ...node,
          name: 'lab',
          include: ['test/lab/**/*.test.ts'],
          globalSetup: ['test/lab/setup.ts'],
          testTimeout: 240_000,
          hookTimeout: 240_000,
          maxWorkers: 1,
          // Whole machines that boot, crash and download beside each other: what fails twice is broken.
          retry: 1,
        },
      },
    ],
  },
});
