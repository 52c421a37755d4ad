import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Interrupted } from '#src/cli/deploy/question.ts';
import type { Questions } from '#src/cli/deploy/wizard.ts';
import { wizard } from '#src/cli/deploy/wizard.ts';
import { bareMachine } from '../support/facts.ts';
import { fakeTools, screen, watchScreen } from './deploy-tools.ts';

const TOKEN = `ocf1.${'a'.repeat(64)}.${'s'.repeat(43)}`;

beforeEach(() => watchScreen());
afterEach(() => void vi.restoreAllMocks());

/** A person who answers each question by the beginning of a choice, or by a text; wrong ones are asked again. */
function person(answers: readonly (string | null)[]): { questions: Questions; asked: string[]; problems: string[] } {
  const [asked, problems]: [string[], string[]] = [[], []];
  const left = [...answers];
  function answer(question: string): string {
    asked.push(question);
    const next = left.shift() ?? null;
    if (next === null) throw new Interrupted('the person left');
    return next;
  }
  async function write(question: string, check: (text: string) => string | null): Promise<string> {
    for (;;) {
      const text = answer(question);
      const problem = check(text);
      if (problem === null) return text;
      problems.push(problem);
    }
  }
  const questions: Questions = {
    async choose(question, choices) {
      const word = answer(question);
      const choice = choices.find(({ name }) => name.startsWith(word));
      if (choice === undefined) throw new Error(`no ${word} among ${choices.map(({ name }) => name).join(', ')}`);
      return choice.value;
    },
    write,
    writeHidden: write,
  };
  return { questions, asked, problems };
}

/** Without a terminal the last question, whether to do it, can’t be asked: nothing is done. */
const NOT_CONFIRMED = expect.objectContaining({ code: 'CONFIRMATION_NEEDED' }) as object;

test('the wizard offers the machines of the tailnet as the master, and shows the plan before anything is done', async () => {
  const tools = fakeTools({ facts: bareMachine() });
  const { questions, asked } = person(['worker', 'vps.tail.example', TOKEN, 'no']);
  await expect(wizard(tools, () => questions)).rejects.toEqual(NOT_CONFIRMED);
  expect(asked).toEqual([
    'What shall this machine become?',
    'Which machine is the master?',
    'Join token (empty: wait for approval)',
    'With OpenClaw’s node host (camera, screen, browser)?',
  ]);
  expect(screen.stderr).toContain('to do       the worker may join\n            - put the join token into');
  expect(screen.stderr).not.toContain('OpenClaw 2026.9.6 is installed');
  expect(screen.stderr).not.toContain(TOKEN);
  expect(tools.log.some((line) => line.startsWith('apply'))).toBe(false);
});

test('the wizard asks again for an address or a token that is none', async () => {
  const tools = fakeTools({ facts: bareMachine({ tailscale: { peers: [] } }) });
  const { questions, problems } = person(['hybrid', 'my vps', '100.64.0.1', 'hello', '', 'yes']);
  await expect(wizard(tools, () => questions)).rejects.toEqual(NOT_CONFIRMED);
  expect(problems).toEqual([
    expect.stringContaining('"my vps" names no machine'),
    expect.stringContaining('this is not a join token'),
  ]);
  expect(screen.stderr).toContain('OpenClaw 2026.9.6 is installed');
});

test('the wizard asks nothing more of a master', async () => {
  const { questions, asked } = person(['master']);
  await expect(wizard(fakeTools({ facts: bareMachine() }), () => questions)).rejects.toEqual(NOT_CONFIRMED);
  expect(asked).toEqual(['What shall this machine become?']);
});

test('the wizard says what the machine does not allow before it asks for the rest', async () => {
  const facts = bareMachine({ tailscale: { installed: null, state: null } }, 'user');
  const { questions, asked } = person(['worker']);
  await expect(wizard(fakeTools({ facts }), () => questions)).rejects.toMatchObject({
    message: 'Tailscale is not installed',
    hint: 'deploy with sudo; or do without a tailnet: --no-tailscale',
  });
  expect(asked).toEqual(['What shall this machine become?']);
});

test('who leaves the wizard has changed nothing', async () => {
  const tools = fakeTools({ facts: bareMachine() });
  expect(await wizard(tools, () => person([null]).questions)).toBe(130);
  expect(screen.stderr).toBe('stopped; nothing was changed\n');
  expect(tools.log).toEqual(['reach this machine', 'gather any -', 'close']);
});
