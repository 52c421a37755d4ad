import { execFileSync } from 'node:child_process';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { AuditView } from '#src/protocol/hub-api/audit.ts';
import type { TokenCreated } from '#src/protocol/hub-api/token.ts';
import type { Federation } from './federation.ts';
import { startFederation } from './federation.ts';
import { BIN } from './place.ts';
import { until } from './until.ts';

let federation: Federation;
beforeAll(async () => {
  federation = await startFederation({ workers: 1 });
});
afterAll(() => federation.stop());

const file = (name: string) => federation.place.file(name);
/** In a shell, so that bytes stay bytes. */
const shell = (line: string) =>
  federation.place.startShell(line.replaceAll('MANAGE', `${BIN}/manage-federation --home ${federation.home}`)).ended;

it('carries any bytes to a node and back', async () => {
  const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, at) => (at * 31) & 255));
  await writeFile(file('source'), bytes);
  const wrote = await shell(`MANAGE write w1 ${file('there')} --mode 600 < ${file('source')}`);
  expect(wrote).toMatchObject({ exitCode: 0, stdout: '', stderr: `wrote ${file('there')} on w1 (300000 bytes)\n` });
  expect((await stat(file('there'))).mode & 0o777).toBe(0o600);
  expect(await shell(`MANAGE read w1 ${file('there')} > ${file('back')}`)).toMatchObject({ exitCode: 0, stderr: '' });
  expect((await readFile(file('back'))).equals(bytes)).toBe(true);
  expect(await shell(`MANAGE read w1 ${file('there')} --offset=-3 > ${file('tail')}`)).toMatchObject({ exitCode: 0 });
  expect((await readFile(file('tail'))).equals(bytes.subarray(-3))).toBe(true);
});

it('writes a file of this machine, once where there must be none', async () => {
  await writeFile(file('one'), 'one');
  const words = ['write', 'w1', file('once'), '--from', file('one'), '--if-absent'];
  expect(await federation.ask('write', 'w1', file('json'), '--from', file('one'))).toMatchObject({
    node: 'w1',
    size: 3,
  });
  expect((await federation.manage(words)).exitCode).toBe(0);
  expect(await federation.manage(words)).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining('exists already'),
  });
});

it('answers a program in JSON, whatever the bytes are', async () => {
  await writeFile(file('text'), 'hello');
  await writeFile(file('bytes'), Buffer.from([255, 0]));
  expect(await federation.ask('read', 'w1', file('text'))).toMatchObject({
    encoding: 'utf8',
    content: 'hello',
    size: 5,
  });
  expect(await federation.ask('read', 'w1', file('bytes'))).toMatchObject({ encoding: 'base64', content: '/wA=' });
});

it('keeps the worker’s own key from those who may read beside it', async () => {
  const own = `${federation.directory}/w1/node.key`;
  const denied = { exitCode: 255, stderr: expect.stringMatching(/^error: .*\n +try: /) as unknown };
  expect(await federation.manage(['read', 'w1', own])).toMatchObject({ ...denied, stdout: '' });
  expect(await federation.manage(['write', 'w1', `${federation.directory}/w1/settings.yaml`])).toMatchObject(denied);
});

it('tells in the audit what was read and written, and nothing of what was in it', async () => {
  await writeFile(file('secret'), 'a secret text');
  await federation.manage(['read', 'w1', file('secret')]);
  const audit = await federation.ask<AuditView[]>('audit', '--limit', '20');
  expect(audit.map(({ action }) => action)).toEqual(expect.arrayContaining(['file.read', 'file.read.end']));
  expect(JSON.stringify(audit)).not.toContain('a secret text');
});

function canMount(): boolean {
  try {
    execFileSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

it.skipIf(!canMount())('leaves nothing behind on a disk that is full', async () => {
  const [disk, home] = [file('disk'), file('full')];
  await mkdir(disk);
  await mkdir(home, { mode: 0o700 });
  const { token } = await federation.ask<TokenCreated>('token', 'create', '--name', 'full');
  await writeFile(`${home}/join-token`, token);
  const { address, port } = JSON.parse(await readFile(`${federation.home}/hub.json`, 'utf8')) as {
    address: string;
    port: number;
  };
  const worker = `${BIN}/federation-worker --home ${home} --name full --hub ${address}:${port}`;
  const mount = `mount -t tmpfs -o size=256k tmpfs ${disk} && echo kept > ${disk}/kept && exec ${worker}`;
  const running = federation.place.startShell(`exec unshare --mount sh -c '${mount}'`);
  await federation.untilState('full', 'online');
  try {
    await writeFile(file('large'), Buffer.alloc(1 << 20));
    for (const name of ['kept', 'new']) {
      expect(await federation.manage(['write', 'full', `${disk}/${name}`, '--from', file('large')])).toMatchObject({
        exitCode: 1,
        stderr: expect.stringContaining('no room'),
      });
    }
    const left = await federation.manage(['exec', 'full', '--', 'sh', '-c', `ls -A ${disk}; cat ${disk}/kept`]);
    expect(left.stdout).toBe('kept\nkept\n');
  } finally {
    running.kill('SIGTERM');
    await until('the worker has ended', () => running.ended.then(() => true), 30_000);
  }
});
