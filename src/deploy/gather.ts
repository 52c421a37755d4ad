import { join } from 'node:path/posix';
import { z } from 'zod';
import type { Machine } from '#src/adapters/machine/machine.ts';
import { FederationError } from '#src/core/errors.ts';
import { WORKER_RECORD_FILE } from '#src/core/worker-record.ts';
import type { Facts } from '#src/deploy/facts.ts';
import { ask, count } from '#src/deploy/gathering/answers.ts';
import { gatewayOf } from '#src/deploy/gathering/gateway.ts';
import { filesOf, foldersOf, inquiriesFor, linksOf, programsQuestion } from '#src/deploy/gathering/inquiries.ts';
import type { Login } from '#src/deploy/gathering/machine.ts';
import { checkUserName, hasUser, loginOf, machineOf, personOf } from '#src/deploy/gathering/machine.ts';
import { fileAt, folderAt, linkAt, workerAt } from '#src/deploy/gathering/paths.ts';
import { listeningPorts } from '#src/deploy/gathering/ports.ts';
import { programsOf } from '#src/deploy/gathering/programs.ts';
import { tailscaleOf } from '#src/deploy/gathering/tailscale.ts';
import { unitQuestions, unitState } from '#src/deploy/gathering/units.ts';
import type { Scope } from '#src/deploy/place.ts';
import { placeOf } from '#src/deploy/place.ts';
import { readRecord } from '#src/deploy/record/file.ts';

export interface Asked {
  /** Null: `system` as root, and by ssh for who becomes root without a password; else `user`. */
  readonly scope: Scope | null;
  /** Null: whom root has deployed the machine for, else who deploys. */
  readonly runAs: string | null;
}

/**
 * How a machine stands; nothing of it is changed. Texts of files are among the facts, secret ones too: they are for
 * comparing and merging, never for a log. Throws USAGE for a user that it hasn’t, MACHINE_UNSUPPORTED where it can’t be
 * looked at, SETTINGS_INVALID for a file that nobody wrote, STORE_DAMAGED for a record that can’t be trusted, and as Machine.run.
 */
export async function gatherFacts(machine: Machine, { scope, runAs }: Asked, signal: AbortSignal): Promise<Facts> {
  if (runAs !== null) checkUserName(runAs);
  const who = await ask(
    machine,
    [{ as: 'login', questions: [['machine'], ['login'], ['person', runAs ?? '']] }],
    signal,
  );
  const known = machineOf(who);
  if (known.machine.platform !== 'linux') throw notLinux(machine, known.machine.platform);
  const login = loginOf(who);
  const { person, shell, linger } = personOf(who, machine, runAs);
  const place = placeOf(scope ?? scopeFor(machine, login), person);
  const [answers, record] = await Promise.all([
    ask(machine, inquiriesFor(place, login, person, shell), signal),
    readRecord({ machine, place, person, signal }),
  ]);
  const deployedFor = record?.wanted.runAs ?? null;
  if (place.scope === 'system' && runAs === null && deployedFor !== null && deployedFor !== person.name) {
    return gatherFacts(machine, { scope: place.scope, runAs: deployedFor }, signal);
  }

  const files = new Map(filesOf(place).map((path) => [path, fileAt(answers, path)]));
  const units = new Map(
    [...unitQuestions('system'), ...unitQuestions('user')].map((asked) => [
      `${asked[1]}/${asked[2]}`,
      unitState(answers, asked),
    ]),
  );
  const ports = listeningPorts(answers);
  return {
    machine: { ...known.machine, freeBytes: answers.to(['free', place.prefix], freeSchema).kilobytes * 1024 },
    login,
    person,
    place,
    systemd: { ...known.systemd, linger },
    tailscale: tailscaleOf(answers),
    ...(await programsOf(answers, programsQuestion(place, shell), { machine, scope: place.scope, signal })),
    gateway: gatewayOf(answers, { place, record, files, units, ports }),
    files,
    folders: new Map(foldersOf(place).map((path) => [path, folderAt(answers, path)])),
    links: new Map(linksOf(place).map((path) => [path, linkAt(answers, path)])),
    units,
    hubUserExists: place.hubUser !== null && hasUser(answers, place.hubUser),
    ports,
    record,
    worker: workerAt(answers, join(place.workerHome, WORKER_RECORD_FILE)),
  };
}

const freeSchema = z.object({ kilobytes: count });

function notLinux({ name }: Machine, platform: string): FederationError {
  return new FederationError('MACHINE_UNSUPPORTED', `${name} runs ${platform}, which has no systemd`, {
    hint: 'run the daemon itself (--foreground), or deploy on a Linux machine from here: --ssh user@host',
  });
}

/** A person’s own machine is left as it is outside their home, unless they say sudo; one that ssh reaches is a server. */
function scopeFor({ isLocal }: Machine, { root, sudo }: Login): Scope {
  return root || (sudo && !isLocal) ? 'system' : 'user';
}
