/* oxlint-disable typescript/no-unsafe-argument, typescript/no-unsafe-call, typescript/no-unsafe-member-access, typescript/no-unsafe-assignment, typescript/no-unsafe-return -- what it runs is installed by the test alone: nothing here has its types */
// OpenAI’s language for a real llama.cpp, as node-llama-cpp has it: one request after the other, by the likeliest token.
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [, , folder, modelPath] = process.argv;
const resolve = createRequire(pathToFileURL(`${folder}/package.json`)).resolve;
const { getLlama } = await import(pathToFileURL(resolve('node-llama-cpp')).href);
const llama = await getLlama({ gpu: false, build: 'never', skipDownload: true, progressLogs: false, maxThreads: 1 });
const model = await llama.loadModel({ modelPath });
const context = await model.createContext({ contextSize: 1024 });
let evaluated = 0;
let turn = Promise.resolve();

const server = createServer((request, response) => {
  if (request.url === '/v1/models') return json(response, { object: 'list', data: [{ id: 'tiny', object: 'model' }] });
  if (request.url === '/evaluated') return json(response, { evaluated });
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    const asked = JSON.parse(Buffer.concat(chunks).toString('utf8'));
    turn = turn.then(() => complete(asked, response));
  });
});

function json(response, body) {
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(body));
}

async function complete({ messages, max_tokens: maxTokens = 16, stream = false }, response) {
  const sequence = context.getSequence();
  const gone = new AbortController();
  response.on('close', () => gone.abort());
  const event = (delta) =>
    response.write(`data: ${JSON.stringify({ object: 'chat.completion.chunk', choices: [{ index: 0, delta }] })}\n\n`);
  if (stream) response.writeHead(200, { 'content-type': 'text/event-stream' });
  const prompt = model.tokenize(messages.map(({ content }) => content).join('\n'));
  const tokens = [];
  for await (const token of sequence.evaluate(prompt, { temperature: 0, yieldEogToken: true })) {
    if (gone.signal.aborted) break;
    evaluated += 1;
    tokens.push(token);
    if (stream) event({ content: model.detokenize([token]) });
    if (tokens.length >= maxTokens) break;
    // The end of the connection is to be seen between two tokens.
    await new Promise((next) => setImmediate(next));
  }
  sequence.dispose();
  if (gone.signal.aborted) return;
  const usage = {
    prompt_tokens: prompt.length,
    completion_tokens: tokens.length,
    total_tokens: prompt.length + tokens.length,
  };
  if (stream)
    response.end(
      `data: ${JSON.stringify({ object: 'chat.completion.chunk', choices: [], usage })}\n\ndata: [DONE]\n\n`,
    );
  else
    json(response, {
      object: 'chat.completion',
      choices: [
        { index: 0, message: { role: 'assistant', content: model.detokenize(tokens) }, finish_reason: 'length' },
      ],
      usage,
    });
}

server.listen(0, '127.0.0.1', () => process.stdout.write(`${server.address().port}\n`));
