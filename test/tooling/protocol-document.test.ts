import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Context } from 'hono';
import { describe, expect, it } from 'vitest';
import type { ErrorCode } from '#src/core/errors.ts';
import { ERROR_CODES, FederationError } from '#src/core/errors.ts';
import { HANDOFF_STATES } from '#src/core/handoff/state.ts';
import { refusalOf } from '#src/core/models/error.ts';
import { answerError } from '#src/hub/api/answers.ts';
import { nodeAgentRoutes } from '#src/hub/api/node-agents.ts';
import { nodeHostRoutes } from '#src/hub/api/node-host.ts';
import { nodeKeyRoutes } from '#src/hub/api/node-key.ts';
import { nodeModelRoutes } from '#src/hub/api/node-models.ts';
import { FRAME } from '#src/protocol/frames.ts';
import type { HandoffEvent } from '#src/core/handoff/event.ts';
import { MESSAGE_STATES } from '#src/protocol/handoffs.ts';
import { SILENT_LOG } from '../support/member.ts';
import type { NumberRow } from './protocol-page.ts';
import { firstWords, numberRows, page, section, table, wordsIn } from './protocol-page.ts';
import { fileWith, source, sources, valueOf } from './sources.ts';
import { askWorker, concrete, PARTS, statusOnLink } from './worker-routes.ts';

const ROOT = resolve(import.meta.dirname, '../..');

describe('docs/protocol.md: the link', () => {
  const ENDINGS = section('### Why it ends');
  const CODES = firstWords(ENDINGS, '| code | said by | when |');

  it('says every code with which a link, or the way to one, ends', async () => {
    const said = new Set<string>(['INTERNAL']);
    for (const path of SAY_WHY) for (const [, code] of (await source(path)).matchAll(MADE)) said.add(code!);
    expect(CODES.toSorted()).toEqual([...said].filter((code) => !OF_REQUESTS.has(code)).toSorted());
  });

  it('says every sentence with which a link ends, and no other', async () => {
    const quoted = [...ENDINGS.matchAll(/“([^”]+)”/g)].map(([, words]) => words!);
    const said = new Set<string>();
    for (const path of END_LINKS) {
      for (const [, code, words] of (await source(path)).matchAll(MADE)) if (ENDS.has(code!)) said.add(words!);
    }
    expect([...new Set(quoted)].toSorted()).toEqual([...said].toSorted());
  });

  it('names the codes of HTTP/2 and of WebSockets that the code sends', async () => {
    const http2 = new Set<string>();
    for (const path of await sources()) {
      for (const [name] of (await source(path)).matchAll(/NGHTTP2_[A-Z_]+/g)) http2.add(name);
    }
    expect([...new Set(page.match(/NGHTTP2_[A-Z_]+/g))].toSorted()).toEqual([...http2].toSorted());
    const relay = await source('src/link/relay.ts');
    const rows = table(section('## 7. The carrier'), '| close code | when |');
    const sent = [/const REFUSED = (\d+)/.exec(relay)![1], /close\((\d+), 'the other end was lost'\)/.exec(relay)![1]];
    expect(rows.slice(0, 2).map(([code]) => code)).toEqual(sent);
  });
});

describe('docs/protocol.md: what is asked', () => {
  const rows = table(section('## 4. What the hub asks of a worker'), '| method | path | request | answer |');
  const routes = rows.map(([method, path]) => [wordsIn(method!)[0]!, wordsIn(path!)[0]!] as const);

  it('names routes that a worker has, and all by which its parts are reached', () => {
    const reached = new Set<string>();
    for (const [method, path] of routes) {
      const before = reached.size;
      expect(askWorker(method, concrete(path), reached), `${method} ${path}`).not.toContain('NOT_FOUND');
      expect(reached.size, `${method} ${path} is one of its own`).toBeGreaterThan(before);
    }
    expect([...reached].toSorted()).toEqual(PARTS.toSorted());
  });

  it('names every path that a worker compares with', async () => {
    const text = (await source('src/worker/api.ts')) + (await source('src/worker/handoffs/serve.ts'));
    const compared = [...text.matchAll(/method === '(\w+)' && path === '([^']+)'/g)].map(
      ([, method, path]) => `${method} ${path}`,
    );
    expect(compared.length).toBeGreaterThan(5);
    expect(routes.map((route) => route.join(' '))).toEqual(expect.arrayContaining(compared));
    // As many conditions as there are rows of those that are more than a plain comparison.
    const others = routes.length - compared.length - MODEL_ROUTES;
    expect([...text.matchAll(/if \(method === '(?:GET|DELETE)'(?! && path)/g)]).toHaveLength(others);
  });

  it('names every path that a hub asks for on a link', async () => {
    const asked = new Set<string>();
    for (const path of await sources('src/hub')) {
      for (const [, at] of (await source(path)).matchAll(/'[:]path': [`'](\/[a-z]+)/g)) asked.add(at!);
    }
    expect(asked.size).toBeGreaterThan(3);
    expect([...asked].filter((at) => !routes.some(([, path]) => path.startsWith(at)))).toEqual([]);
  });

  it('names the routes of the hub for workers, and no other', () => {
    const none = {} as never;
    const apps = [
      nodeAgentRoutes({ handoffs: none }),
      nodeHostRoutes(none),
      nodeKeyRoutes({ views: {} } as never),
      nodeModelRoutes({ models: none }),
    ];
    const known = apps.flatMap((app) => {
      const { paths = {} } = app.getOpenAPI31Document({ openapi: '3.1.0', info: { title: '', version: '' } });
      return Object.entries(paths).flatMap(([path, item]) =>
        Object.keys(item ?? {}).map((method) => `${method.toUpperCase()} /api/v1${path}`),
      );
    });
    const listed = table(section('## 5. What a worker asks of the hub'), '| method | path | what |');
    const named = listed.map(([method, path]) => `${wordsIn(method!)[0]} ${wordsIn(path!)[0]}`);
    expect(named.toSorted()).toEqual(known.toSorted());
  });

  it('names every frame by its number', () => {
    const frames = table(section('### Frames'), '| frame | type | from | payload |');
    expect(Object.fromEntries(frames.map(([name, type]) => [wordsIn(name!)[0]!, Number(type)]))).toEqual(FRAME);
  });

  it('names every header of ours, and no other', async () => {
    const known = new Set<string>();
    for (const path of await sources()) {
      for (const [header] of (await source(path)).matchAll(/x-federation-[a-z0-9-]*[a-z0-9]/g)) known.add(header);
    }
    expect([...new Set(page.match(/x-federation-[a-z0-9-]*[a-z0-9]/g))].toSorted()).toEqual([...known].toSorted());
  });

  it('names the states and events of handoffs and messages', () => {
    const text = section('## 9. Handoffs and messages');
    expect(firstWords(text, '| state | meaning |')).toEqual(HANDOFF_STATES);
    expect(firstWords(text, '| event | fields beside `seq` |')).toEqual(Object.keys(EVENTS));
    expect(text.replace(/\s+/g, ' ')).toContain(
      `Its states are ${MESSAGE_STATES.map((state) => `\`${state}\``).join(', ')}.`,
    );
  });
});

describe('docs/protocol.md: errors', () => {
  const text = section('## 10. Errors');
  const [, ...statuses] = text.split('| status | codes |\n');
  const said = statuses.map((one) => {
    const rows = table(`\n| status | codes |\n${one}`, '| status | codes |');
    return new Map(rows.flatMap(([status, codes]) => wordsIn(codes!).map((code) => [code, Number(status)] as const)));
  });

  it('has every code with its status at the hub, on the link and of the model proxy', () => {
    const [hub, link, models] = [statusAtHub, statusOnLink, statusOfModels];
    expect(said).toHaveLength(3);
    expect(said[0]).toEqual(new Map(ERROR_CODES.map((code) => [code, hub(code)])));
    expect(said[1]).toEqual(new Map(rare(link)));
    expect(said[2]).toEqual(new Map(rare(models)));
  });

  it('names the codes that a worker may say, and what a hub makes of those to an order', async () => {
    const said = text.slice(0, text.indexOf('HTTP status at the hub'));
    const listed = wordsIn(said.slice(said.indexOf(':\n'))).filter((word) => word !== 'STEP_FAILED');
    const known = await codesOf('src/hub/fleet/ask-worker.ts', 'REFUSALS');
    expect(listed.toSorted()).toEqual(known.filter((code) => code !== 'STEP_FAILED').toSorted());
    const bullet = /- \*\*Before it began\*\*([\s\S]*?)\n- /.exec(section('## 9. Handoffs and messages'))![1]!;
    const judging = await fileWith('src/hub/handoffs', 'const NOT_NOW');
    const [later, never] = [await codesOf(judging, 'NOT_NOW'), await codesOf(judging, 'NEVER')];
    expect(wordsIn(bullet)).toEqual([...later, ...never, 'DEADLINE_OVER']);
  });

  it('names no code, no constant and no file that is not there', async () => {
    const known = new Set<string>([...ERROR_CODES, ...numberRows().map(({ name }) => name), ...OTHER_WORDS]);
    const names = wordsIn(page.replaceAll(/```[\s\S]*?```/g, '')).filter((word) =>
      /^[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+(?:\.\w+)?$/.test(word),
    );
    expect(names.filter((name) => !known.has(name) && !name.startsWith('NGHTTP2_'))).toEqual([]);
    for (const path of wordsIn(page).filter((word) => /^(?:src|test)\/.*\.ts$/.test(word))) {
      expect(await readFile(resolve(ROOT, path), 'utf8')).not.toBe('');
    }
  });
});

describe('docs/protocol.md: numbers', () => {
  const numbers = numberRows();

  it('has some', () => {
    expect(numbers.length).toBeGreaterThan(60);
  });

  it.each(numbers.map((row) => [`${row.name} of ${row.path}`, row] as const))('%s is what the code has', (_, row) => {
    expect(row.value).toBe(valueOf(row.path, row.name));
    expect(row.unit).toBe(unitOf(row));
  });
});

/** By its name; what is counted otherwise the page says itself. */
function unitOf({ name, unit }: NumberRow): string {
  if (name.endsWith('_BYTES') || name === 'SOCKET.maxPayload') return 'bytes';
  return /(?:_MS|Ms)$/.test(name) ? 'ms' : unit;
}

/** Where it is said why nobody gets a link or an operator's connection, or has it no longer. */
const SAY_WHY = [
  ...[
    'accept',
    'challenge',
    'dial',
    'door',
    'hold',
    'knock',
    'lines',
    'link',
    'operator',
    'operator-accept',
    'session',
  ],
  'upgrade',
].map((name) => `src/link/${name}.ts`);
SAY_WHY.push('src/protocol/version.ts', 'src/worker/membership.ts', 'src/hub/doors.ts', 'src/hub/fleet/fleet.ts');
SAY_WHY.push('src/hub/enrolment/refusals.ts', 'src/hub/enrolment/waiters.ts', 'src/hub/operators/words.ts');
SAY_WHY.push('src/core/token.ts', 'src/core/pairing.ts', 'src/core/operator.ts', 'src/core/operator-request.ts');
SAY_WHY.push('src/core/admission.ts', 'src/hub/api/node-key.ts');

/** Of a wrong request of an operator, where the same file has both. */
const OF_REQUESTS: ReadonlySet<string> = new Set(['NOT_FOUND', 'NODE_NOT_FOUND', 'NODE_AMBIGUOUS']);

const END_LINKS = [
  ...['src/link/link.ts', 'src/link/session.ts', 'src/link/hold.ts', 'src/link/operator-accept.ts', 'src/link/door.ts'],
  ...['src/hub/doors.ts', 'src/hub/fleet/fleet.ts', 'src/hub/api/node-key.ts', 'src/hub/enrolment/revocation.ts'],
  ...['src/hub/enrolment/waiters.ts', 'src/hub/enrolment/wishes.ts'],
];
const ENDS: ReadonlySet<string> = new Set(['LINK_LOST', 'LINK_REPLACED', 'HUB_STOPPING', 'REVOKED', 'KEY_ROTATED']);
const MADE = /new FederationError\(\s*'([A-Z_]+)',\s*(?:'([^']*)'|)/g;

const MODEL_ROUTES = 2;

/** Every kind of event, each named once: another one is an error of types here. */
const EVENTS = {
  started: true,
  text: true,
  tool: true,
  artefact: true,
  gap: true,
  restarted: true,
  ended: true,
} satisfies Record<HandoffEvent['type'], true>;

/** Words of the page in capitals that are neither: of HTTP/2, and of OpenClaw's gateway. */
const OTHER_WORDS = ['REFUSED_STREAM', 'INVALID_REQUEST'];

function statusAtHub(code: ErrorCode): number {
  const context = { req: { path: '/' }, json: (_: object, status: number) => status };
  return answerError(SILENT_LOG)(new FederationError(code, 'no'), context as unknown as Context) as unknown as number;
}

function statusOfModels(code: ErrorCode): number {
  return refusalOf('openai', new FederationError(code, 'no')).status;
}

/** Codes of a list of the code. */
async function codesOf(path: string, name: string): Promise<string[]> {
  const defined = new RegExp(`const ${name}[^=]* = ([^;]+);`).exec(await source(path))?.[1] ?? '';
  return [...defined.matchAll(/'([A-Z_]+)'/g)].map(([, code]) => code!);
}

/** Codes whose status is not the usual one. */
function rare(status: (code: ErrorCode) => number): [ErrorCode, number][] {
  return ERROR_CODES.map((code) => [code, status(code)] as [ErrorCode, number]).filter(([, one]) => one !== 500);
}
