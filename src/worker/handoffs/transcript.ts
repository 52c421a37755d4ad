import type { EventFile } from '#src/adapters/store/event-file.ts';
import type { HandoffFolder } from '#src/adapters/store/handoff-store.ts';
import type { EndedDeed, HandoffDeed } from '#src/core/handoff/event.ts';
import { MAX_ANSWER_BYTES, MAX_EVENT_BYTES } from '#src/protocol/handoffs.ts';

/** What happens in one attempt of a handoff: numbered, kept, and read by all who follow it. */
export interface Transcript {
  readonly seq: number;
  /** Bytes of the events. */
  readonly size: number;
  /** How it ended; null while it goes on. */
  readonly ended: EndedDeed | null;
  /** Whether the disk holds all of it. */
  readonly isWhole: boolean;
  /** Names of files that are among the events. */
  readonly artefacts: ReadonlySet<string>;
  /** What was said at last before this was opened: its gateway says it once more to whoever listens anew. */
  readonly spoken: string;
  /** Takes what happened. What is more than may be kept is counted. A disk that takes nothing throws. */
  add(deed: Exclude<HandoffDeed, EndedDeed>): void;
  /**
   * The last of all, also where the disk takes nothing: then it is told, and forgotten with this process. Durable when it
   * resolves.
   */
  end(deed: EndedDeed): Promise<void>;
  /** The next is numbered after `seq` at least: a power cut took from here what somebody has read. */
  skipTo(seq: number): void;
  /** Fills `into` with the bytes from there on; resolves with how many they are. Where there are no more, lines are whole. */
  read(offset: number, into: Buffer): Promise<number>;
  offsetAfter(seq: number): Promise<number>;
  /** Calls when there is more to read, until the returned function is called. */
  onMore(listener: () => void): () => void;
  close(): Promise<void>;
}

/** Deltas of such a moment are one event; the first after a silence is passed on at once. */
const MOMENT_MS = 20;
/** How much of what was said a power cut may take. */
const SYNC_MS = 250;
/** Kept free for the last events. */
const RESERVED_BYTES = MAX_EVENT_BYTES * 2;
/** UTF-16 units of text that fit in an event, however they are written. */
const TEXT_UNITS = MAX_EVENT_BYTES / 8;

/** Opens what a handoff's folder holds of it. `maxBytes`: of all events. */
export async function openTranscript(folder: HandoffFolder, maxBytes: number): Promise<Transcript> {
  const artefacts = new Set<string>();
  const texts: string[] = [];
  let ended: EndedDeed | null = null;
  const file = await folder.events((line) => {
    const name = artefactOf(line);
    if (name !== null) artefacts.add(name);
    const text = textOf(line);
    if (text === null) texts.length = 0;
    else texts.push(text);
    ended = endOf(line);
  });
  return createTranscript(file, { ended, artefacts, spoken: texts.join('') }, maxBytes);
}

/** `before`: what the file tells of the time before it was opened. */
function createTranscript(
  file: EventFile,
  before: { readonly ended: EndedDeed | null; readonly artefacts: Set<string>; readonly spoken: string },
  maxBytes: number,
): Transcript {
  const { artefacts, spoken } = before;
  const listeners = new Set<() => void>();
  let { seq } = file;
  let { ended } = before;
  /** Text that waits for its moment to be over. */
  let held = '';
  let moment: NodeJS.Timeout | null = null;
  let syncing: NodeJS.Timeout | null = null;
  let synced: Promise<void> = Promise.resolve();
  let dropped = 0;
  /** What may be read: an end that a power cut could take back is told to nobody. */
  let visible = file.size;
  /** The end, where the disk did not take it. */
  let unwritten: Buffer = Buffer.alloc(0);

  function write(deed: HandoffDeed): void {
    const line = JSON.stringify({ seq: seq + 1, ...deed });
    if (deed.type !== 'ended' && deed.type !== 'gap' && file.size + line.length > maxBytes - RESERVED_BYTES) {
      dropped += 1;
      return;
    }
    file.append(line);
    seq += 1;
    if (deed.type === 'ended') return;
    syncSoon();
    show();
  }

  function show(): void {
    visible = file.size;
    for (const listener of listeners) listener();
  }

  function syncSoon(): void {
    syncing ??= setTimeout(() => {
      syncing = null;
      // A disk that fails shows at the end, whose sync is waited for.
      synced = synced.then(() => file.sync()).catch(() => undefined);
    }, SYNC_MS).unref();
  }

  function flushText(): void {
    const text = held;
    held = '';
    for (let at = 0; at < text.length;) {
      const end = endOfPart(text, at);
      write({ type: 'text', text: text.slice(at, end) });
      at = end;
    }
  }

  function openMoment(): void {
    moment = setTimeout(() => {
      moment = null;
      if (held === '') return;
      try {
        flushText();
        openMoment();
      } catch {
        // It shows with the next that is added, or at the end.
      }
    }, MOMENT_MS);
  }

  function settleText(): void {
    if (moment !== null) clearTimeout(moment);
    moment = null;
    if (held !== '') flushText();
  }

  return {
    get seq() {
      return seq;
    },
    get size() {
      return file.size;
    },
    get ended() {
      return ended;
    },
    get isWhole() {
      return unwritten.length === 0;
    },
    artefacts,
    spoken,
    add(deed) {
      if (ended !== null) return;
      if (deed.type === 'artefact') artefacts.add(deed.name);
      if (deed.type !== 'text') {
        settleText();
        return write(deed);
      }
      held += deed.text;
      if (moment !== null) return;
      flushText();
      openMoment();
    },
    async end(deed) {
      if (ended !== null) return;
      const last = { ...deed, text: answerText(deed.text) };
      let isWritten = false;
      try {
        settleText();
        if (dropped > 0) write({ type: 'gap', events: dropped });
        if (syncing !== null) clearTimeout(syncing);
        syncing = null;
        write(last);
        isWritten = true;
        await file.sync();
        ended = last;
        show();
      } catch (error) {
        if (!isWritten) {
          seq += 1;
          unwritten = Buffer.from(`${JSON.stringify({ seq, ...last })}\n`);
        }
        ended = last;
        show();
        throw error;
      }
    },
    skipTo(least) {
      if (ended === null && least > seq) seq = least;
    },
    async read(offset, into) {
      if (offset < visible) return file.read(offset, into.subarray(0, visible - offset));
      return unwritten.copy(into, 0, offset - visible);
    },
    offsetAfter: (after) => (after >= seq ? Promise.resolve(visible + unwritten.length) : file.offsetAfter(after)),
    onMore(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    async close() {
      if (moment !== null) clearTimeout(moment);
      if (syncing !== null) clearTimeout(syncing);
      try {
        if (ended === null && held !== '') flushText();
      } catch {
        // What follows of it is read again from the agent's gateway, or lost.
      }
      await synced;
      await file.sync().catch(() => undefined);
      await file.close();
    },
  };
}

/** Between two characters, of which one may be of two units. */
function endOfPart(text: string, start: number): number {
  const end = Math.min(text.length, start + TEXT_UNITS);
  const unit = text.charCodeAt(end - 1);
  return end < text.length && unit >= 0xd800 && unit < 0xdc00 ? end - 1 : end;
}

const CUT = '… (the events hold all of it)';

function answerText(text: string): string {
  const whole = text.toWellFormed();
  if (Buffer.byteLength(whole) <= MAX_ANSWER_BYTES) return whole;
  const room = MAX_ANSWER_BYTES - Buffer.byteLength(CUT);
  // A character that the cut went through is left out.
  const kept = Buffer.from(whole).subarray(0, room).toString('utf8').replace(/�+$/, '');
  return `${kept}${CUT}`;
}

function artefactOf(line: string): string | null {
  if (!line.includes('"type":"artefact"')) return null;
  const event = JSON.parse(line) as HandoffDeed;
  return event.type === 'artefact' ? event.name : null;
}

function textOf(line: string): string | null {
  if (!line.includes('"type":"text"')) return null;
  const event = JSON.parse(line) as HandoffDeed;
  return event.type === 'text' ? event.text : null;
}

function endOf(line: string): EndedDeed | null {
  if (!line.includes('"type":"ended"')) return null;
  const event = JSON.parse(line) as EndedDeed;
  return event.type === 'ended' ? event : null;
}
