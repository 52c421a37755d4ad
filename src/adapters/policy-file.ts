import type { Home } from '#src/adapters/home.ts';
import type { YamlText } from '#src/adapters/yaml-file.ts';
import { followYamlFile } from '#src/adapters/yaml-file.ts';

export const POLICY_FILE = 'approval-policy.yaml';

/** What the file holds, not looked into. */
export type PolicyText = YamlText;

/** The policy file of a home, at once and whenever it changes, comes or goes; ends when `signal` is aborted. */
export function followPolicyFile(home: Home, signal: AbortSignal): AsyncGenerator<PolicyText> {
  return followYamlFile(home, POLICY_FILE, signal);
}
