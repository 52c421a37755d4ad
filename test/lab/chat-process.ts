import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import type { Script } from '../support/agent-model.ts';
import { agentModel } from '../support/agent-model.ts';
import { modelServer } from '../support/model-server.ts';
import { telegramApi } from '../support/telegram-api.ts';

/**
 * A model that does as the script of the first argument says, and people at Telegram, on loopback of the machine that
 * runs this. Its first line tells where they are, as JSON. What is sent to `control` is said at Telegram, as a person;
 * the answer is all that the bot has written so far.
 */
const [model, telegram] = await Promise.all([modelServer(), telegramApi()]);
model.otherwise = agentModel(JSON.parse(process.argv[2] ?? '[]') as Script);

const control = createServer((request, response) => {
  void text(request).then((said) => {
    if (said !== '') telegram.say(said);
    response.end(JSON.stringify(telegram.texts()));
  });
});
control.listen(0, '127.0.0.1', () => {
  const { port } = control.address() as AddressInfo;
  console.log(JSON.stringify({ model: model.baseUrl, telegram: telegram.url, control: `http://127.0.0.1:${port}` }));
});
