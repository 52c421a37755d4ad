import { once } from 'node:events';
import type { ClientHttp2Session } from 'node:http2';
import { afterEach, describe, expect, it } from 'vitest';
import type { OwnGateway } from '#src/adapters/openclaw/own-gateway.ts';
import { FederationError } from '#src/core/errors.ts';
import type { Asker } from '#src/core/policy.ts';
import { EPOCH_HEADER } from '#src/protocol/worker-api.ts';
import { ANN } from './file-requests.ts';
import { ask, startWorker, type WorkerSetup, type WorkerUnderTest } from './worker-under-test.ts';

let worker: WorkerUnderTest;
afterEach(() => worker.close());

const asked: unknown[] = [];
function gatewayThat(answers: unknown): OwnGateway {
  asked.length = 0;
  return {
    async invokeTool(tool, args) {
      asked.push({ tool, args });
      if (answers instanceof Error) throw answers;
      return answers;
    },
  };
}

const ALL = { allow: ['*', 'node:*'], deny: ['secret*'], maxOutputBytes: 4096 };
const start = async (setup: WorkerSetup) => {
  worker = await startWorker({ tools: ALL, ...setup });
};

async function call(session: ClientHttp2Session, tool: string, more: object = {}) {
  const stream = session.request({ ':method': 'POST', ':path': '/tools', [EPOCH_HEADER]: '5' }, { endStream: false });
  stream.end(JSON.stringify({ asker: ANN, tool, args: {}, timeoutMs: 1000, ...more }));
  const [headers] = (await once(stream, 'response')) as [Record<string, unknown>];
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return { status: Number(headers[':status']), body: JSON.parse(Buffer.concat(chunks).toString()) as never };
}

describe('a tool of the node’s own gateway', () => {
  it('comes with what it answers, part by part', async () => {
    const image = { type: 'image', data: 'aGk=', mimeType: 'image/png' };
    const odd = { type: 'resource', uri: 'x' };
    const content = [{ type: 'text', text: 'hello' }, image, odd];
    await start({ gateway: gatewayThat({ content, details: { n: 1 } }) });
    const { body } = await call(worker.session, 'image', { args: { prompt: 'x' } });
    expect(body).toMatchObject({
      kind: 'result',
      truncated: false,
      content: [
        { type: 'text', text: 'hello' },
        image,
        { type: 'json', value: odd },
        { type: 'json', value: { details: { n: 1 } } },
      ],
    });
    expect(asked).toEqual([{ tool: 'image', args: { prompt: 'x' } }]);
  });

  it.each([[null], ['text'], [[1, 2]], [{ a: 1 }], [{ content: 'x' }]])('may answer anything: %j', async (output) => {
    await start({ gateway: gatewayThat(output) });
    expect((await call(worker.session, 'image')).body).toMatchObject({ content: [{ type: 'json', value: output }] });
  });

  it('is cut where it answers more than the node lets out, and shows it', async () => {
    await start({ gateway: gatewayThat({ content: [{ type: 'text', text: '\u0001é'.repeat(20_000) }] }) });
    const { body } = await call(worker.session, 'image');
    const { content, truncated, bytes } = body as { content: { text: string }[]; truncated: boolean; bytes: number };
    expect(truncated).toBe(true);
    expect(bytes).toBeGreaterThan(100_000);
    expect(Buffer.byteLength(JSON.stringify(content[0]))).toBeLessThanOrEqual(4096);
    expect(content[1]!.text).toMatch(/^\[cut: this node lets out 4096 bytes/);
  });

  it('leaves out an image that is too large, and shows it', async () => {
    const image = { type: 'image', data: 'a'.repeat(10_000), mimeType: 'image/png' };
    await start({ gateway: gatewayThat({ content: [{ type: 'text', text: 'before' }, image] }) });
    const { body } = await call(worker.session, 'image');
    expect(body).toMatchObject({ truncated: true, content: [{ text: 'before' }, { type: 'text' }] });
  });

  it('that fails says so', async () => {
    await start({ gateway: gatewayThat(new FederationError('TOOL_FAILED', 'image: no such prompt')) });
    expect((await call(worker.session, 'image')).body).toMatchObject({
      code: 'TOOL_FAILED',
      message: 'image: no such prompt',
    });
  });
});

describe('what may be called', () => {
  const owner: Asker = { kind: 'chat', channel: 'telegram', sender: '1001', owner: true };

  it('is nothing where nothing is listed', async () => {
    await start({ gateway: gatewayThat('x'), tools: { ...ALL, allow: [] } });
    for (const tool of ['image', 'node:camera.snap']) {
      expect((await call(worker.session, tool)).body).toMatchObject({ code: 'TOOL_DENIED' });
    }
    expect(asked).toEqual([]);
  });

  it('is not what is denied, and no program by a wide pattern', async () => {
    await start({ gateway: gatewayThat('x') });
    for (const tool of ['secret', 'secrets', 'node:system.run']) {
      expect((await call(worker.session, tool)).body).toMatchObject({ code: 'TOOL_DENIED' });
    }
    expect(asked).toEqual([]);
  });

  it('is agreed to where the hub has it done', async () => {
    await start({ gateway: gatewayThat('x') });
    expect((await call(worker.session, 'node:camera.snap')).body).toEqual({ kind: 'agreed', maxOutputBytes: 4096 });
    expect(asked).toEqual([]);
  });

  it.each<[Asker, 'worker' | 'hybrid', string | undefined]>([
    [owner, 'worker', undefined],
    [owner, 'hybrid', 'FORBIDDEN'],
    [{ ...owner, owner: false }, 'worker', 'FORBIDDEN'],
    [{ kind: 'node', id: 'f' }, 'worker', 'FORBIDDEN'],
  ])('by %j on a %s: %s', async (asker, role, code) => {
    await start({ gateway: gatewayThat('x'), role });
    expect((await call(worker.session, 'image', { asker })).body).toMatchObject(
      code === undefined ? { kind: 'result' } : { code },
    );
    expect(asked).toHaveLength(code === undefined ? 1 : 0);
  });

  it('is nothing under a lockdown, until it is lifted', async () => {
    await start({ gateway: gatewayThat('x') });
    await ask(worker.session, 'POST', '/lockdown');
    expect((await call(worker.session, 'image')).body).toMatchObject({ code: 'LOCKED_DOWN' });
    await ask(worker.session, 'DELETE', '/lockdown');
    expect((await call(worker.session, 'image')).body).toMatchObject({ kind: 'result' });
  });

  it.each([{ tool: '' }, { tool: 'a b' }, { args: [] }, { timeoutMs: 0 }, { asker: null }])(
    'is asked for as a hub does: %j',
    async (more) => {
      await start({ gateway: gatewayThat('x') });
      expect((await call(worker.session, 'image', more)).body).toMatchObject({ code: 'USAGE' });
      expect(asked).toEqual([]);
    },
  );

  it('is asked for in few words', async () => {
    await start({ gateway: gatewayThat('x') });
    const { body } = await call(worker.session, 'image', { args: { x: 'x'.repeat(2 << 20) } });
    expect(body).toMatchObject({ code: 'PAYLOAD_TOO_LARGE' });
  });
});
