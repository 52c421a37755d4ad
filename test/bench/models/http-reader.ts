/** What a reader of messages tells. */
export interface HttpEvents {
  /** Part of a body, with the frames of chunks in it. */
  onBody?(part: Buffer): void;
  /** A message is whole; the head and the first kilobytes of its body. */
  onEnd(text: string): void;
}

const HEAD_END = Buffer.from('\r\n\r\n');
const LAST_CHUNK = '\r\n0\r\n\r\n';
/** Bytes of a body that are looked at. */
const LOOKED_AT = 2048;
const NOTHING = Buffer.alloc(0);

/** Reads one message of HTTP/1.1 after the other, with the least work there is: what measures must not be what is measured. */
export function httpReader({ onBody, onEnd }: HttpEvents): { push(chunk: Buffer): void } {
  let head: Buffer = NOTHING;
  let text: string | null = null;
  /** Bytes of the body that are to come; null where chunks say. */
  let left: number | null = 0;
  let tail = '';

  function body(part: Buffer): void {
    if (part.length > 0) onBody?.(part);
    if (text !== null && text.length < LOOKED_AT) text += part.toString('latin1', 0, LOOKED_AT);
    if (left === null) {
      tail = (tail + part.toString('latin1', Math.max(0, part.length - LAST_CHUNK.length))).slice(-LAST_CHUNK.length);
      if (tail !== LAST_CHUNK) return;
    } else if ((left -= part.length) > 0) return;
    const whole = text ?? '';
    text = null;
    tail = '';
    head = NOTHING;
    onEnd(whole);
  }

  return {
    push(chunk) {
      if (text !== null) return body(chunk);
      head = head.length === 0 ? chunk : Buffer.concat([head, chunk]);
      const end = head.indexOf(HEAD_END);
      if (end === -1) return;
      text = head.toString('latin1', 0, end + HEAD_END.length);
      const length = /\r\ncontent-length: *(\d+)/i.exec(text)?.[1];
      left = length !== undefined ? Number(length) : /\r\ntransfer-encoding: *chunked/i.test(text) ? null : 0;
      body(head.subarray(end + HEAD_END.length));
    },
  };
}
