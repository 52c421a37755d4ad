import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { JournalFile } from '#src/adapters/store/journal-file.ts';
import { journalFile } from '#src/adapters/store/journal-file.ts';
import type { AgentRunner } from '#src/core/handoff/runner.ts';
import { createConsent } from '#src/worker/consent.ts';
import type { Messages } from '#src/worker/handoffs/messages.ts';
import { openMessages } from '#src/worker/handoffs/messages.ts';
import { orderOf } from './node-under-test.ts';

let folder: string;
/** What happened, in its order. */
let done: string[];
/** What the agent was told; its gateway looks there for what it may have been told already. */
let told: string[];
let mishap: 'none' | 'the disk is full' | 'it dies before the agent is told' | 'it dies after the agent was told';

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ocf-told-'));
  [done, told, mishap] = [[], [], 'none'];
});
afterEach(() => rm(folder, { recursive: true }));

/** A disk that takes its time, and says only then that it has it. */
function slowDisk(): JournalFile {
  const file = journalFile(join(folder, 'messages.ndjson'));
  return {
    ...file,
    async append(line, durable) {
      const { told: isTold } = JSON.parse(line) as { told: boolean };
      for (let at = 0; at < 20; at++) await turn();
      if (mishap === 'the disk is full') throw new Error('ENOSPC: no space left on device');
      if (mishap === 'it dies after the agent was told' && isTold) throw new Error('it died');
      await file.append(line, durable);
      done.push(`${durable ? 'durable' : 'written'}: ${isTold ? 'told' : 'to be told'}`);
    },
  };
}

function agent(): AgentRunner {
  const absent = () => Promise.reject(new Error('not part of this test'));
  return {
    ...{ isReady: () => true, onReady: () => () => undefined, agents: absent, run: absent, attach: absent },
    async deliver({ key }, perhaps) {
      if (mishap === 'it dies before the agent is told') throw new Error('it died');
      if (perhaps && told.includes(key)) return { replayed: true };
      told.push(key);
      done.push('the agent is told');
      return { replayed: false };
    },
    close: () => Promise.resolve(),
  };
}

/** A daemon that has just started. */
function started(): Promise<Messages> {
  const consent = createConsent({ id: () => 'f'.repeat(64), role: 'worker' });
  const offered = () => [{ id: 'main', description: '', tags: [], concurrency: 4 }];
  return openMessages({ file: slowDisk(), runner: agent(), consent, offered });
}

const { id, asker } = orderOf();
const order = { id, agent: null, asker, message: 'the door is open' };

it('an agent is told nothing before it is on the medium that it will be', async () => {
  const messages = await started();
  await messages.deliver(order);
  expect(done).toEqual(['durable: to be told', 'the agent is told', 'durable: told']);
});

it('an agent is told nothing where that can’t be written down, and once when it can', async () => {
  const messages = await started();
  mishap = 'the disk is full';
  await expect(messages.deliver(order)).rejects.toMatchObject({ code: 'DISK_FULL' });
  expect(told).toEqual([]);
  mishap = 'none';
  expect(await messages.deliver(order)).toEqual({ agent: 'main', replayed: false });
  expect(await messages.deliver(order)).toEqual({ agent: 'main', replayed: true });
  expect(told).toEqual([id]);
});

it.each([
  ['it dies before the agent is told', 'it died', false],
  ['it dies after the agent was told', 'this node can’t write down which messages it has told', true],
] as const)('a message is told once where, with a daemon at work on it, %s', async (when, problem, replayed) => {
  mishap = when;
  await expect((await started()).deliver(order)).rejects.toThrow(problem);
  mishap = 'none';
  const next = await started();
  expect(await next.deliver(order)).toEqual({ agent: 'main', replayed });
  expect(await next.deliver(order)).toEqual({ agent: 'main', replayed: true });
  expect(told).toEqual([id]);
});
