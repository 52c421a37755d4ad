import { expect, test } from 'vitest';
import { judgeTool } from '#src/core/tool-policy.ts';

const rules = (allow: readonly string[], deny: readonly string[] = []) => ({ allow, deny, maxOutputBytes: 1 });

test.each([
  [[], 'image', 'deny'],
  [['image'], 'image', 'allow'],
  [['image'], 'images', 'deny'],
  [['image'], 'IMAGE', 'deny'],
  [['image*'], 'images', 'allow'],
  [['*'], 'image', 'allow'],
  [['*'], 'node:camera.snap', 'deny'],
  [['node:*'], 'node:camera.snap', 'allow'],
  [['node:camera.*'], 'node:screen.record', 'deny'],
  [['node:*'], 'camera.snap', 'deny'],
  [['node:*'], 'node:system.run', 'deny'],
  [['node:system.*'], 'node:system.run.prepare', 'deny'],
  [['node:system.run'], 'node:system.run', 'allow'],
])('with %j allowed, %s is: %s', (allow, tool, kind) => {
  expect(judgeTool(rules(allow), tool).kind).toBe(kind);
});

test.each(['*', 'node:*', 'node:camera.snap', '*camera*'])(
  '%s denies a command that is allowed by its name',
  (deny) => {
    expect(judgeTool(rules(['node:camera.snap'], [deny]), 'node:camera.snap')).toEqual({
      kind: 'deny',
      rule: `deny rule ${JSON.stringify(deny)}`,
    });
  },
);
