import type { IncomingMessage } from 'node:http';
import { FederationError } from '#src/core/errors.ts';
import type { RequestFacts, RequestScan } from '#src/core/models/request.ts';
import { NO_FACTS, scanRequest } from '#src/core/models/request.ts';
import type { Holding } from '#src/link/models/held-memory.ts';
import { createHeldMemory } from '#src/link/models/held-memory.ts';

/** The body of a request to a model. */
export interface ModelBody {
  /** All of it; of one that is longer than is kept, its beginning. */
  readonly bytes: Buffer;
  readonly facts: RequestFacts;
  /**
   * Null where `bytes` is all. Else the whole as it comes, once and not again, with `begin` in the place of `bytes`; what
   * flows past is still looked at, and `onFault` is called for what would have been refused.
   */
  readonly flow: ((begin: readonly Buffer[], onFault: (error: FederationError) => void) => IncomingMessage) | null;
  /** Bytes of the whole; null where that is not known yet. */
  readonly length: number | null;
}

/** Longest body that is kept, so that it can be sent to a second node. */
const MAX_KEPT_BYTES = 32 << 20;
/** Longest body that is carried at all. */
const MAX_BYTES = 256 << 20;
/** Bytes that bodies may hold of this process's memory at once. */
const MAX_HELD_BYTES = 512 << 20;
/** Of them, those of one consumer: whoever sends them slowly is to take no other's. */
const MAX_SHARE_BYTES = 128 << 20;
/** Time between two parts of a body. */
const SILENCE_MS = 60_000;
/** How slow a body may come, once it had time to begin: bytes in a millisecond. */
const LEAST_PACE = 16;
const PACE_AFTER_MS = 30_000;
/** Longest first part that is not copied: it is what one read of a socket gives. */
const ONE_READ_BYTES = 64 * 1024;

const NO_BODY: ModelBody = { bytes: Buffer.alloc(0), facts: NO_FACTS, flow: null, length: 0 };

/** On the body itself: it goes when that does. */
const HOLDING = Symbol('what it holds of memory');

interface HoldingBody extends ModelBody {
  readonly [HOLDING]?: Holding;
}

export interface BodyReader {
  /**
   * Reads a body and looks at it as it comes. Rejects with PAYLOAD_TOO_LARGE, with MODELS_BUSY where too much is held
   * already, and with USAGE where it breaks off or hardly comes. What it holds counts until `release`, as a part of what
   * `whose` may hold.
   */
  read(request: IncomingMessage, whose: string): Promise<ModelBody>;
  release(body: ModelBody): void;
}

export interface BodyLimits {
  readonly kept: number;
  readonly total: number;
  readonly held: number;
  readonly share: number;
}

const LIMITS: BodyLimits = {
  ...{ kept: MAX_KEPT_BYTES, total: MAX_BYTES },
  ...{ held: MAX_HELD_BYTES, share: MAX_SHARE_BYTES },
};

export function createBodyReader({ kept, total, held, share }: BodyLimits = LIMITS): BodyReader {
  const memory = createHeldMemory(held, share);

  function read(request: IncomingMessage, whose: string): Promise<ModelBody> {
    const { headers } = request;
    const said = headers['content-length'];
    if (said === undefined ? headers['transfer-encoding'] === undefined : said === '0') return Promise.resolve(NO_BODY);
    const length = said === undefined ? null : Number(said);
    if (length !== null && length > total) return Promise.reject(tooLong(total));
    const holding = memory.hold(whose);
    // All that is said beforehand is held from the beginning: of two that begin at once, one may not fit.
    if (!holding.grow(Math.min(length ?? 0, kept))) return Promise.reject(tooMuch());
    return collect(request, length, holding);
  }

  function collect(request: IncomingMessage, length: number | null, holding: Holding): Promise<ModelBody> {
    const { promise, resolve, reject } = Promise.withResolvers<ModelBody>();
    const { headers } = request;
    const scan: RequestScan = scanRequest(headers['content-type'], headers['content-encoding']);
    // One copy into its place, and none of what comes in one read.
    const whole = length !== null && length > ONE_READ_BYTES ? Buffer.allocUnsafeSlow(Math.min(length, kept)) : null;
    const parts = partsInBlocks();
    let bytes = 0;
    // Its listeners stay where all of it came: to take them off costs more than they do.
    let isOver = false;
    const silence = setTimeout(() => request.destroy(), SILENCE_MS);
    const beganAt = performance.now();

    function onData(chunk: Buffer): void {
      if (bytes + chunk.length > kept) return tooLongToKeep(chunk);
      silence.refresh();
      if (whole === null) parts.add(chunk);
      else chunk.copy(whole, bytes);
      bytes += chunk.length;
      if (!holding.grow(bytes)) return fail(tooMuch());
      if (bytes < (performance.now() - beganAt - PACE_AFTER_MS) * LEAST_PACE) return fail(tooSlow());
      scan.push(chunk);
    }
    function tooLongToKeep(chunk: Buffer): void {
      stop();
      request.pause();
      request.unshift(chunk);
      finish({ bytes: taken(), facts: scan.facts(null), flow, length });
    }
    function flow(begin: readonly Buffer[], onFault: (error: FederationError) => void): IncomingMessage {
      let known = 0;
      for (const part of begin.toReversed()) {
        known += part.length;
        request.unshift(part);
      }
      let passed = -known;
      // It runs while the client is waited for; while it is paused, it is the node that takes its time.
      let stalled: NodeJS.Timeout | undefined;
      const watch = (): void => {
        clearTimeout(stalled);
        if (!request.isPaused()) stalled = setTimeout(() => onFault(brokenOff()), SILENCE_MS);
      };
      const unwatch = (): void => clearTimeout(stalled);
      request.on('resume', watch).on('pause', unwatch).once('end', unwatch).once('close', unwatch);
      request.on('data', (chunk: Buffer) => {
        stalled?.refresh();
        passed += chunk.length;
        if (passed <= 0) return;
        if (bytes + passed > total) onFault(tooLong(total));
        if (scan.facts(null).form !== 'json') return;
        scan.push(chunk);
        if (scan.facts(null).isAmbiguous)
          onFault(new FederationError('USAGE', 'it can’t be told which model the request means'));
      });
      return request.pause();
    }
    function onEnd(): void {
      isOver = true;
      clearTimeout(silence);
      const all = taken();
      finish({ bytes: all, facts: scan.facts(all), flow: null, length: bytes });
    }
    function finish(body: ModelBody): void {
      resolve(Object.assign(body, { [HOLDING]: holding }));
    }
    function onClose(): void {
      if (!isOver) fail(brokenOff());
    }
    function fail(error: FederationError): void {
      stop();
      holding.release();
      reject(error);
    }
    function taken(): Buffer {
      if (whole !== null) return whole.subarray(0, bytes);
      return parts.all();
    }
    function stop(): void {
      isOver = true;
      clearTimeout(silence);
      request.off('data', onData).off('end', onEnd).off('close', onClose).off('error', onClose);
    }

    request.on('data', onData).on('end', onEnd).on('close', onClose).on('error', onClose);
    return promise;
  }

  return {
    read,
    release(body) {
      (body as HoldingBody)[HOLDING]?.release();
    },
  };
}

/** Parts shorter than this are copied: each would hold far more memory than its bytes. */
const PART_BYTES = 4096;

/** What comes in parts, of which the first stays where it is: mostly it is all. */
function partsInBlocks(): { add(chunk: Buffer): void; all(): Buffer } {
  const parts: Buffer[] = [];
  let block = Buffer.alloc(0);
  let used = 0;
  function close(): void {
    if (used > 0) parts.push(block.subarray(0, used));
    block = block.subarray(used);
    used = 0;
  }
  return {
    add(chunk) {
      if (parts.length === 0 || chunk.length >= PART_BYTES) {
        close();
        parts.push(chunk);
        return;
      }
      if (chunk.length > block.length - used) {
        close();
        block = Buffer.allocUnsafeSlow(ONE_READ_BYTES);
      }
      used += chunk.copy(block, used);
    },
    all() {
      close();
      return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
    },
  };
}

function brokenOff(): FederationError {
  return new FederationError('USAGE', 'the request broke off');
}

function tooSlow(): FederationError {
  return new FederationError('USAGE', 'the request comes too slowly', { hint: 'send it by a quicker line' });
}

function tooLong(total: number): FederationError {
  return new FederationError('PAYLOAD_TOO_LARGE', `the request is longer than ${total >> 20} MiB`);
}

function tooMuch(): FederationError {
  return new FederationError('MODELS_BUSY', 'too many large requests are under way', { retryAfterMs: 1000 });
}
