import type { ServerHttp2Stream } from 'node:http2';
import { onTestFinished } from 'vitest';
import type { OfferedModel } from '#src/core/models/catalog.ts';
import { FAILURE_HEADER } from '#src/protocol/models.ts';
import type { BareNode, BareNodeOptions } from './bare-node.ts';
import { bareNode } from './bare-node.ts';
import type { Federation } from './federation.ts';
import type { Answer } from './http.ts';
import { ask } from './http.ts';

export interface ModelNode {
  readonly node: BareNode;
  /** Paths of the requests that it got. */
  readonly paths: string[];
  /** What its worker says where it can't reach the upstream; null where it can. */
  failure: 'connect' | null;
  /** Of its first link; waits until it has one. */
  credential(): Promise<string>;
  offer(models: readonly OfferedModel[], credential?: string): Promise<Answer>;
}

/** A node whose model server answers with its name. */
export function modelNode(federation: Federation, name: string, options: BareNodeOptions): ModelNode {
  const paths: string[] = [];
  const node = bareNode(federation.hub, {
    name,
    ...options,
    onStream: (stream, headers) => {
      paths.push(String(headers[':path']));
      if (own.failure === null) answer(stream, name);
      else stream.respond({ ':status': 502, [FAILURE_HEADER]: own.failure }, { endStream: true });
    },
  });
  onTestFinished(() => node.stop());
  const own: ModelNode = {
    ...{ node, paths, failure: null },
    credential: async () => (await node.welcome()).credential,
    offer: async (models, by) => putModels(federation, JSON.stringify({ models }), by ?? (await own.credential())),
  };
  return own;
}

function answer(stream: ServerHttp2Stream, by: string): void {
  stream.resume();
  const text = JSON.stringify({ by });
  stream.respond({ ':status': 200, 'content-type': 'application/json', 'content-length': String(text.length) });
  stream.end(text);
}

/** What a node says of its models, byte for byte. */
export function putModels(
  { hub: { port } }: Federation,
  text: string,
  credential: string,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const sent = { 'content-type': 'application/json', 'content-length': String(text.length), ...headers };
  const authorization = `Bearer ${credential}`;
  const path = '/api/v1/node/models';
  return ask({ host: '127.0.0.1', port, method: 'PUT', path, headers: { ...sent, authorization } }, text);
}

let questions = 0;

/** Each is a conversation of its own, unless a header says something else. */
export function complete({ hub }: Federation, model: string, headers: Record<string, string> = {}): Promise<Answer> {
  const text = JSON.stringify({ model, messages: [{ role: 'user', content: `question ${(questions += 1)}` }] });
  const sent = { 'content-type': 'application/json', 'content-length': String(text.length), ...headers };
  return ask({ socketPath: hub.operator, method: 'POST', path: '/v1/chat/completions', headers: sent }, text);
}

/** What the operator may write as `model`. */
export async function listedModels({ hub }: Federation): Promise<string[]> {
  const { json } = await ask({ socketPath: hub.operator, path: '/v1/models' });
  return (json as { data: { id: string }[] }).data.map(({ id }) => id);
}
