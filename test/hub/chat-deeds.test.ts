import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ChatAsker } from '#src/core/policy.ts';
import { ASKER_HEADER, encodeAsker } from '#src/protocol/asker.ts';
import type { VerdictsCreate } from '#src/protocol/action.ts';
import type { AuditView } from '#src/protocol/hub-api/audit.ts';
import { chatAt, OWNER } from '../support/chat.ts';
import { sha256 } from '../support/files.ts';
import type { Federation } from '../support/federation.ts';
import { startFederation } from '../support/federation.ts';
import type { Answer } from '../support/http.ts';
import { ask } from '../support/http.ts';

let federation: Federation;
let folder: string;
let path: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ocf-deeds-'));
  path = join(folder, 'note.txt');
  const worker = {
    files: { read: { roots: [folder] }, write: { roots: [folder] } },
    tools: { allow: ['image'], gatewaySettings: '/nonexistent' },
  };
  federation = await startFederation({ workers: 1, worker: { worker } });
  for (const name of ['laptop', 'studio']) {
    const token = await federation.token({ role: 'hybrid' });
    await federation.start(name, { settings: { role: 'hybrid', worker }, token });
  }
  await federation.untilOnline('w1', 'laptop', 'studio');
});
afterAll(async () => {
  await federation[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

interface Deed {
  readonly action: VerdictsCreate['action'];
  /** Does it by the plugin's socket. */
  readonly run: (node: string, approval?: string, who?: ChatAsker) => Promise<Answer>;
  /** What comes of it where it is allowed. */
  readonly done: object;
}

const CONTENT = 'hello';

function by(method: string, word: string, query: Record<string, string>, who: ChatAsker, body?: string) {
  const at = `/api/v1/nodes/${word}/file?${new URLSearchParams(query).toString()}`;
  const length = body === undefined ? {} : { 'content-length': String(body.length) };
  const headers = { [ASKER_HEADER]: encodeAsker(who), ...length };
  return ask({ socketPath: federation.hub.plugin!, method, path: at, headers }, body);
}

const approvedBy = (approval?: string): Record<string, string> => (approval === undefined ? {} : { approval });

function deeds(): Readonly<Record<string, Deed>> {
  const content = { path, sha256: sha256(CONTENT), size: CONTENT.length };
  return {
    write: {
      action: { kind: 'write', ...content },
      run: (node, approval, who = OWNER) =>
        by('PUT', node, { ...content, size: String(content.size), ...approvedBy(approval) }, who, CONTENT),
      done: { status: 200, json: { node: expect.stringMatching(/^(?:w1|laptop)$/), size: 5, sha256: content.sha256 } },
    },
    read: {
      action: { kind: 'read', path },
      run: (node, approval, who = OWNER) => by('GET', node, { path, ...approvedBy(approval) }, who),
      done: { status: 200, text: CONTENT },
    },
    tool: {
      action: { kind: 'tool', tool: 'image', args: { n: 1 } },
      run: (node, approval, who = OWNER) =>
        chatAt(federation.hub, who).ask('POST', `/nodes/${node}/tool`, {
          ...{ tool: 'image', args: { n: 1 } },
          ...approvedBy(approval),
        }),
      // Let through by the policy of both ends; this hybrid's own gateway does not run.
      done: { json: { code: 'GATEWAY_UNREACHABLE' } },
    },
  };
}

async function allowed(action: VerdictsCreate['action'], targets = ['laptop'], who = OWNER): Promise<string> {
  const { approval } = await chatAt(federation.hub, who).verdicts({ targets, action });
  expect((await chatAt(federation.hub).decide(approval!.id, 'allow-once')).status).toBe(200);
  return approval!.id;
}

describe.each(['write', 'read', 'tool'])('a %s from a chat', (kind) => {
  test('is done on a worker at once', async () => {
    await writeFile(path, CONTENT);
    expect(await deeds()[kind]!.run('w1')).toMatchObject(deeds()[kind]!.done);
  });

  test('waits for the owner on a hybrid, and is done once', async () => {
    const { action, run, done } = deeds()[kind]!;
    await writeFile(path, CONTENT);
    expect(await run('laptop')).toMatchObject({ json: { code: 'APPROVAL_NEEDED' } });
    const { approval } = await chatAt(federation.hub).verdicts({ targets: ['laptop'], action });
    expect(await run('laptop', approval!.id)).toMatchObject({ json: { message: 'nobody has allowed this yet' } });
    await chatAt(federation.hub).decide(approval!.id, 'allow-once');
    expect(await run('laptop', approval!.id)).toMatchObject(done);
    expect(await run('laptop', approval!.id)).toMatchObject({ json: { code: 'APPROVAL_OVER' } });
    const what = kind === 'tool' ? 'tool.call' : `file.${kind}`;
    const records = await federation.get<AuditView[]>('/audit?limit=1000');
    expect(records.findLast(({ action: name }) => name === what)).toMatchObject({
      by: 'telegram:1001',
      detail: { node: 'laptop', approval: { id: approval!.id, by: 'the gateway, for telegram:1001' } },
    });
  });

  test('is not done by what the owner said no to', async () => {
    const { action, run } = deeds()[kind]!;
    const { approval } = await chatAt(federation.hub).verdicts({ targets: ['laptop'], action });
    await chatAt(federation.hub).decide(approval!.id, 'deny');
    expect(await run('laptop', approval!.id)).toMatchObject({ json: { code: 'APPROVAL_OVER' } });
  });

  test('has no use of an approval for another node, another person, or another deed', async () => {
    const { action, run } = deeds()[kind]!;
    const approval = await allowed(action);
    const refused = { json: { code: 'APPROVAL_NEEDED' } };
    expect(await run('studio', approval)).toMatchObject(refused);
    expect(await run('w1', approval)).toMatchObject(refused);
    expect(await run('laptop', approval, { ...OWNER, sender: '1003' })).toMatchObject(refused);
    expect(await run('laptop', approval, { ...OWNER, session: 'agent:main:other' })).toMatchObject(refused);
    const { [kind]: _, ...others } = deeds();
    for (const other of Object.values(others)) {
      expect(await other.run('laptop', approval)).toMatchObject(refused);
    }
  });

  test('is nobody else’s than the owner’s, with or without an approval', async () => {
    const { action, run } = deeds()[kind]!;
    const guest: ChatAsker = { ...OWNER, owner: false };
    const approval = await allowed(action);
    expect(await run('w1', undefined, guest)).toMatchObject({ status: 403 });
    expect(await run('laptop', approval, guest)).toMatchObject({ status: 403 });
  });
});

test('an approval of a write is for its very bytes', async () => {
  const { action } = deeds()['write']!;
  const approval = await allowed(action);
  await writeFile(path, 'before');
  const content = { path, sha256: sha256('hellO'), size: '5', approval };
  expect(await by('PUT', 'laptop', content, OWNER, 'hellO')).toMatchObject({ json: { code: 'APPROVAL_NEEDED' } });
  // Announced as what was approved, and another thing: the node looks at what comes.
  const lied = { ...content, sha256: sha256(CONTENT) };
  expect((await by('PUT', 'laptop', lied, OWNER, 'hellO')).status).toBeGreaterThanOrEqual(400);
  expect(await readFile(path, 'utf8')).toBe('before');
});

test('an approval of a read is for the path as it is written', async () => {
  const approval = await allowed({ kind: 'read', path });
  for (const other of [`${folder}/./note.txt`, join(homedir(), '.ssh/id_ed25519')]) {
    expect(await by('GET', 'laptop', { path: other, approval }, OWNER)).toMatchObject({
      json: { code: 'APPROVAL_NEEDED' },
    });
  }
});
