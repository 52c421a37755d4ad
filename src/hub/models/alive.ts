import type { ClientHttp2Stream } from 'node:http2';
import { FederationError } from '#src/core/errors.ts';
import type { Link } from '#src/link/accept.ts';
import { MODELS_PATH } from '#src/protocol/models.ts';

/** Time for the least answer that there is. */
const ANSWER_MS = 1500;

const asked = new WeakMap<Link, Promise<boolean>>();

/**
 * Whether the node at the other end answers at all. A model may think for minutes before its first byte, and a machine
 * that is gone says nothing either: the heartbeat would tell them apart, but later. Those who ask at once share one answer.
 */
export function isAlive(link: Link): Promise<boolean> {
  const known = asked.get(link);
  if (known !== undefined) return known;
  const answer = ask(link);
  asked.set(link, answer);
  void answer.then(() => asked.delete(link));
  return answer;
}

function ask(link: Link): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  let stream: ClientHttp2Stream;
  try {
    stream = link.request({ ':method': 'HEAD', ':path': MODELS_PATH }, { endStream: true });
  } catch {
    return Promise.resolve(false);
  }
  const giveUp = (): void => void stream.destroy(new FederationError('LINK_LOST', 'the node does not answer'));
  // A hub that was busy wakes late, with the answer at its door: Node reads its sockets between the two.
  const late = setTimeout(() => setImmediate(giveUp), ANSWER_MS);
  stream.once('response', () => resolve(true));
  stream.once('close', () => {
    clearTimeout(late);
    resolve(false);
  });
  stream.resume();
  return promise;
}
