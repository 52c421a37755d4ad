import type { Command } from 'commander';
import { InvalidArgumentError, Option } from 'commander';
import type { GlobalFlags } from '#src/cli/manage/context.ts';
import { TIMES } from '#src/cli/manage/duration.ts';
import type { KeyFlags } from '#src/cli/manage/models/key.ts';
import type { RouteFlags } from '#src/cli/manage/models/route.ts';
import type { ShareFlags } from '#src/cli/manage/models/share.ts';
import type { UsageFlags } from '#src/cli/manage/models/usage.ts';

export interface ModelCommandsParts {
  readonly ends: (work: Promise<number>) => Promise<void>;
  readonly all: <T extends object>(own: T) => T & GlobalFlags;
  readonly examples: (lines: readonly string[]) => string;
}

type Own<T> = Omit<T, keyof GlobalFlags>;

/** `manage-federation models …`; each loads its own module, so that none waits for what only another one needs. */
export function addModelCommands(program: Command, { ends, all, examples }: ModelCommandsParts): void {
  const models = program
    .command('models')
    .description('models of all machines: who has which, who may use them, and who did')
    .addHelpText('after', examples(['models list', 'models share ollama', 'models chat qwen3:8b']));
  const command = (usage: string, description: string, ...lines: string[]) =>
    models.command(usage).description(description).addHelpText('after', examples(lines));

  command('list', 'what may be written as a model, and the nodes behind it', 'models list', 'models list --all')
    .option('--all', 'each model of each node, too, as NODE/MODEL')
    .action(async (own: { all?: boolean }) =>
      ends((await import('#src/cli/manage/models/list.ts')).listModels(all(own))),
    );
  command(
    'share <name>',
    'share a model server of this machine; run it where the server is reached',
    'models share ollama',
    'models share vllm --url http://192.168.1.20:8000/v1 --model Qwen/Qwen3-32B=qwen3',
    'models share openrouter --key-file openrouter.key --only "anthropic/*"',
    'models share openclaw',
  )
    .option('--url <url>', 'its base URL, which ends with /v1 as a rule')
    .addOption(new Option('--api <api>', 'the language that it speaks').choices(['openai', 'anthropic']))
    .option('--key-file <file>', 'a file with its key, which nobody else can read')
    .option('--key-environment <name>', 'a variable of the worker daemon with its key')
    .option('--model <name[=as]>', 'share this one; without it, whatever the server has', collect)
    .option('--only <pattern>', 'of what it has, these; * stands for any part', collect)
    .option('--except <pattern>', 'of what it has, not these', collect)
    .option('--concurrency <n>', 'requests that it works on at once; others wait', upTo(1024))
    .option('--no-check', 'write it also where the server does not answer now')
    .action(async (name: string, own: Own<ShareFlags>) =>
      ends((await import('#src/cli/manage/models/share.ts')).share(name, all(own))),
    );
  command('unshare <name>', 'end that', 'models unshare ollama').action(async (name: string) =>
    ends((await import('#src/cli/manage/models/share.ts')).unshare(name, all({}))),
  );
  command('allow <node...>', 'let others be served by the models of a node', 'models allow box').action(
    async (nodes: string[]) => ends((await import('#src/cli/manage/models/allow.ts')).allowModels(nodes, all({}))),
  );
  command('deny <node...>', 'end that: its models are for its own programs', 'models deny box').action(
    async (nodes: string[]) => ends((await import('#src/cli/manage/models/allow.ts')).denyModels(nodes, all({}))),
  );
  command(
    'route [name]',
    'who would serve a model now and why, or names of your own for models',
    'models route qwen3:8b',
    'models route fast --to qwen3:8b --node box --label gpu=yes',
    'models route fast --remove',
  )
    .option('--to <model>', 'let that name mean this model')
    .option('--node <node>', 'served by this node, and others so named', collect)
    .option('--label <key=value>', 'served by nodes that have this label', collect)
    .option('--remove', 'take that name away')
    .option('--explain', 'who would serve it; the same as without a flag')
    .action(async (name: string | undefined, own: Own<RouteFlags>) =>
      ends((await import('#src/cli/manage/models/route.ts')).route(name, all(own))),
    );
  command('test <model>', 'ask for one word, and see who answers and how fast', 'models test box/qwen3:8b').action(
    async (model: string) => ends((await import('#src/cli/manage/models/test-model.ts')).testModel(model, all({}))),
  );
  command('chat <model> [words...]', 'talk to a model', 'models chat qwen3:8b "why is the sky blue?"')
    .option('--system <text>', 'what it is told before')
    .action(async (model: string, words: string[], own: { system?: string }) =>
      ends((await import('#src/cli/manage/models/chat.ts')).chat(model, words, all(own))),
    );
  command('usage', 'what was used of models', 'models usage', 'models usage --by node --since 7d')
    .addOption(new Option('--by <what>', 'a row for each').choices(['key', 'node', 'model']).default('key'))
    .option('--since <time>', 'for so long (24h, 7d), or from a date (2026-11-01)', '30d')
    .action(async (own: Own<UsageFlags>) =>
      ends((await import('#src/cli/manage/models/usage.ts')).showUsage(all(own))),
    );
  addKeyCommands(models, { ends, all, examples });
}

function addKeyCommands(models: Command, { ends, all, examples }: ModelCommandsParts): void {
  const key = models.command('key').description('keys by which other programs use models and agents');
  key
    .command('create <name>')
    .description('a key for a program; shown once')
    .addHelpText(
      'after',
      examples([
        'models key create cursor',
        'models key create ci --models "qwen*,fast" --budget 100ktokens/day --rpm 60',
        'models key create planner --agents "build-box/*"',
      ]),
    )
    .option('--models <patterns>', 'what it is for; * stands for any part (default: all; with --agents: none)')
    .option('--agents <patterns>', 'agents that it reaches over A2A: NODE/AGENT; * stands for any part')
    .option('--budget <n unit/period>', '100ktokens/day, 500requests/month, 2mtokens/total; all of them hold', collect)
    .option('--rpm <n>', 'requests in a minute', upTo(1_000_000))
    .option('--ttl <time>', `how long it is good (${TIMES}; default: until it is revoked)`)
    .action(async (name: string, own: Own<KeyFlags>) =>
      ends((await import('#src/cli/manage/models/key.ts')).createKey(name, all(own))),
    );
  key
    .command('list')
    .description('the keys that are good for something, and what was spent')
    .action(async () => ends((await import('#src/cli/manage/models/key.ts')).listKeys(all({}))));
  key
    .command('revoke <key>')
    .description('end a key, by its name or id; it lets nothing in from then on')
    .addHelpText('after', examples(['models key revoke ci']))
    .action(async (word: string) => ends((await import('#src/cli/manage/models/key.ts')).revokeKey(word, all({}))));
}

function collect(value: string, before: string[] = []): string[] {
  return [...before, value];
}

function upTo(max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (Number.isInteger(value) && value >= 1 && value <= max) return value;
    throw new InvalidArgumentError(`not a whole number from 1 to ${max}`);
  };
}
