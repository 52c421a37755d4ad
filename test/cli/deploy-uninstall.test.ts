import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { main } from '#src/cli/deploy.ts';
import type { Action } from '#src/deploy/action.ts';
import type { RecordEntry } from '#src/deploy/record/record.ts';
import { undoSteps } from '#src/deploy/undo.ts';
import { bareMachine, healthyMaster } from '../support/facts.ts';
import { fakeTools, screen, watchScreen } from './deploy-tools.ts';

beforeEach(() => watchScreen());
afterEach(() => void vi.restoreAllMocks());

const absent = { original: { was: 'absent' }, missing: [] };
const unit = (name: string): Action => ({
  ...{ do: 'unit', unit: { name, scope: 'system' } },
  ...{ want: { enabled: true, active: true }, restart: false },
});
const entry = (step: string, action: Action, before: unknown): RecordEntry => ({
  ...{ key: `${step} ${JSON.stringify(action)}`, step, action, before },
  ...{ wrote: [], state: 'done' },
});

const HUB_HOME = '/var/lib/openclaw-federation';
const UNIT = '/etc/systemd/system/federation-hub.service';
const entries: readonly RecordEntry[] = [
  entry('tailnet', { do: 'tailnet', authKeyFile: null, loginServer: null, hostname: null }, { state: 'NeedsLogin' }),
  entry('program', { do: 'release', path: '/opt/openclaw-federation/releases/0.1.0-abcdef', owner: 'root' }, null),
  entry('hub-user', { do: 'user', name: 'openclaw-federation', home: HUB_HOME }, { existed: false }),
  entry('hub-home', { do: 'folder', path: HUB_HOME, mode: 0o700, owner: 'hub' }, { was: 'absent', missing: [] }),
  entry('hub', { do: 'write', path: UNIT, mode: 0o644, owner: 'root', text: '' }, absent),
  entry('hub', { do: 'reload', scope: 'system' }, null),
  entry('hub', unit('federation-hub.service'), { enabled: 'not-found', active: false }),
  entry('gateway', unit('openclaw-gateway.service'), { enabled: 'enabled', active: true }),
];

async function consented(...argv: readonly string[]): Promise<string> {
  const facts = healthyMaster({ record: { entries } });
  expect(await main(['uninstall', ...argv], async () => fakeTools({ facts }))).toBe(2);
  return screen.stderr;
}

test('before a master is taken away, it is said what each line does and what is lost', async () => {
  expect(await consented()).toMatchInlineSnapshot(`
    "deployed as master; this is taken back, the last first:
      - let openclaw-gateway.service run as before
      - stop and disable federation-hub.service
      - delete /etc/systemd/system/federation-hub.service
      - delete the folder /var/lib/openclaw-federation and all in it: members, jobs, audit, the hub’s key (--keep-data keeps them)
      - delete the system user openclaw-federation
      - delete our programs in /opt/openclaw-federation/releases
      - take the machine out of the tailnet
      - let systemd read its units
    error: there is no terminal to ask on; nothing was done
      try: add --yes
    "
  `);
});

test('what is kept is not among what is taken back', async () => {
  expect(await consented('--keep-data')).not.toContain(HUB_HOME);
});

test('the steps of taking back are in the order in which they end', () => {
  const { place, record } = healthyMaster({ record: { entries } });
  expect(undoSteps(record!, place, { keepData: true, keepTailscale: false })).toEqual([
    ...['gateway', 'hub', 'program', 'tailnet', 'reload'],
  ]);
});

test('root is told of what a person has deployed without root', async () => {
  const own = '/home/sam/.local/share/openclaw-federation/deployment';
  const facts = bareMachine({ folders: [[own, { mode: 0o700, owner: 'sam' }]] });
  for (const command of ['doctor', 'uninstall']) {
    screen.stderr = '';
    expect(await main([command], async () => fakeTools({ facts }))).toBe(2);
    expect(screen.stderr).toBe(
      `error: root deployed nothing here; sam did, for themselves\n  try: as sam: deploy-federation ${command} --user\n`,
    );
  }
});
