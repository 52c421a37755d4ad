import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { OwnGateway as Tools } from '#src/adapters/openclaw/own-gateway.ts';
import { ownGateway as toolsOf } from '#src/adapters/openclaw/own-gateway.ts';
import type { OwnGateway } from './own-gateway.ts';
import { ownGateway } from './own-gateway.ts';

let real: OwnGateway;
let tools: Tools;

const at = (settingsFile: string) => toolsOf({ settingsFile, signal: new AbortController().signal });

beforeAll(async () => {
  real = await ownGateway();
  const { directory, port, token } = real;
  const file = join(directory, 'openclaw.json');
  await writeFile(
    file,
    `// as a person writes it\n{ "gateway": { "port": ${port}, "auth": { "token": "${token}", }, } }`,
  );
  tools = at(file);
});
afterAll(() => real.close());

it('runs a tool of the gateway and returns what it answers', async () => {
  expect(await tools.invokeTool('sessions_list', { limit: 1 }, 20_000)).toMatchObject({
    content: [{ type: 'text', text: expect.stringContaining('sessions') }],
  });
});

it.each(['exec', 'nodes', 'gateway', 'no_such_tool'])('%s is refused by the gateway’s own policy', async (tool) => {
  await expect(tools.invokeTool(tool, {}, 20_000)).rejects.toMatchObject({ code: 'TOOL_DENIED' });
});

it('a tool that fails says why', async () => {
  await expect(tools.invokeTool('sessions_history', {}, 20_000)).rejects.toMatchObject({
    code: 'TOOL_FAILED',
    message: expect.stringContaining('sessions_history'),
  });
});

it('a token that is not the gateway’s gets nowhere, and is in no error', async () => {
  const file = join(real.directory, 'other.json');
  await writeFile(file, JSON.stringify({ gateway: { port: real.port, auth: { token: 'another-token' } } }));
  const error = await at(file)
    .invokeTool('sessions_list', {}, 20_000)
    .catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: expect.stringMatching(/OPENCLAW_REFUSED|GATEWAY_UNREACHABLE/) });
  expect(String(error)).not.toContain('another-token');
});
