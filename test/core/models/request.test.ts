import { expect, test } from 'vitest';
import type { RequestFacts } from '#src/core/models/request.ts';
import { scanRequest, spliceModel } from '#src/core/models/request.ts';
import { randomNumbers } from '../../support/random.ts';

const JSON_TYPE = 'application/json';

function facts(
  body: Buffer | string,
  type: string | undefined = JSON_TYPE,
  sizes: readonly number[] = [],
): RequestFacts {
  const bytes = Buffer.from(body as string, 'utf8');
  const scan = scanRequest(type, undefined);
  let at = 0;
  for (const size of sizes) {
    scan.push(bytes.subarray(at, at + size));
    at += size;
  }
  scan.push(bytes.subarray(at));
  return scan.facts(bytes);
}

function spliced(body: string, name: string, type?: string): string {
  return Buffer.concat(spliceModel(Buffer.from(body), facts(body, type), name)).toString('utf8');
}

test('finds at the top of the object what it needs, and nowhere else', () => {
  const messages = [{ role: 'user', content: '"model":"no"', model: 'nested' }];
  const body = JSON.stringify({
    messages,
    metadata: { model: 'nested', user: 'nested', stream: true },
    user: 'ann',
    prompt_cache_key: 'key',
    stream: false,
    model: 'qwen3:8b',
  });
  const found = facts(body);
  expect(found).toMatchObject({ model: 'qwen3:8b', user: 'ann', promptCacheKey: 'key', stream: false, form: 'json' });
  expect(found.isAmbiguous).toBe(false);
  expect(body.slice(found.prompt!.start, found.prompt!.end)).toBe(JSON.stringify(messages));
  expect(facts(' {\n"stream" : true }').stream).toBe(true);
});

test.each([
  ['{"model":"a"}', 'a'],
  ['\uFEFF{"model":"a"}', 'a'],
  [' \t\r\n{ "x" : -1.5e+8 , "model" : "a" } \n', 'a'],
  [String.raw`{"model":"\u0061\"b\\"}`, 'a"b\\'],
  [String.raw`{"mod\u0065l":"a"}`, 'a'],
  ['{"x":{},"y":[],"model":"a"}', 'a'],
  ['{"x":[[{"a":"]}"}]],"model":"a"}', 'a'],
  [String.raw`{"x":"\\","model":"a"}`, 'a'],
  [String.raw`{"x":"\\\"","model":"a"}`, 'a'],
  [`{"x":"${'y'.repeat(100)}${String.raw`\"`}","model":"a"}`, 'a'],
  [`{"x":"${'y'.repeat(100)}${'\\\\'}","model":"a"}`, 'a'],
  ['{"model":"","x":1}', ''],
  ['{"model":null}', null],
  ['{"model":7}', null],
  ['{"model":{"id":"a"}}', null],
  ['{"model":["a"]}', null],
  ['{}', null],
  ['', null],
  ['[{"model":"a"}]', null],
  ['"model"', null],
  ['{"model":"a"}}', null],
  ['{"model":"a"} {"model":"b"}', null],
  [`{'model':'a'}`, null],
  ['{model:"a"}', null],
  ['{"x":1 "model":"a"}', null],
  ['{,"model":"a"}', null],
  ['{"model":"a",}', null],
  ['/* */{"model":"a"}', null],
  ['\0{"model":"a"}', null],
  [`{"model":"${'a'.repeat(5000)}"}`, null],
])('of %s the model is %s, however it is cut', (body, model) => {
  const bytes = Buffer.from(body);
  for (let cut = 0; cut <= bytes.length; cut += bytes.length > 1000 ? 97 : 1)
    expect(facts(body, JSON_TYPE, [cut]).model).toBe(model);
  expect(
    facts(
      body,
      JSON_TYPE,
      Array.from({ length: bytes.length }, () => 1),
    ).model,
  ).toBe(model);
});

test('knows the beginning of a body whose end has not come', () => {
  const scan = scanRequest(JSON_TYPE, undefined);
  scan.push(Buffer.from('{"model":"a","input":"half'));
  expect(scan.facts(null)).toMatchObject({ model: 'a', isAmbiguous: false, form: 'json' });
});

test.each([
  '{"model":"a","model":"b"}',
  '{"model":"a","x":1,"model":null}',
  '{"model":"a","Model":"b"}',
  '{"MODEL":"b"}',
  String.raw`{"model":"a","m\u006fdel":"b"}`,
])('%s could mean two models', (body) => {
  expect(facts(body).isAmbiguous).toBe(true);
});

test('the same model twice is one', () => {
  const body = '{"model":"a","model":"a"}';
  expect(facts(body).isAmbiguous).toBe(false);
  expect(spliced(body, 'b')).toBe('{"model":"b","model":"b"}');
});

test('puts another name in the place of the model, and leaves every other byte', () => {
  const body = `{ "seed":12345678901234567890,"t":1.0,"e":1e-8,"x":"\\u00e9é", "model" : "a\\/b","x":2 }`;
  expect(spliced(body, 'ünï"q')).toBe(
    `{ "seed":12345678901234567890,"t":1.0,"e":1e-8,"x":"\\u00e9é", "model" : "ünï\\"q","x":2 }`,
  );
});

test('of a compressed body nothing is told', () => {
  const scan = scanRequest(JSON_TYPE, 'gzip');
  scan.push(Buffer.from('{"model":"a"}'));
  expect(scan.facts(null)).toMatchObject({ model: null, form: 'other' });
});

const FORM = [
  '--b1',
  'Content-Disposition: form-data; name="file"; filename="model"',
  'Content-Type: audio/wav',
  '',
  'RIFF\r\n--b\r\n\0 name="model"',
  '--b1',
  'content-disposition: form-data; name=model',
  '',
  'whisper-1',
  '--b1',
  'Content-Disposition: form-data; name="stream"',
  '',
  'true',
  '--b1--',
  '',
].join('\r\n');

test('reads the model of a form, and puts another in its place', () => {
  const type = 'multipart/form-data; boundary=b1';
  expect(facts(FORM, type)).toMatchObject({ model: 'whisper-1', stream: true, form: 'multipart', isAmbiguous: false });
  expect(facts(FORM, 'multipart/form-data; boundary="b1"').model).toBe('whisper-1');
  expect(spliced(FORM, 'other', type)).toBe(FORM.replace('whisper-1', 'other'));
  expect(facts(FORM.replace('name="stream"', 'name="model"'), type).isAmbiguous).toBe(true);
});

test.each([
  'Content-Disposition: form-data; x="; filename=y"; name="model"',
  'Content-Disposition: form-data; x="; name=z"; name="model"',
  'Content-Disposition: form-data;\r\n name="model"',
  "Content-Disposition: form-data; name*=utf-8''model",
  'Content-Disposition: form-data; name*0=mo; name*1=del',
  'Content-Disposition: form-data; name = "model"',
  'Content-Disposition: form-data; name="mo\\del"',
  'Content-Disposition: form-data; name="x"; name="model"',
  'Content-Disposition: form-data; name="x"\r\nContent-Disposition: form-data; name="model"',
  'Content-Disposition : form-data; name="model"',
  'Content-Disposition: form-data; name="x"\nContent-Disposition: form-data; name="model"',
])('which model a form means can’t be told where readers differ on a part: %j', (head) => {
  const body = FORM.replace('--b1\r\n', `--b1\r\n${head}\r\n\r\nsecret\r\n--b1\r\n`);
  expect(facts(body, 'multipart/form-data; boundary=b1').isAmbiguous).toBe(true);
});

test.each([
  [`preamble\r\n${FORM}`, 'multipart/form-data; boundary=b1'],
  [FORM.replace('--b1\r\n', '--b1 \r\n'), 'multipart/form-data; boundary=b1'],
  [FORM.replace('--b1\r\n', '--b1\n'), 'multipart/form-data; boundary=b1'],
  [FORM.replace('--b1--', '--b1-'), 'multipart/form-data; boundary=b1'],
  [FORM, 'multipart/form-data; charset=x; boundary=b1'],
  [FORM, 'multipart/form-data; boundary=b2; boundary=b1'],
  [FORM, 'multipart/mixed; boundary=b1'],
  [FORM, 'multipart/form-data'],
  [FORM.replaceAll('b1', 'b'.repeat(71)), `multipart/form-data; boundary=${'b'.repeat(71)}`],
])('nor where they differ on the form itself (%#)', (body, type) => {
  expect(facts(body, type)).toMatchObject({ model: null, isAmbiguous: true, form: 'multipart' });
});

test('a boundary that almost fits everywhere, or many parts, cost no more than their bytes', () => {
  const long = 'a'.repeat(14_000);
  const near = `\r\n--${'a'.repeat(100)}b`.repeat(2000) + 'a'.repeat(1 << 20);
  expect(facts(`--${long}\r\n\r\n${near}`, `multipart/form-data; boundary=${long}`).isAmbiguous).toBe(true);
  const many = '--b1\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n'.repeat(2000);
  expect(facts(`${many}--b1--`, 'multipart/form-data; boundary=b1').isAmbiguous).toBe(true);
});

test.each(['', '--b1', '--b1\r\n', '--b1--', '--b1\r\n\r\n', FORM.slice(0, 150), 'x'.repeat(100), '\r\n--b1\r\nA: b'])(
  'of a form that is none nothing is told (%j)',
  (body) => {
    expect(facts(body, 'multipart/form-data; boundary=b1').model).toBe(null);
  },
);

test('agrees with JSON.parse on ten thousand bodies, wherever they are cut', () => {
  const random = randomNumbers(7);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
  const texts = ['', 'a', '"', '\\', '\\"', '{"model":"x"}', 'é', '😀', '\u2028', 'x'.repeat(60), '\n', ']', '}'];
  const value = (depth: number): unknown => {
    const kind = Math.floor(random() * (depth > 2 ? 4 : 6));
    if (kind === 0) return pick(texts) + pick(texts);
    if (kind === 1) return pick([0, -1.5, 1e21, 12]);
    if (kind === 2) return pick([true, false, null]);
    if (kind === 3) return pick(texts);
    if (kind === 4) return Array.from({ length: Math.floor(random() * 4) }, () => value(depth + 1));
    return Object.fromEntries(Array.from({ length: Math.floor(random() * 4) }, () => [pick(texts), value(depth + 1)]));
  };
  for (let round = 0; round < 10_000; round++) {
    const keys = ['model', 'user', 'prompt_cache_key', 'stream', 'messages', 'x', 'model_', '"model"', ''];
    const entries = keys.filter(() => random() < 0.5).map((key) => [key, value(0)] as const);
    const object = Object.fromEntries(entries.toSorted(() => random() - 0.5)) as Record<string, unknown>;
    const indent = pick([0, 1, 2]);
    const body = JSON.stringify(object, null, indent);
    const bytes = Buffer.from(body);
    const found = facts(body, JSON_TYPE, [Math.floor(random() * bytes.length), Math.floor(random() * 9)]);
    const text = (key: string) => (typeof object[key] === 'string' ? object[key] : null);
    const wanted = { model: text('model'), user: text('user'), promptCacheKey: text('prompt_cache_key') };
    expect({ body, ...found }).toMatchObject({ ...wanted, stream: object['stream'] === true, isAmbiguous: false });
    if (found.model === null) continue;
    const other = Buffer.concat(spliceModel(bytes, found, 'sp"liced')).toString('utf8');
    expect(other).toBe(JSON.stringify({ ...object, model: 'sp"liced' }, null, indent));
  }
});
