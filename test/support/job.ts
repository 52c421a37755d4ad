import type { OutgoingHttpHeaders } from 'node:http';
import type { Frame } from '#src/protocol/frames.ts';
import { FRAME, frameJson, frameReader } from '#src/protocol/frames.ts';
import type { JobCreate, JobEnded, JobOpened, Result } from '#src/protocol/hub-api/job.ts';
import type { Started } from '#src/protocol/worker-api.ts';
import { ask, open } from './http.ts';

/** A job as its client sees it, up to now. */
export interface ClientJob {
  readonly opened: JobOpened | null;
  readonly started: ReadonlyMap<number, Started>;
  readonly results: readonly Result[];
  readonly outputs: readonly { stdout: string; stderr: string }[];
  readonly ended: JobEnded | null;
  /** The JSON of every frame, in its order. */
  readonly records: readonly { readonly type: Frame['type']; readonly value: unknown }[];
  /** Resolves when the stream is over, whole or cut. */
  readonly over: Promise<void>;
  /** Whether the stream came to its proper end. */
  readonly whole: boolean;
  /** Goes away without a word. */
  leave(): void;
}

/** Starts a job through the hub's socket. Rejects with the hub's answer, `{code, message}`, where it refuses. */
export async function startJob(socketPath: string, job: JobCreate, who: OutgoingHttpHeaders = {}): Promise<ClientJob> {
  const json = { ...who, 'content-type': 'application/json' };
  const request = { socketPath, method: 'POST', path: '/api/v1/jobs', headers: json };
  const response = await open(request, JSON.stringify(job));
  if (response.statusCode !== 200) {
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    throw Object.assign(new Error(Buffer.concat(chunks).toString()), JSON.parse(Buffer.concat(chunks).toString()));
  }
  let opened: JobOpened | null = null;
  let ended: JobEnded | null = null;
  let whole = false;
  const started = new Map<number, Started>();
  const results: Result[] = [];
  const outputs: { stdout: string; stderr: string }[] = [];
  const records: { type: Frame['type']; value: unknown }[] = [];

  function onFrame(frame: Frame): void {
    const text = frame.payload.toString('latin1');
    if (frame.type === FRAME.stdout) outputs[frame.target]!.stdout += text;
    else if (frame.type === FRAME.stderr) outputs[frame.target]!.stderr += text;
    else onRecord(frame, frameJson(frame));
  }

  function onRecord({ type, target }: Frame, value: unknown): void {
    records.push({ type, value });
    if (type === FRAME.open) {
      opened = value as JobOpened;
      for (const _ of opened.targets) outputs.push({ stdout: '', stderr: '' });
    }
    if (type === FRAME.started) started.set(target, value as Started);
    if (type === FRAME.exit) results[target] = value as Result;
    if (type === FRAME.summary) ended = value as JobEnded;
  }

  const reader = frameReader(onFrame);
  const { promise: over, resolve } = Promise.withResolvers<void>();
  response.on('data', (chunk: Buffer) => reader.push(chunk));
  response.on('error', () => undefined);
  response.on('close', () => {
    whole = response.complete && reader.atBoundary && ended !== null;
    resolve();
  });
  return {
    get opened() {
      return opened;
    },
    started,
    results,
    outputs,
    get ended() {
      return ended;
    },
    records,
    over,
    get whole() {
      return whole;
    },
    leave: () => void response.destroy(),
  };
}

/** Gives a job its whole input; the status of the answer. */
export async function sendInput(socketPath: string, job: string, input: string): Promise<number> {
  const { status } = await ask({ socketPath, method: 'PUT', path: `/api/v1/jobs/${job}/stdin` }, input);
  return status;
}
