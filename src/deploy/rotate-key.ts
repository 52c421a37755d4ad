import { randomUUID } from 'node:crypto';
import { join } from 'node:path/posix';
import { setTimeout as pause } from 'node:timers/promises';
import { z } from 'zod';
import type { Files } from '#src/adapters/machine/files.ts';
import { filesOf } from '#src/adapters/machine/files.ts';
import type { Machine, Person } from '#src/adapters/machine/machine.ts';
import { lastWords } from '#src/adapters/machine/perform.ts';
import type { ErrorBody } from '#src/core/errors.ts';
import { ERROR_CODES, FederationError } from '#src/core/errors.ts';
import type { KeyRotationRequest } from '#src/core/key-rotation.ts';
import { KEY_ROTATION_FILE, KEY_ROTATION_REQUEST_FILE } from '#src/core/key-rotation.ts';
import { fingerprint } from '#src/core/node.ts';
import { jsonAs } from '#src/deploy/json.ts';
import type { WorkerStanding } from '#src/deploy/worker-standing.ts';
import { runningWorker } from '#src/deploy/worker-standing.ts';

export interface KeyRotationWish {
  /** Whose worker it is. */
  readonly person: Person;
  /** Home of the worker daemon. */
  readonly home: string;
  /** Whether what runs there may be ended for it. */
  readonly endRunning: boolean;
  readonly progress: (line: string) => void;
}

/** By fingerprint. */
export interface RotatedKey {
  readonly name: string;
  readonly before: string;
  readonly after: string;
}

const ASK_MS = 250;
/** A daemon takes a request at once, or within 30 s where its system can't tell of changes. */
const TAKEN_MS = 40_000;
const DONE_MS = 60_000;
const DOCTOR = 'deploy-federation doctor';

const id = z.string();
const nodeId = z.string().regex(/^[0-9a-f]{64}$/);
/** Of any version: what is not said in our words is not said. */
const recordSchema = z.object({
  requests: z.array(id),
  state: z.enum(['running', 'done', 'refused']),
  from: nodeId,
  to: nodeId.nullable(),
  problem: z
    .object({ code: z.enum(ERROR_CODES).catch('INTERNAL'), message: z.string(), hint: z.string().optional() })
    .nullable(),
});

/**
 * Asks the worker daemon of a home for a new key and waits until its hub has welcomed it by that. Throws NOT_RUNNING,
 * HOME_UNUSABLE, CONFIRMATION_NEEDED where something runs there, HUB_UNREACHABLE, and what the hub refuses with. When
 * `signal` is aborted its reason: a request that was not taken yet is taken back, and what has begun goes on.
 */
export async function rotateKey(machine: Machine, wish: KeyRotationWish, signal: AbortSignal): Promise<RotatedKey> {
  const { person, home, endRunning, progress } = wish;
  const files = filesOf(machine, person, signal);
  await checkHome(files, wish);
  const { name } = await memberIn(machine, files, home, signal);
  const request: KeyRotationRequest = { id: randomUUID(), endRunning };
  try {
    await ask(machine, wish, request, signal);
    const { from, to } = await followed(files, { home, request, progress, signal });
    return { name, before: fingerprint(from), after: fingerprint(to) };
  } catch (error) {
    await takeBack(filesOf(machine, person, AbortSignal.timeout(TAKE_BACK_MS)), home, request);
    throw error;
  }
}

/** One request at a time: a link is made whole, or not at all where one is there. */
async function ask(
  machine: Machine,
  { person, home }: KeyRotationWish,
  request: KeyRotationRequest,
  signal: AbortSignal,
) {
  const files = filesOf(machine, person, signal);
  const [path, own] = [join(home, KEY_ROTATION_REQUEST_FILE), ownFile(home, request)];
  await files.write({ path: own, content: `${JSON.stringify(request)}\n`, mode: 0o600, owner: null });
  const link = () => machine.run({ argv: ['ln', '--', own, path], as: person, signal });
  let linked = await link();
  if (linked.code !== 0) {
    if (requestIn(await read(files, path)) !== null) throw overtaken();
    // The one that stood there has been answered meanwhile.
    linked = await link();
  }
  if (linked.code !== 0) {
    throw new FederationError('STEP_FAILED', `can’t write ${path}: ${lastWords(linked)}`, { hint: DOCTOR });
  }
  await files.remove(own);
}

function ownFile(home: string, { id: asked }: KeyRotationRequest): string {
  return join(home, `${KEY_ROTATION_REQUEST_FILE}.${asked}`);
}

const TAKE_BACK_MS = 5000;

/** A request that nobody has taken must not be taken when nobody waits for it any more. */
async function takeBack(files: Files, home: string, request: KeyRotationRequest): Promise<void> {
  const path = join(home, KEY_ROTATION_REQUEST_FILE);
  try {
    await files.remove(ownFile(home, request));
    if (requestIn(await read(files, path)) === request.id) await files.remove(path);
  } catch (error) {
    if (!(error instanceof FederationError) && !isTimeout(error)) throw error;
  }
}

function isTimeout(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'TimeoutError';
}

async function checkHome(files: Files, { home, person }: KeyRotationWish): Promise<void> {
  const state = await files.stat(home);
  if (state === null) {
    throw new FederationError('NOT_RUNNING', `there is no worker here: nothing is in ${home}`, {
      hint: 'deploy-federation worker MASTER, or name its home: --home FOLDER',
    });
  }
  if (state.uid === person.uid) return;
  throw new FederationError('HOME_UNUSABLE', `${home} belongs to another user than ${person.name}`, {
    hint: 'run this as that user, or as root with --run-as USER',
  });
}

/** Throws where there is no daemon, or none whose hub would agree. */
async function memberIn(machine: Machine, files: Files, home: string, signal: AbortSignal): Promise<WorkerStanding> {
  const standing = await runningWorker(machine, files, home, signal);
  if (standing === null) {
    throw new FederationError('NOT_RUNNING', `no worker daemon runs with ${home}`, { hint: DOCTOR });
  }
  const { link, hub, fingerprint: shown, held, problem } = standing;
  switch (link) {
    case 'member':
      return standing;
    case 'waiting':
      throw new FederationError('HELD', `this node is no member yet: ${held ?? 'it waits for approval'}`, {
        hint: `on the master: manage-federation approve ${shown}`,
      });
    case 'refused':
      throw errorOf(problem ?? { code: 'FORBIDDEN', message: 'the hub turns this node away', hint: DOCTOR });
    case 'connecting':
      // The daemon itself waits for what comes of its first attempt.
      if (problem === null) return standing;
      throw new FederationError('HUB_UNREACHABLE', `no link to ${hub}: ${problem.message}`, {
        hint: problem.hint ?? DOCTOR,
      });
  }
}

interface Followed {
  readonly home: string;
  readonly request: KeyRotationRequest;
  readonly progress: (line: string) => void;
  readonly signal: AbortSignal;
}

/** Resolves with the ids before and after, when the daemon says that it is done. */
async function followed(
  files: Files,
  { home, request, progress, signal }: Followed,
): Promise<{ from: string; to: string }> {
  const startedAt = performance.now();
  let said = '';
  let problem: ErrorBody | null = null;
  let isTaken = false;
  while (performance.now() - startedAt < (isTaken ? DONE_MS : TAKEN_MS)) {
    const record = jsonAs(recordSchema, await read(files, join(home, KEY_ROTATION_FILE)));
    if (record?.requests.includes(request.id) === true) {
      isTaken = true;
      const { state, from, to } = record;
      problem = record.problem === null ? null : bodyOf(record.problem);
      if (state === 'done' && to !== null) return { from, to };
      if (state === 'refused') throw errorOf(problem ?? { code: 'INTERNAL', message: 'it was refused', hint: DOCTOR });
      const line = progressText(from, to, problem);
      if (line !== said) progress(line);
      said = line;
    } else if (requestIn(await read(files, join(home, KEY_ROTATION_REQUEST_FILE))) !== request.id) {
      // Between the two looks it may have been answered.
      if (isTaken || !(await isAnswered(files, home, request))) throw overtaken();
    }
    await pause(ASK_MS, undefined, { signal });
  }
  throw isTaken ? unfinished(problem) : untaken();
}

async function isAnswered(files: Files, home: string, { id: asked }: KeyRotationRequest): Promise<boolean> {
  const record = jsonAs(recordSchema, await read(files, join(home, KEY_ROTATION_FILE)));
  return record?.requests.includes(asked) === true;
}

function progressText(from: string, to: string | null, problem: ErrorBody | null): string {
  const next = to === null ? '' : `; next: ${fingerprint(to)}`;
  const wait = problem === null ? '' : ` (${problem.message})`;
  return `key until now: ${fingerprint(from)}${next}; the hub is asked${wait}`;
}

function overtaken(): FederationError {
  return new FederationError('ALREADY_RUNNING', 'somebody else asked for a new key at the same time', {
    hint: 'look at it: deploy-federation doctor; or once more: deploy-federation rotate-key',
  });
}

function untaken(): FederationError {
  return new FederationError('NOT_RUNNING', 'the worker daemon does not take the request', {
    hint: 'it may be of an earlier version: deploy this machine once more, which restarts it',
  });
}

function unfinished(problem: ErrorBody | null): FederationError {
  const why = problem === null ? 'the hub has not welcomed the new key yet' : problem.message;
  return new FederationError(problem?.code ?? 'HUB_UNREACHABLE', `${why}, after ${DONE_MS / 1000} s`, {
    hint: `the daemon goes on by itself; look at it: ${DOCTOR}`,
  });
}

function bodyOf({ code, message, hint }: { code: ErrorBody['code']; message: string; hint?: string | undefined }) {
  return hint === undefined ? { code, message } : { code, message, hint };
}

function errorOf({ code, message, hint }: ErrorBody): FederationError {
  return new FederationError(code, message, hint === undefined ? {} : { hint });
}

function requestIn(text: string): string | null {
  return jsonAs(z.object({ id }), text)?.id ?? null;
}

/** Empty where there is none. */
async function read(files: Files, path: string): Promise<string> {
  return (await files.read(path))?.toString('utf8') ?? '';
}
