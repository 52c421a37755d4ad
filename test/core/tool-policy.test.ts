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
  [['node:*'], 'node:System.run', 'deny'],
  [['node:*'], 'node:system.execApprovals.set', 'deny'],
  [['node:system.execApprovals.*'], 'node:system.execApprovals.set', 'deny'],
  [['node:*'], 'node:computer.act', 'deny'],
  [['node:computer.act'], 'node:computer.act', 'allow'],
  [['node:*'], 'node:terminal.upload', 'deny'],
  [['node:*'], 'node:mcp.tools.call.v1', 'deny'],
  [['node:*'], 'node:agent.cli.claude.run.v1', 'deny'],
  [['node:*'], 'node:fs.listDir', 'deny'],
  [['*'], 'exec', 'deny'],
  [['ex*'], 'exec', 'deny'],
  [['*'], 'Bash', 'deny'],
  [['*'], 'cron', 'deny'],
  [['*'], 'automations', 'deny'],
  [['*'], 'cluster_exec', 'deny'],
  [['exec'], 'exec', 'allow'],
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

test.each([
  ['exec', 'bash'],
  ['bash', 'exec'],
  ['automations', 'cron'],
  ['cron', 'automations'],
  ['auto*', 'cron'],
  ['IMAGE', 'image'],
  ['image', 'IMAGE'],
  ['node:Camera.*', 'node:camera.snap'],
])('%s denies %s, which is the same tool', (deny, tool) => {
  expect(judgeTool(rules([tool], [deny]), tool).kind).toBe('deny');
});
