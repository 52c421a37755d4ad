import type { ServerHttp2Stream } from 'node:http2';
import { expect, test } from 'vitest';
import type { KeyPair } from '#src/link/key.ts';
import { bareNode } from '../support/bare-node.ts';
import type { BareNode } from '../support/bare-node.ts';
import { startFederation } from '../support/federation.ts';
import { complete, putModels } from '../support/model-node.ts';
import { anOffer } from '../support/models.ts';
import { inTurns } from './client.ts';

/** Requests that a node has in its hands when it dies. */
const HELD = 5;

function answer(stream: ServerHttp2Stream, by: string): void {
  stream.resume();
  stream.respond({ ':status': 200, 'content-type': 'application/json', 'content-length': String(by.length + 2) });
  stream.end(`"${by}"`);
}

test(
  'of ten thousand requests none fails where one of two nodes dies again and again with requests in its hands',
  { timeout: 600_000 },
  async () => {
    await using federation = await startFederation();
    let isDying = false;
    const deaths: number[] = [];
    const first: Record<string, KeyPair> = {};

    /** What the other node has meanwhile: it is as slow, and so draws no more than its share. */
    const others: ServerHttp2Stream[] = [];

    async function comeUp(name: string): Promise<BareNode> {
      const held: ServerHttp2Stream[] = [];
      const by = first[name] === undefined ? { token: await federation.token({}) } : { key: first[name] };
      const node = bareNode(federation.hub, {
        ...{ name, ...by },
        onStream(stream) {
          if (!isDying) return answer(stream, name);
          if (name !== 'w1') return void others.push(stream);
          stream.on('error', () => undefined);
          if (held.push(stream) < HELD) return;
          isDying = false;
          deaths.push(held.length);
          void node.stop();
          for (const one of others.splice(0)) answer(one, 'w2');
        },
      });
      first[name] = node.key;
      const { credential } = await node.welcome();
      const offered = JSON.stringify({ models: [anOffer({ concurrency: 32 })] });
      expect(await putModels(federation, offered, credential)).toMatchObject({ status: 200 });
      return node;
    }

    await using _ = await comeUp('w2');
    await comeUp('w1');
    const served: Record<string, number> = {};
    await inTurns(10_000, 32, async (at) => {
      if (at === 1000 || at === 5000) isDying = true;
      if (at === 3000 || at === 7000) await comeUp('w1');
      const { status, text } = await complete(federation, 'llama');
      const end = `${status} ${text}`;
      served[end] = (served[end] ?? 0) + 1;
    });
    expect(deaths).toEqual([HELD, HELD]);
    expect(Object.keys(served).toSorted()).toEqual(['200 "w1"', '200 "w2"']);
    expect(served['200 "w1"']).toBeGreaterThan(1000);
  },
);
