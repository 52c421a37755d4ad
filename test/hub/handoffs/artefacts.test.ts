import { expect, test } from 'vitest';
import { SHA256_HEADER } from '#src/protocol/handoffs.ts';
import type { AgentNode } from '../../support/agent-node.ts';
import { offeringNode } from '../../support/agent-node.ts';
import { eventually } from '../../support/eventually.ts';
import type { Federation } from '../../support/federation.ts';
import { startFederation } from '../../support/federation.ts';
import { sha256 } from '../../support/files.ts';
import { hand, untilState } from '../../support/handoff.ts';
import { open } from '../../support/http.ts';

const REPORT = Buffer.from(Array.from({ length: 300_000 }, (_, at) => at % 251));

/** A handoff that is over, with the files that its node says it has; what it gives is another matter. */
async function answered(federation: Federation, node: AgentNode): Promise<string> {
  node.onTaken = (taken) => {
    node.start(taken);
    for (const [name, bytes] of [
      ['report.md', REPORT],
      ['empty', Buffer.alloc(0)],
    ] as const) {
      node.say(taken, { type: 'artefact', name, size: bytes.length, sha256: sha256(bytes) });
    }
    node.end(taken, 'done');
  };
  const { id } = await hand(federation);
  await untilState(federation, id, 'completed');
  return id;
}

interface Fetched {
  readonly status: number;
  readonly sha256: unknown;
  readonly bytes: Buffer;
  /** Whether as much came as was said. */
  readonly isWhole: boolean;
}

async function fetched(federation: Federation, id: string, name: string): Promise<Fetched> {
  const path = `/api/v1/handoffs/${id}/artefacts/${encodeURIComponent(name)}`;
  const response = await open({ socketPath: federation.hub.operator, path }).catch(() => null);
  // Nothing of it came, not even its head.
  if (response === null) return { status: 0, sha256: undefined, bytes: Buffer.alloc(0), isWhole: false };
  const chunks: Buffer[] = [];
  let isWhole = true;
  try {
    for await (const chunk of response) chunks.push(chunk as Buffer);
  } catch {
    isWhole = false;
  }
  const status = response.statusCode ?? 0;
  return { status, sha256: response.headers[SHA256_HEADER], bytes: Buffer.concat(chunks), isWhole };
}

test('the bytes come as they are, with their hash, however often', async () => {
  await using federation = await startFederation();
  const node = await offeringNode(federation, 'w1');
  const id = await answered(federation, node);
  node.files.set('report.md', REPORT).set('empty', Buffer.alloc(0));
  for (let at = 0; at < 2; at += 1) {
    const got = await fetched(federation, id, 'report.md');
    expect(got).toMatchObject({ status: 200, sha256: sha256(REPORT), isWhole: true });
    expect(got.bytes.equals(REPORT)).toBe(true);
  }
  expect(await fetched(federation, id, 'empty')).toMatchObject({ status: 200, bytes: Buffer.alloc(0), isWhole: true });
  const unknown = await fetched(federation, id, 'other.md');
  expect(JSON.parse(unknown.bytes.toString())).toMatchObject({
    code: 'PATH_NOT_FOUND',
    hint: 'it has report.md, empty',
  });
});

test.each<[string, Buffer]>([
  ['one byte is another', Buffer.from(REPORT).fill(0, 0, 2)],
  ['the last byte is another', Buffer.concat([REPORT.subarray(0, -1), Buffer.from([255])])],
  ['it is cut', REPORT.subarray(0, -1)],
  ['there is nothing', Buffer.alloc(0)],
  ['there is more', Buffer.concat([REPORT, Buffer.from('x')])],
])('bytes that are not those of the answer never come whole: %s', async (_name, bytes) => {
  await using federation = await startFederation();
  const node = await offeringNode(federation, 'w1');
  const id = await answered(federation, node);
  node.files.set('report.md', bytes);
  const got = await fetched(federation, id, 'report.md');
  expect(got.isWhole).toBe(false);
  expect(got.bytes.length).toBeLessThan(REPORT.length);
});

test('a node that refuses, breaks off, or is away is said to do so', async () => {
  await using federation = await startFederation();
  const node = await offeringNode(federation, 'w1');
  const id = await answered(federation, node);
  const isFile = (what: string): boolean => what.includes('/artefacts/');
  node.mishap = (what) => (isFile(what) ? { code: 'PATH_NOT_FOUND' } : undefined);
  expect(await fetched(federation, id, 'report.md')).toMatchObject({ status: 404, isWhole: true });
  node.mishap = (what) => (isFile(what) ? 'cut' : undefined);
  const cut = await fetched(federation, id, 'report.md');
  expect(JSON.parse(cut.bytes.toString())).toMatchObject({ code: 'LINK_LOST' });
  await node.node.stop();
  await eventually('it is away', async () => !(await federation.isOnline('w1')));
  const away = await fetched(federation, id, 'report.md');
  expect(JSON.parse(away.bytes.toString())).toMatchObject({
    ...{ code: 'MACHINE_UNREACHABLE', message: 'w1, which has this file, is not connected' },
  });
});
