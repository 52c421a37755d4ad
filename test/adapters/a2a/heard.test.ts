import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Artifact, Part, StreamResponse } from '@a2a-js/sdk';
import { TaskState } from '@a2a-js/sdk';
import { expect, onTestFinished, test } from 'vitest';
import { createHeard } from '#src/adapters/a2a/heard.ts';

const none = { metadata: undefined, mediaType: '' };
const raw = (value: Buffer, filename = ''): Part => ({ ...none, filename, content: { $case: 'raw', value } });
const url = (value: string): Part => ({ ...none, filename: '', content: { $case: 'url', value } });

function artifact(...parts: Part[]): StreamResponse {
  const told: Artifact = { artifactId: 'a', name: '', description: '', parts, metadata: undefined, extensions: [] };
  const value = { taskId: 't', contextId: 'c', artifact: told, append: true, lastChunk: false, metadata: undefined };
  return { payload: { $case: 'artifactUpdate', value } };
}

const COMPLETED: StreamResponse = {
  payload: {
    $case: 'statusUpdate',
    value: {
      ...{ taskId: 't', contextId: 'c', metadata: undefined },
      status: { state: TaskState.TASK_STATE_COMPLETED, message: undefined, timestamp: undefined },
    },
  },
};

async function out(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ocf-heard-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

test('the files of an answer are written once, however often its end is asked for', async () => {
  const folder = await out();
  const heard = createHeard(folder, () => undefined);
  heard.take(artifact(raw(Buffer.from('x'), 'plan.md')));
  expect(await heard.end()).toBeNull();
  heard.take(COMPLETED);
  expect(await heard.end()).toMatchObject({ outcome: 'completed', problem: null });
  expect(await heard.end()).toMatchObject({ outcome: 'completed', problem: null });
  expect(await readdir(folder)).toEqual(['plan.md']);
});

test('no more files are kept than a node keeps, and no more is said of what is wrong than a few words', async () => {
  const folder = await out();
  const heard = createHeard(folder, () => undefined);
  const large = Buffer.alloc(4 << 20);
  for (let at = 0; at < 40; at += 1)
    heard.take(artifact(raw(large, `f${at}`), url(`http://far/${at}/${'x'.repeat(9000)}`)));
  heard.take(artifact(raw(large, 'f0')));
  heard.take(COMPLETED);
  const end = await heard.end();
  expect(await readdir(folder)).toHaveLength(16);
  expect(end?.problem).toContain('the answer has more files than are kept');
  expect(end?.problem?.length).toBeLessThan(5000);
});
