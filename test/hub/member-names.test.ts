import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openSqliteStore } from '#src/adapters/store/sqlite.ts';
import type { Store } from '#src/adapters/store/store.ts';
import { createMembers } from '#src/hub/enrolment/members.ts';
import type { Members } from '#src/hub/enrolment/members.ts';
import { openMembership } from '#src/hub/enrolment/membership.ts';
import { SILENT_LOG, aMember } from '../support/member.ts';

let directory: string;
let store: Store;
let members: Members;
let others: { name: string }[];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ocf-member-names-'));
  store = openSqliteStore(join(directory, 'hub.sqlite'));
  const membership = await openMembership({ store, log: SILENT_LOG });
  await membership.commit([{ type: 'changed', member: aMember({ name: 'attic' }) }], []);
  others = [];
  members = createMembers({ membership, waiting: () => [], others: () => others, log: SILENT_LOG });
});

afterEach(async () => {
  await store.close();
  await rm(directory, { recursive: true });
});

test.each(['cellar', 'Cellar', 'cellar\u3164', 'cel\u2060lar', ' CELLAR\u2800'])(
  'a member is not given the name of one of OpenClaw’s own nodes, also where that says %j',
  async (name) => {
    others = [{ name }];
    await expect(members.rename('attic', 'cellar', 'kim')).rejects.toMatchObject({ code: 'NAME_TAKEN' });
    expect((await members.rename('attic', 'loft', 'kim')).name).toBe('loft');
  },
);
