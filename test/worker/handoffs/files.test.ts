import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { linkSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { SHA256_HEADER } from '#src/protocol/handoffs.ts';
import type { GatewayRun } from './scripted-gateway.ts';
import { startNode } from './node-under-test.ts';

const outOf = ({ message }: GatewayRun): string => /put them into (\S+), /.exec(message)?.[1] ?? '';
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

it('the files of a handoff lie where the agent is told, for its user alone', async () => {
  const found: unknown[] = [];
  await using node = await startNode(({ message }) => {
    const path = /^- (\S+) \(5 bytes\)$/m.exec(message)?.[1] ?? '';
    found.push(readFileSync(path, 'utf8'), statSync(path).mode & 0o777);
  });
  const { id } = await node.order({ files: [{ name: 'a.txt', content: Buffer.from('hello').toString('base64') }] });
  await node.events(id);
  expect(found).toEqual(['hello', 0o600]);
});

it('what the agent puts into its folder belongs to the answer', async () => {
  await using node = await startNode((run) => {
    writeFileSync(join(outOf(run), 'report.txt'), 'a report');
    return { text: 'see the report' };
  });
  const { id } = await node.order();
  const events = await node.events(id);
  const artefact = { type: 'artefact', name: 'report.txt', size: 8, sha256: sha256('a report') };
  expect(events.slice(-2)).toMatchObject([artefact, { type: 'ended', outcome: 'completed', problem: null }]);
  const stream = node.get(`/handoffs/${id}/artefacts/report.txt`);
  const [headers] = (await once(stream, 'response')) as [Record<string, unknown>];
  let text = '';
  for await (const chunk of stream) text += String(chunk);
  expect([headers[SHA256_HEADER], text]).toEqual([sha256('a report'), 'a report']);
  expect(await node.ask('GET', `/handoffs/${id}/artefacts/other.txt`)).toMatchObject({ status: 404 });
  expect(await node.ask('GET', `/handoffs/${id}/artefacts/..%2Frecord.json`)).toMatchObject({ status: 400 });
});

it('what is no plain file of a plain name is left behind and named', async () => {
  await using node = await startNode((run) => {
    const out = outOf(run);
    writeFileSync(join(out, 'good'), 'x');
    writeFileSync(join(out, '.hidden'), 'x');
    writeFileSync(join(out, 'turned‮round'), 'x');
    symlinkSync('/etc/passwd', join(out, 'link'));
    mkdirSync(join(out, 'folder'));
    linkSync(join(out, 'good'), join(out, 'twin'));
    writeFileSync(join(out, 'plain'), 'y');
  });
  const { id } = await node.order();
  const events = await node.events(id);
  expect(events.filter(({ type }) => type === 'artefact').map((event) => 'name' in event && event.name)).toEqual([
    'plain',
  ]);
  const end = events.at(-1);
  expect(end).toMatchObject({ type: 'ended', outcome: 'completed' });
  const problem = end?.type === 'ended' ? end.problem : '';
  for (const name of ['".hidden"', '"link": it is no regular file', '"folder"', '"good": it has more than one name']) {
    expect(problem).toContain(name);
  }
  expect(problem).not.toContain('‮');
});

it('files of the gateway’s media folder belong to the answer, any other path is but words', async () => {
  await using node = await startNode(() => ({ text: 'look', media: join(node.folder, 'media', 'image.png') }));
  mkdirSync(join(node.folder, 'media'));
  writeFileSync(join(node.folder, 'media', 'image.png'), 'png');
  const first = await node.events((await node.order()).id);
  expect(first.at(-2)).toMatchObject({ type: 'artefact', name: 'image.png', sha256: sha256('png') });
  node.gateway.script = () => ({ text: 'look', media: '/etc/passwd' });
  const second = await node.events((await node.order()).id);
  expect(second.map(({ type }) => type)).toEqual(['started', 'ended']);
});
