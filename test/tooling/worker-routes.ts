import { EventEmitter } from 'node:events';
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { ErrorCode } from '#src/core/errors.ts';
import { FederationError } from '#src/core/errors.ts';
import { EPOCH_HEADER } from '#src/protocol/worker-api.ts';
import { createWorkerApi } from '#src/worker/api.ts';
import { createHandoffServing } from '#src/worker/handoffs/serve.ts';

/** Functions of a worker's parts, each by which a route is served. */
export const PARTS = [
  ...['executor.run', 'executor.state', 'executor.cancel', 'revoked', 'locked', 'lifted'],
  ...['files.read', 'files.write', 'tools.call', 'models HEAD', 'models ANY'],
  ...[
    'handoffs.accept',
    'handoffs.standing',
    'handoffs.follow',
    'handoffs.cancel',
    'handoffs.artefact',
    'messages.deliver',
  ],
];

const ID = '01ARZ3NDEKTSV4RRFFQ69G5FAV';

/** A path of the page as somebody would ask for it. */
export function concrete(path: string): string {
  const named = path
    .replace('{id}', ID)
    .replace('{seq}', '0')
    .replace('{name}', 'a.txt')
    .replace('{upstream}', 'ollama');
  return named.replace('…', 'models');
}

/** What a worker answers, whose parts only say that they were reached. */
export function askWorker(method: string, path: string, reached: Set<string>): string {
  const reach = (name: string) => (): Promise<never> => {
    reached.add(name);
    return new Promise(() => undefined);
  };
  const order = (name: string) => () => void reached.add(name);
  const handoffs = {
    ...{ accept: reach('handoffs.accept'), standing: order('handoffs.standing'), follow: reach('handoffs.follow') },
    ...{ cancel: order('handoffs.cancel'), artefact: reach('handoffs.artefact') },
  };
  const serving = createHandoffServing(handoffs as never, { deliver: reach('messages.deliver') } as never);
  const isOrder = method === 'POST' && (path === '/handoffs' || path === '/messages');
  const api = createWorkerApi({
    executor: {
      ...{ run: order('executor.run'), state: order('executor.state') },
      cancel: () => Boolean(reached.add('executor.cancel')),
      endAll: (reason: string) => (reason === 'revoked' ? reach('revoked')() : Promise.resolve()),
      lockDown: (on: boolean) => void reached.add(on ? 'locked' : 'lifted'),
    },
    files: {
      serve: (access: string) => reach(`files.${access}`)(),
      lockDown: () => undefined,
      endAll: () => undefined,
    },
    tools: { call: reach('tools.call'), lockDown: () => undefined },
    models: {
      serve: order(method === 'HEAD' ? 'models HEAD' : 'models ANY'),
      lockDown: () => undefined,
      endAll: () => undefined,
    },
    handoffs: {
      takes: serving.takes,
      lockDown: () => undefined,
      endAll: () => Promise.resolve(),
      // A body is read before its part is reached.
      serve: isOrder
        ? reach(path === '/handoffs' ? 'handoffs.accept' : 'messages.deliver')
        : (asked: string, at: string, stream: ServerHttp2Stream) => serving.serve(asked, at, stream),
    },
    knownEpoch: () => 1,
  } as never);
  const stream = answering();
  api(stream.stream, { ':method': method === 'ANY' ? 'POST' : method, ':path': path, [EPOCH_HEADER]: '1' }, []);
  return stream.said();
}

function answering(): { stream: ServerHttp2Stream; said(): string; status(): number } {
  const heads: IncomingHttpHeaders[] = [];
  let body = '';
  const stream = Object.assign(new EventEmitter(), {
    writable: true,
    resume: () => undefined,
    respond: (head: IncomingHttpHeaders) => void heads.push(head),
    end: (text: unknown) => void (body = String(text)),
  });
  return {
    stream: stream as unknown as ServerHttp2Stream,
    said: () => body,
    status: () => Number(heads[0]?.[':status']),
  };
}

/** Status of a worker's answer where a part of it refuses with that code. */
export function statusOnLink(code: ErrorCode): number {
  const executor = {
    run() {
      throw new FederationError(code, 'no');
    },
  };
  const { stream, status } = answering();
  const headers = { ':method': 'POST', ':path': '/exec', [EPOCH_HEADER]: '1' };
  createWorkerApi({ executor, knownEpoch: () => 1 } as never)(stream, headers, []);
  return status();
}
