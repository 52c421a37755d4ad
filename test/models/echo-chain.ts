import { modelChain } from '../support/model-chain.ts';
import type { ModelChain } from '../support/model-chain.ts';
import { modelServer } from '../support/model-server.ts';
import type { ModelServer } from '../support/model-server.ts';

/** A chain of proxies to one model server, which has the model `echo`. */
export interface EchoChain {
  readonly upstream: ModelServer;
  readonly chain: ModelChain;
  readonly stop: () => Promise<void>;
}

export async function echoChain(): Promise<EchoChain> {
  const upstream = await modelServer();
  const chain = await modelChain([{ baseUrl: upstream.baseUrl, models: [{ id: 'echo' }] }]);
  async function stop(): Promise<void> {
    await chain[Symbol.asyncDispose]();
    await upstream[Symbol.asyncDispose]();
  }
  return { upstream, chain, stop };
}
