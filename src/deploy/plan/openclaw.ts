import { join } from 'node:path/posix';
import type { Action, Step } from '#src/deploy/action.ts';
import { FederationError } from '#src/core/errors.ts';
import type { Facts } from '#src/deploy/facts.ts';
import { supportsOpenClaw } from '#src/deploy/openclaw-version.ts';
import { needed } from '#src/deploy/plan/already.ts';
import type { Given } from '#src/deploy/plan/given.ts';
import { nodeFolder } from '#src/deploy/plan/node.ts';
import { programOwner } from '#src/deploy/plan/program.ts';
import type { Wanted } from '#src/deploy/wanted.ts';
import { shellWord } from '#src/core/shell-word.ts';

/** The openclaw program that the units run. */
export function openclawProgram({ openclaw, place }: Facts): string {
  return openclaw === null ? ownProgram(place.openclaw) : openclaw.program;
}

function ownProgram(prefix: string): string {
  return join(prefix, 'bin/openclaw');
}

/**
 * OpenClaw is there in a version that we know. Throws OPENCLAW_UNSUPPORTED for one of the person's that is not: it is
 * theirs to update.
 */
export function openclawStep(facts: Facts, wanted: Wanted, given: Given): Step {
  const { openclaw, place } = facts;
  const isOurs = openclaw?.program === ownProgram(place.openclaw);
  if (openclaw !== null && !isOurs && !supportsOpenClaw(openclaw.version)) {
    throw new FederationError('OPENCLAW_UNSUPPORTED', `OpenClaw ${openclaw.version} is not supported`, {
      hint: `npm install --global openclaw@${wanted.openclawVersion}, or go without it: --light`,
    });
  }
  const isThere = openclaw !== null && (!isOurs || openclaw.version === wanted.openclawVersion);
  const version = isThere ? openclaw.version : wanted.openclawVersion;
  return {
    id: 'openclaw',
    title: `OpenClaw ${version} is installed`,
    actions: isThere ? [] : needed(facts, installation(facts, wanted, given)),
  };
}

function installation(facts: Facts, { openclawVersion, role }: Wanted, given: Given): Action[] {
  const { place } = facts;
  const owner = programOwner(facts);
  const program = ownProgram(place.openclaw);
  const command: Action = {
    do: 'write',
    path: join(place.commands, 'openclaw'),
    mode: 0o755,
    owner,
    // Its own first line asks for a Node that is on PATH, which may be too old for it.
    text: `#!/bin/sh\nPATH=${shellWord(nodeFolder(facts, given))}:$PATH exec ${shellWord(program)} "$@"\n`,
  };
  const cache = join(place.openclaw, 'npm-cache');
  return [
    { do: 'folder', path: place.openclaw, mode: 0o755, owner },
    {
      do: 'run',
      title: `Install OpenClaw ${openclawVersion}`,
      argv: [
        join(place.bin, 'npm'),
        'install',
        '--global',
        `--prefix=${place.openclaw}`,
        // OpenClaw's own scripts make it usable for others than the owner of its files; no other package's run.
        '--ignore-scripts=false',
        '--allow-scripts=@google/genai,koffi,protobufjs,openclaw',
        `--cache=${cache}`,
        '--no-audit',
        '--no-fund',
        '--no-update-notifier',
        `openclaw@${openclawVersion}`,
      ],
      owner,
      undo: null,
      hint: 'check that npm’s registry can be reached from there; or go without OpenClaw: --light',
    },
    {
      do: 'run',
      title: 'Forget what npm fetched',
      argv: ['rm', '-rf', cache],
      owner,
      undo: null,
      hint: 'run this again',
    },
    // On a master the person works with it; elsewhere only the worker daemon does.
    ...(role === 'master' ? [command] : []),
  ];
}
