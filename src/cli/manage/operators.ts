import { homePath, openHome } from '#src/adapters/home.ts';
import { readLogin } from '#src/adapters/login-file.ts';
import { say } from '#src/adapters/terminal.ts';
import type { GlobalFlags } from '#src/cli/manage/context.ts';
import { hubOf } from '#src/cli/manage/context.ts';
import { keyOf, loggedInHub } from '#src/cli/manage/logged-in.ts';
import { ago, printJson, printTable } from '#src/cli/print.ts';
import { FederationError } from '#src/core/errors.ts';
import type { Login } from '#src/core/login.ts';
import { LOGIN_FILE, OPERATOR_KEY_FILE } from '#src/core/login.ts';
import type { OperatorView } from '#src/protocol/hub-api/operator.ts';

/** `manage-federation operators` */
export async function listOperators(flags: GlobalFlags): Promise<number> {
  const operators = await (await hubOf(flags)).ask<OperatorView[]>('GET', '/operators');
  if (flags.json === true) printJson(operators);
  else if (operators.length === 0) say('nobody operates from another machine; there: manage-federation login HUB');
  else {
    printTable(
      ['NAME', 'MACHINE', 'OF', 'FINGERPRINT', 'APPROVED', 'BY'],
      operators.map(({ name, tailnet, fingerprint, approvedAt, approvedBy }) => [
        name,
        tailnet?.name ?? '-',
        tailnet === null ? '-' : tailnet.tags.length > 0 ? tailnet.tags.join(' ') : (tailnet.user ?? '-'),
        fingerprint,
        ago(approvedAt),
        approvedBy,
      ]),
    );
  }
  return 0;
}

/** `manage-federation operators revoke WORD` */
export async function revokeOperator(word: string, flags: GlobalFlags): Promise<number> {
  const path = `/operators/${encodeURIComponent(word)}/revoke`;
  const operator = await (await hubOf(flags)).ask<OperatorView>('POST', path);
  if (flags.json === true) printJson(operator);
  else say(`revoked ${operator.name} (${operator.fingerprint}); what it ran has ended`);
  return 0;
}

/** `manage-federation logout`: the hub forgets the key where it can be told, and this machine in any case. */
export async function logout(flags: GlobalFlags): Promise<number> {
  const home = await openHome(homePath(flags.home));
  const key = await keyOf(home).catch(() => null);
  const login = loginIn(home.path);
  if (login === null && key === null && (await home.read(LOGIN_FILE)) === null) {
    throw new FederationError('NOT_FOUND', 'nobody is logged in here', { hint: 'manage-federation login HUB' });
  }
  const problem = login === null || key === null ? null : await forgotten(home.path, login, key.id);
  await home.remove(LOGIN_FILE);
  await home.remove(OPERATOR_KEY_FILE);
  if (flags.json === true) printJson({ hub: login?.hub ?? null, revoked: problem === null && login !== null, problem });
  else say('logged out: this machine’s key is gone');
  if (problem !== null && login !== null) {
    say(`the hub could not be told (${problem}); on the master: manage-federation operators revoke ${login.name}`);
  }
  return 0;
}

/** What can't be read is no reason to stay. */
function loginIn(home: string): Login | null {
  try {
    return readLogin(home);
  } catch {
    return null;
  }
}

/** Why the hub does not know that the key is no more; null where it does. */
async function forgotten(home: string, login: Login, keyId: string): Promise<string | null> {
  try {
    await (await loggedInHub(home, login)).ask('POST', `/operators/${keyId}/revoke`);
    return null;
  } catch (error) {
    if (!(error instanceof FederationError)) throw error;
    return error.code === 'REVOKED' ? null : error.message;
  }
}
