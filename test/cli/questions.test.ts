import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { main as manage } from '#src/cli/manage.ts';
import { eventually } from '../support/eventually.ts';
import type { ScriptedHub } from '../support/scripted-hub.ts';
import { scriptedHub } from '../support/scripted-hub.ts';
import { onTerminal, screen } from '../support/screen.ts';

let hub: ScriptedHub;
let seen: ReturnType<typeof screen>;
let keyboard: PassThrough;

beforeEach(async () => {
  hub = await scriptedHub();
  seen = screen();
  keyboard = Object.assign(new PassThrough(), { isTTY: true });
  vi.spyOn(process, 'stdin', 'get').mockReturnValue(keyboard as unknown as typeof process.stdin);
});
afterEach(async () => {
  vi.restoreAllMocks();
  await hub.close();
});

const GHOST = { id: 'a'.repeat(64), name: 'old', kind: 'member', reason: 'unseen', lastSeenAt: null, problem: null };
const ELEVEN = Array.from({ length: 11 }, (_, at) => ({
  ...{ node: `n${at}`, id: `n${at}`, online: true, verdict: 'allow', rule: 'operator' },
}));

/** Answers with `keys` when the question is there; resolves with the exit code. */
function answered(argv: readonly string[], keys: string): Promise<number> {
  hub.answers.set('GET /nodes/pi', { id: 'p', name: 'pi', role: 'worker', state: 'online', fingerprint: 'f' });
  hub.answers.set('POST /prune', { ghosts: [GHOST], done: false, unasked: null });
  hub.answers.set('POST /verdicts', { targets: ELEVEN, leftOut: [], approval: null });
  return onTerminal({ columns: 80 }, async () => {
    const running = manage(['--home', hub.home, ...argv]);
    await eventually('it asks', async () => seen.stderr.includes('[y/N] '));
    if (keys === '') keyboard.end();
    else keyboard.write(keys);
    return running;
  });
}

const LOOKS = ['POST /prune', 'POST /verdicts'];
const changing = () => hub.asked.filter((what) => what.startsWith('POST') && !LOOKS.includes(what));

test.each([[['revoke', 'pi']], [['prune']], [['broadcast', '--', 'true']]])(
  'Ctrl-C at the question of %j says that nothing was done',
  async (argv) => {
    expect(await answered(argv, '\u0003')).toBe(130);
    expect(seen.stderr.slice(seen.stderr.indexOf('[y/N] ')).split('\n').slice(1)).toEqual(['nothing was done', '']);
    expect(changing()).toEqual([]);
  },
);

test.each(['n\n', '\n', ''])('%j is no yes', async (keys) => {
  expect(await answered(['revoke', 'pi'], keys)).toBe(2);
  expect(seen.stderr).toContain('error: not confirmed; nothing was done\n');
  expect(changing()).toEqual([]);
});
