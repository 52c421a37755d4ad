import { stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { homePath } from '#src/adapters/home.ts';
import type { HubApi } from '#src/adapters/hub.ts';
import type { GlobalFlags } from '#src/cli/manage/context.ts';
import { hubOf, isOnMachine } from '#src/cli/manage/context.ts';
import { LIFT, lockdownText } from '#src/cli/manage/lockdown.ts';
import { printFindings } from '#src/cli/finding.ts';
import { FederationError } from '#src/core/errors.ts';
import type { Finding } from '#src/core/finding.ts';
import type { AuditVerdict } from '#src/protocol/hub-api/audit.ts';
import type { NodeView } from '#src/protocol/hub-api/node.ts';
import type { PairingRequestView } from '#src/protocol/hub-api/pairing-request.ts';
import type { Status } from '#src/protocol/hub-api/status.ts';

const MIN_FREE_BYTES = 256 << 20;

/** `manage-federation doctor`: exit code 1 when something is broken. */
export async function doctor(flags: GlobalFlags): Promise<number> {
  const home = isOnMachine(flags) ? [] : await homeFindings(homePath(flags.home));
  const findings = [...home, ...(await hubFindings(flags))];
  return printFindings(findings, { json: flags.json === true });
}

async function homeFindings(home: string): Promise<Finding[]> {
  const found = await stat(home).catch((error: unknown) => error as NodeJS.ErrnoException);
  if (found instanceof Error) {
    if (found.code === 'EACCES') return [othersHome(home)];
    return [
      { check: 'home', state: 'fail', found: `${home} does not exist`, mend: 'deploy-federation local, or --home' },
    ];
  }
  const me = process.getuid?.() ?? found.uid;
  if (me !== 0 && me !== found.uid) return [othersHome(home)];
  const { bavail, bsize } = await statfs(home);
  const free = bavail * bsize;
  const closed = (found.mode & 0o077) === 0;
  const secrets = await stat(join(home, 'hub.key')).catch(() => null);
  const secret = secrets === null || (secrets.mode & 0o077) === 0;
  return [
    closed && secret
      ? { check: 'permissions', state: 'ok', found: `${home} is for its owner alone` }
      : {
          check: 'permissions',
          state: 'fail',
          found: `others can read ${home}`,
          why: 'whoever has the hub’s key can be the hub',
          mend: `chmod -R go-rwx ${home}`,
        },
    free >= MIN_FREE_BYTES
      ? { check: 'disk', state: 'ok', found: freeText(free) }
      : {
          check: 'disk',
          state: 'warn',
          found: freeText(free),
          why: 'a job that can’t be recorded is not run',
          mend: 'make room',
        },
  ];
}

function othersHome(home: string): Finding {
  return { check: 'home', state: 'fail', found: `${home} belongs to another user`, mend: 'run this as that user' };
}

/** `512 MiB free`, `76.8 GiB free`. */
function freeText(bytes: number): string {
  return bytes < 1 << 30 ? `${Math.round(bytes / (1 << 20))} MiB free` : `${(bytes / (1 << 30)).toFixed(1)} GiB free`;
}

async function hubFindings(flags: GlobalFlags): Promise<Finding[]> {
  try {
    const hub = await hubOf(flags);
    const status = await hub.ask<Status>('GET', '/status');
    return [
      { check: 'hub', state: 'ok', found: `process ${status.pid}, version ${status.version}` },
      ...lockdownFindings(status),
      gatewayFinding(status),
      ...(await nodeFindings(hub)),
      ...(await pendingFindings(hub)),
      await auditFinding(hub),
    ];
  } catch (error) {
    if (!(error instanceof FederationError)) throw error;
    return [
      {
        check: 'hub',
        state: 'fail',
        found: error.message,
        why: 'without the hub no command reaches any node',
        ...(error.hint === undefined ? {} : { mend: error.hint }),
      },
    ];
  }
}

function lockdownFindings({ lockdown }: Status): Finding[] {
  if (lockdown === null) return [];
  const why = 'no command runs on any node, and no node host reaches the gateway';
  return [{ check: 'lockdown', state: 'warn', found: lockdownText(lockdown), why, mend: LIFT }];
}

function gatewayFinding({ gateway }: Status): Finding {
  switch (gateway.state) {
    case 'absent':
      return { check: 'gateway', state: 'ok', found: 'none is wanted' };
    case 'connected':
      return { check: 'gateway', state: 'ok', found: `OpenClaw ${gateway.version ?? ''} at ${gateway.url}` };
    case 'disconnected':
      return {
        check: 'gateway',
        state: 'fail',
        found: gateway.problem ?? 'not connected',
        why: 'node hosts can’t join, and their state is not known',
        mend: 'start OpenClaw’s gateway; check gateway.url and gateway.tokenFile',
      };
  }
}

async function nodeFindings(hub: HubApi): Promise<Finding[]> {
  const nodes = await hub.ask<NodeView[]>('GET', '/nodes');
  return nodes
    .filter(({ state }) => state !== 'revoked')
    .map((node): Finding => {
      const check = `node ${node.name}`;
      if (node.state !== 'online') {
        return {
          check,
          state: 'warn',
          found: node.state,
          why: 'nothing can be run there',
          mend: `on ${node.name}: sudo deploy-federation doctor`,
        };
      }
      if (['none', 'connected'].includes(node.openclaw.nodeHost)) return { check, state: 'ok', found: 'online' };
      return {
        check,
        state: 'warn',
        found: `online, its node host is ${node.openclaw.nodeHost}`,
        why: 'the agent can’t use OpenClaw’s own commands there',
        mend: `wait a minute, then on ${node.name}: sudo journalctl -u openclaw-worker -n 20`,
      };
    });
}

async function pendingFindings(hub: HubApi): Promise<Finding[]> {
  const waiting = (await hub.ask<PairingRequestView[]>('GET', '/pairing-requests')).filter(({ rejected }) => !rejected);
  if (waiting.length === 0) return [{ check: 'pending', state: 'ok', found: 'no node waits' }];
  return [
    {
      check: 'pending',
      state: 'warn',
      found: `${waiting.map(({ name }) => name).join(', ')} ${waiting.length === 1 ? 'waits' : 'wait'} for approval`,
      mend: 'manage-federation pending',
    },
  ];
}

async function auditFinding(hub: HubApi): Promise<Finding> {
  const { whole, records, fault } = await hub.ask<AuditVerdict>('GET', '/audit/verdict');
  if (whole) return { check: 'audit', state: 'ok', found: `${records} records, whole` };
  return {
    check: 'audit',
    state: 'fail',
    found: `record ${fault?.seq} ${fault?.problem}`,
    why: 'somebody changed what the audit says happened',
    mend: 'compare with a backup of hub.sqlite',
  };
}
