import { EventEmitter } from 'node:events';
import type { Log } from '#src/adapters/log.ts';
import type { YamlText } from '#src/adapters/yaml-file.ts';
import type { OfferedModel } from '#src/core/models/catalog.ts';
import type { SharedUpstream } from '#src/core/models/share.ts';
import { MODELS_FILE, readShares } from '#src/core/models/share.ts';
import type { SharesRecord } from '#src/core/worker-record.ts';
import type { KeptUpstream, UpstreamParts } from '#src/worker/models/upstream.ts';
import { keepUpstream } from '#src/worker/models/upstream.ts';

/** A model server as its requests are sent to it, with what they prove themselves by. Nothing of it leaves this node. */
export interface Upstream {
  readonly name: string;
  readonly api: 'openai' | 'anthropic';
  /** http(s), without a slash at its end: `/v1/x` of ours is `/x` behind it. */
  readonly baseUrl: string;
  /** With its key, read from the file or the environment. */
  readonly headers: Readonly<Record<string, string>>;
  readonly concurrency: number;
  readonly timeouts: UpstreamTimeouts;
}

/** Milliseconds. */
export interface UpstreamTimeouts {
  readonly connectMs: number;
  readonly firstByteMs: number;
  readonly idleMs: number;
  /** Null: as long as it takes. */
  readonly totalMs: number | null;
}

/** What this node shares now. */
export interface Shares {
  upstream(name: string): Upstream | undefined;
  offered(): readonly OfferedModel[];
}

export interface SharedModels extends Shares {
  /** What a person is to know of it. */
  status(): SharesRecord;
  /** `offer`: other models are offered now; `status`: something else is to be known. */
  readonly changes: EventEmitter<{ offer: []; status: [] }>;
  /** Resolves when nothing is asked any more. */
  readonly done: Promise<void>;
}

export interface SharingParts extends UpstreamParts {
  /** What models.yaml holds, now and whenever it changes. */
  readonly files: (signal: AbortSignal) => AsyncIterable<YamlText>;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** Shares what models.yaml says, as it is changed, until the signal is aborted. A broken file changes nothing. */
export function shareModels({ files, log, signal, ...parts }: SharingParts): SharedModels {
  const changes: SharedModels['changes'] = new EventEmitter();
  const kept = new Map<string, { readonly text: string; readonly upstream: KeptUpstream }>();
  const ends = new Set<Promise<void>>();
  let order: readonly string[] = [];
  let problem: string | null = null;

  function take(upstreams: readonly SharedUpstream[]): void {
    const before = JSON.stringify(offered());
    order = upstreams.map(({ name }) => name);
    for (const [name, { upstream }] of kept) {
      if (order.includes(name)) continue;
      upstream.stop();
      kept.delete(name);
    }
    for (const shared of upstreams) {
      const text = JSON.stringify(shared);
      const old = kept.get(shared.name);
      // One that stands there as before goes on: what it was told is not forgotten.
      if (old?.text === text) continue;
      old?.upstream.stop();
      const upstream = keepUpstream(shared, parts, (change) => changes.emit(change));
      kept.set(shared.name, { text, upstream });
      ends.add(upstream.done);
      void upstream.done.finally(() => ends.delete(upstream.done));
    }
    if (JSON.stringify(offered()) !== before) changes.emit('offer');
  }

  function offered(): readonly OfferedModel[] {
    return order.flatMap((name) => kept.get(name)?.upstream.models() ?? []);
  }

  function broken(words: string): void {
    problem = `${MODELS_FILE}: ${words}`;
    log.warn('what this node shares is as before: its file is broken', { problem });
  }

  async function follow(): Promise<void> {
    for await (const text of files(signal)) {
      const read = text.state === 'unreadable' ? text : readShares(text.state === 'absent' ? null : text.value);
      if ('problem' in read) broken(read.problem);
      else if (!read.ok) broken(read.problems.slice(0, 8).join('; '));
      else {
        problem = null;
        take(read.upstreams);
        log.info('what this node shares was read', { upstreams: order });
      }
      changes.emit('status');
    }
    for (const { upstream } of kept.values()) upstream.stop();
    await Promise.all(ends);
  }

  return {
    upstream: (name) => kept.get(name)?.upstream.current(),
    offered,
    status: () => ({
      problem,
      upstreams: order.flatMap((name) => {
        const upstream = kept.get(name)?.upstream;
        return upstream === undefined ? [] : [{ name, models: upstream.models().length, problem: upstream.problem() }];
      }),
    }),
    changes,
    done: follow(),
  };
}
