import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { OUTCOMES, execExitCode } from '#src/core/outcome.ts';
import { describeSettings } from '#src/core/settings.ts';

const ROOT = resolve(import.meta.dirname, '../..');

describe('docs/settings.md', () => {
  it('is what the schema of the settings says', async () => {
    await expect(settingsPage()).toMatchFileSnapshot(resolve(ROOT, 'docs/settings.md'));
  });
});

function settingsPage(): string {
  const rows = describeSettings().map(
    ({ path, environment, meaning, fallback }) =>
      `| \`${path}\` | ${fallback === undefined ? '' : `\`${JSON.stringify(fallback)}\``} | ${meaning} | \`${environment}\` |`,
  );
  return `${SETTINGS_INTRODUCTION}\n${rows.join('\n')}\n`;
}

const SETTINGS_INTRODUCTION = `# Settings

They stand in \`settings.yaml\` in the home of the process, nested as the dots say. A flag counts before the
environment, the environment before the file, the file before the default. The text of an environment variable is read
as YAML. An unknown key, or a value that does not fit, is an error that names its path.

    role: worker
    worker:
      hub: 100.64.0.1:19000
      exec:
        mode: allowlist
        allow:
          - [systemctl, status, '*']
          - [df, '**']

| setting | default | meaning | environment |
|---|---|---|---|`;

describe('docs/outcomes.md', () => {
  it('has a row for every outcome, in their order', async () => {
    const page = await readFile(resolve(ROOT, 'docs/outcomes.md'), 'utf8');
    expect([...page.matchAll(/^\| `(\w+)` \|/gm)].map(([, outcome]) => outcome)).toEqual(OUTCOMES);
  });

  it.each(OUTCOMES.filter((outcome) => outcome !== 'failed' && outcome !== 'signaled'))(
    'gives the exit code of %s',
    async (outcome) => {
      const page = await readFile(resolve(ROOT, 'docs/outcomes.md'), 'utf8');
      const code = execExitCode({ outcome, exitCode: outcome === 'ok' ? 0 : null, signal: null });
      expect(page).toMatch(new RegExp(`^\\| \`${outcome}\` \\|.*\\| ${code} \\|$`, 'm'));
    },
  );
});
