import type { Deployed } from '#src/deploy/doctor/deployed.ts';
import type { MachineFinding } from '#src/deploy/doctor/finding.ts';
import { asRoot } from '#src/deploy/as-root.ts';
import type { Facts } from '#src/deploy/facts.ts';
import { shellWord } from '#src/core/shell-word.ts';

/** Whether this version understands the settings of the daemons here. */
export function checkSettings(facts: Facts, { homes }: Deployed): MachineFinding[] {
  return homes.map(({ file, owner, settings: { problems } }): MachineFinding => {
    const check = `settings ${file}`;
    if (problems.length === 0) return { check, state: 'ok', found: 'understood' };
    const edit = `\${EDITOR:-vi} ${shellWord(file)}`;
    return {
      check,
      state: 'fail',
      found: problems.join('; '),
      why: 'the daemon does not start with settings that it does not understand',
      mend: facts.login.name === owner ? edit : asRoot(facts, edit),
    };
  });
}

/** Whom the worker lets run what: not wrong, and to be known. */
export function checkExec({ person }: Facts, { worker, isMaster }: Deployed): MachineFinding[] {
  const exec = worker.settings.settings?.worker.exec;
  if (exec === undefined) return [];
  const check = 'exec';
  switch (exec.mode) {
    case 'full':
      return [
        {
          check,
          state: isMaster ? 'warn' : 'ok',
          found: `the master’s operator may run any command here as ${person.name}`,
          why:
            person.uid === 0
              ? 'that is root: this machine is as safe as the master'
              : 'this machine is as safe as the master',
          mend: `worker.exec.mode: allowlist in ${worker.file}, or --exec allowlist at the next deployment`,
        },
      ];
    case 'allowlist':
      return [
        { check, state: 'ok', found: exec.allow.length === 0 ? NOTHING : listText(exec.allow.length, person.name) },
      ];
    case 'off':
      return [{ check, state: 'ok', found: NOTHING }];
  }
}

const NOTHING = 'nothing may be run here';

function listText(count: number, name: string): string {
  return `what ${count === 1 ? 'one rule allows' : `${count} rules allow`} may be run here as ${name}`;
}
