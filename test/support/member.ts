import type { Member } from '#src/core/member.ts';

export function aMember(changed: Partial<Member> = {}): Member {
  const name = changed.name ?? 'home-server';
  return {
    id: 'a'.repeat(64),
    name,
    role: 'worker',
    publicKey: 'k'.repeat(43),
    ...{ formerId: null, rotations: [], tailnet: null, groups: [], drained: false, pruned: false },
    labels: {},
    facts: {
      ...{ name, role: 'worker', version: '0.1.0', platform: 'linux', arch: 'x64', openclaw: null },
      ...{ offers: ['exec', 'node-host'], commands: [] },
    },
    granted: ['exec', 'node-host'],
    grantedCommands: [],
    grantedModels: true,
    ...{ leaving: [], setupCodes: [] },
    approvedAt: 0,
    approvedBy: 'test',
    lastSeenAt: 0,
    revokedAt: null,
    openclaw: null,
    ...changed,
  };
}

export const SILENT_LOG = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => SILENT_LOG,
};
