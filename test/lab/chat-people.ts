import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Script } from '../support/agent-model.ts';
import { eventually } from '../support/eventually.ts';
import type { Machine } from './machine.ts';

/** A model and people at Telegram, on the loopback of a machine. */
export interface ChatPeople {
  /** Base URL of the model. */
  readonly model: string;
  /** Of the Bot API. */
  readonly telegram: string;
  /** One of them writes to the bot, and waits for an answer that fits. */
  tell(sentence: string, answer: RegExp): Promise<string>;
}

const PROGRAM = fileURLToPath(new URL('./chat-process.ts', import.meta.url));
const SUPPORT = ['agent-model', 'eventually', 'model-answers', 'model-server', 'telegram-api'];
const FOLDER = '/opt/chat';
const UNIT = 'chat-people';
/** The Node that our package brings: there is no other on the machine. */
const START = `exec "$(echo /usr/lib/node_modules/openclaw-federation/node_modules/node-linux-*/bin/node)" "$@" >${FOLDER}/where`;
const ANSWER_MS = 120_000;

/** Starts them; the model does as the script says. The machine has the package. */
export async function chatPeople(machine: Machine, script: Script): Promise<ChatPeople> {
  const program = `${FOLDER}/lab/${basename(PROGRAM)}`;
  await machine.write(program, await readFile(PROGRAM, 'utf8'));
  for (const name of SUPPORT) {
    const file = new URL(`../support/${name}.ts`, import.meta.url);
    await machine.write(`${FOLDER}/support/${name}.ts`, await readFile(file, 'utf8'));
  }
  await machine.write(`${FOLDER}/package.json`, '{ "type": "module" }\n');
  const argv = ['sh', '-euc', START, 'sh', program, JSON.stringify(script)];
  await machine.succeed(['systemd-run', '--quiet', `--unit=${UNIT}`, ...argv]);
  const where = await eventually('the people of the chat are there', async () => {
    const { stdout } = await machine.run(['cat', `${FOLDER}/where`]);
    return stdout.endsWith('\n') && stdout;
  });
  const { model, telegram, control } = JSON.parse(where) as Record<'model' | 'telegram' | 'control', string>;
  const texts = async (said: string): Promise<readonly string[]> =>
    JSON.parse(
      await machine.succeed(['curl', '--silent', '--data-binary', '@-', control], { input: said }),
    ) as string[];
  return {
    model,
    telegram,
    async tell(sentence, answer) {
      const { length } = await texts(sentence);
      return eventually(
        `an answer to “${sentence}”`,
        async () => (await texts('')).slice(length).find((text) => answer.test(text)),
        ANSWER_MS,
      );
    },
  };
}
