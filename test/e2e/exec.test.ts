import { createHash, randomBytes, randomInt } from 'node:crypto';
import { open, writeFile } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Federation } from './federation.ts';
import { startFederation } from './federation.ts';
import { bytesWritten, forgetPeak, peakMemory, programsWith } from './processes.ts';
import { stubbornTree } from './tree.ts';
import { until } from './until.ts';

const MIB = 1 << 20;

describe('exec on one node', () => {
  let federation: Federation;
  beforeAll(async () => {
    federation = await startFederation({ workers: 1, env: { OPENCLAW_FEDERATION_WORKER_KILL_AFTER_SECONDS: '2' } });
  });
  afterAll(() => federation.stop());

  /** A file of random bytes, and their hash. */
  async function randomFile(name: string, size: number) {
    const bytes = randomBytes(size);
    const path = federation.place.file(name);
    await writeFile(path, bytes);
    return { path, bytes, sha256: sha256(bytes) };
  }

  it('gives both streams apart and the exit code of the command', async () => {
    const ended = await federation.manage(['exec', 'w1', '--', 'sh', '-c', 'echo out; echo err >&2; exit 7']);
    expect(ended).toEqual({ exitCode: 7, signal: null, stdout: 'out\n', stderr: 'err\n' });
  });

  it('gives 127 for a program that is not there, 126 for one that can’t run, 128 and more for a signal', async () => {
    const none = await federation.manage(['exec', 'w1', '--', 'no-such-program']);
    expect(none).toMatchObject({ exitCode: 127, stderr: 'w1: no such program: no-such-program\n' });
    const { path } = await randomFile('not-executable', 1);
    expect(await federation.manage(['exec', 'w1', '--', path])).toMatchObject({ exitCode: 126 });
    const killed = await federation.manage(['exec', 'w1', '--', 'sh', '-c', 'kill -9 $$']);
    expect(killed).toMatchObject({ exitCode: 137, stderr: 'w1: ended by SIGKILL\n' });
  });

  it('ends a command at its timeout, and says so with 124', async () => {
    const tree = stubbornTree();
    const running = federation.startManage(['exec', 'w1', '--timeout', '1s', '--', 'sh', '-c', tree.script]);
    expect(await running.ended).toMatchObject({ exitCode: 124, stderr: 'w1: timed out and was ended\n' });
    expect(tree.alive()).toBe(0);
  });

  it('carries 64 MiB byte for byte', async () => {
    const { path, sha256: wanted } = await randomFile('big', 64 * MIB);
    const running = federation.startManage(['exec', 'w1', '--', 'cat', path], { hold: true });
    expect(await hashOf(running.stdout)).toBe(wanted);
    expect(await running.ended).toMatchObject({ exitCode: 0 });
  });

  it('holds the command back while the reader of its output stalls, in bounded memory, and loses nothing', async () => {
    const { path, bytes } = await randomFile('big', 64 * MIB);
    const wanted = sha256(bytes, bytes, bytes, bytes);
    const hub = await federation.pidOf('hub');
    const idle = forgetPeak(hub);
    const running = federation.startManage(['exec', 'w1', '--', 'cat', path, path, path, path], { hold: true });
    const { pid: cat } = await until('the command runs', () => programsWith('cat', path)[0]);
    expect(await untilStalled(cat)).toBeLessThan(16 * MIB);
    expect(peakMemory(hub) - idle).toBeLessThan(64 * MIB);
    expect(await hashOf(running.stdout)).toBe(wanted);
    expect(await running.ended).toMatchObject({ exitCode: 0 });
    // What went through and waits to be collected is more than what is held, and less than what was sent.
    expect(peakMemory(hub) - idle).toBeLessThan(144 * MIB);
  });

  it('passes 8 MiB of input through byte for byte', async () => {
    const { bytes, sha256: wanted } = await randomFile('input', 8 * MIB);
    const running = federation.startManage(['exec', 'w1', '--', 'cat'], { stdin: 'pipe', hold: true });
    const [hash] = await Promise.all([hashOf(running.stdout), pipeline(Readable.from(slices(bytes)), running.stdin!)]);
    expect(hash).toBe(wanted);
    expect(await running.ended).toMatchObject({ exitCode: 0 });
  });

  it('passes a file as input', async () => {
    const { path, bytes } = await randomFile('input', 1000);
    const file = await open(path);
    const ended = await federation.manage(['exec', 'w1', '--', 'wc', '-c'], { stdin: file.fd });
    await file.close();
    expect(ended).toMatchObject({ exitCode: 0, stdout: `${bytes.length}\n` });
  });

  it.each([
    ['an empty pipe', [] as string[], 'pipe'],
    ['/dev/null', [], 'ignore'],
    ['a pipe that is not to be read', ['--no-stdin'], 'pipe'],
  ] as const)('gives the command an end of input for %s', async (_, flags, stdin) => {
    const running = federation.startManage(['exec', 'w1', ...flags, '--', 'wc', '-c'], { stdin });
    if (flags.length === 0) running.stdin?.end();
    expect(await running.ended).toEqual({ exitCode: 0, signal: null, stdout: '0\n', stderr: '' });
  });

  it('ends by itself when the command does not wait for its input', async () => {
    const running = federation.startManage(['exec', 'w1', '--', 'true'], { stdin: 'pipe' });
    expect(await running.ended).toMatchObject({ exitCode: 0, stderr: '' });
  });

  it('ends all that came of the command at Ctrl-C, and leaves with 130', async () => {
    const tree = stubbornTree();
    const running = federation.startManage(['exec', 'w1', '--', 'sh', '-c', tree.script]);
    await tree.untilGrown();
    running.kill('SIGINT');
    const ended = await running.ended;
    expect(ended).toMatchObject({ exitCode: 130, stdout: '' });
    expect(ended.stderr).toContain('ending it on w1');
    expect(tree.alive()).toBe(0);
  });

  it('leaves at once at a second Ctrl-C, and says where the command may still run', async () => {
    const tree = stubbornTree();
    const running = federation.startManage(['exec', 'w1', '--', 'sh', '-c', tree.script]);
    await tree.untilGrown();
    running.kill('SIGINT');
    await until('it says that it ends the command', () => running.said().includes('ending it on w1'));
    running.kill('SIGINT');
    const ended = await running.ended;
    expect(tree.alive()).toBeGreaterThan(0);
    expect(ended).toMatchObject({ exitCode: 130, stderr: expect.stringContaining('may still run on w1') });
    await tree.untilGone();
  });

  it('ends the command when the one who asked for it is killed', async () => {
    const tree = stubbornTree();
    const running = federation.startManage(['exec', 'w1', '--', 'sh', '-c', tree.script]);
    await tree.untilGrown();
    running.kill('SIGKILL');
    expect(await running.ended).toMatchObject({ exitCode: null, signal: 'SIGKILL' });
    await tree.untilGone();
  });

  it('ends the command when the reader of a pipe goes away', async () => {
    const word = `endless-${randomInt(1e9)}`;
    const manage = `manage-federation --home '${federation.home}'`;
    const line = `{ ${manage} exec w1 -- yes ${word}; echo "exit $?" >&2; } | head -1`;
    const ended = await federation.place.startShell(line).ended;
    expect(ended).toEqual({ exitCode: 0, signal: null, stdout: `${word}\n`, stderr: 'exit 141\n' });
    await until('the command is gone', () => programsWith('yes', word).length === 0);
  });

  it('answers as JSON with the fields that programs rely on', async () => {
    const ended = await federation.manage(['--json', 'exec', 'w1', '--', 'sh', '-c', 'printf a; printf b >&2; exit 3']);
    expect(ended).toMatchObject({ exitCode: 3, stderr: '' });
    const answer = JSON.parse(ended.stdout) as object;
    expect(Object.keys(answer)).toEqual(['job', 'summary', 'results']);
    expect(answer).toEqual({
      job: expect.stringMatching(/^[0-9A-Z]{26}$/),
      summary: { failed: 1 },
      results: [
        {
          node: 'w1',
          id: expect.stringMatching(/^[0-9a-f]{64}$/),
          outcome: 'failed',
          exitCode: 3,
          signal: null,
          stdout: 'a',
          stderr: 'b',
          truncated: false,
          durationMs: expect.any(Number),
          replayed: false,
          reason: null,
        },
      ],
    });
  });

  it('runs one string by a shell, as the older scripts did', async () => {
    const uname = await federation.manage(['exec', 'w1', 'uname -a']);
    expect(uname).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/^Linux .+\n$/) });
    expect(await federation.manage(['exec', 'w1', 'echo a b | wc -w'])).toMatchObject({ stdout: '2\n' });
    expect(await federation.manage(['exec', 'w1', '--shell', '--', 'echo', '$((1+1))'])).toMatchObject({
      stdout: '2\n',
    });
  });

  it('hands an argv over word by word, with no shell between', async () => {
    const words = ['a b', '$HOME', '*', "it's", '', '--json', 'ü\n'];
    const ended = await federation.manage(['exec', 'w1', '--', 'printf', '[%s]', ...words]);
    expect(ended).toMatchObject({ exitCode: 0, stdout: words.map((word) => `[${word}]`).join('') });
  });

  it('sets the folder and the variables of the command', async () => {
    const flags = ['--cwd', '/', '--env', 'GREETING=good day', '--env', 'TAKEN'];
    const ended = await federation.manage(['exec', 'w1', ...flags, '--', 'sh', '-c', 'pwd; echo "$GREETING $TAKEN"'], {
      env: { TAKEN: 'from here' },
    });
    expect(ended).toMatchObject({ exitCode: 0, stdout: '/\ngood day from here\n' });
  });
});

function sha256(...parts: readonly Buffer[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
}

async function hashOf(stream: Readable): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of stream) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

function* slices(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536);
}

/** How long a process must write nothing to be taken for held back. */
const STALL_MS = 2000;

/** Waits until a process that has written something writes no more. Returns how many bytes it got rid of. */
async function untilStalled(pid: number): Promise<number> {
  let seen = 0;
  let since = performance.now();
  return until('the command is held back', () => {
    const now = bytesWritten(pid);
    if (Number.isNaN(now)) throw new Error(`the command ended instead of being held back, after ${seen} bytes`);
    if (now !== seen) since = performance.now();
    seen = now;
    return seen > 0 && performance.now() - since > STALL_MS ? seen : null;
  });
}
