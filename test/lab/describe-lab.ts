import { describe, inject } from 'vitest';
import type { Part } from './obstacles.ts';

/** Tests that need the lab, or a part of it. Where the host lacks it they are skipped, and their name says why. */
export function describeLab(name: string, part: Part, tests: () => void): void {
  const obstacle = inject('obstacles')[part];
  const reason = obstacle === null ? '' : ` (not run: ${obstacle})`;
  describe.skipIf(obstacle !== null)(`${name}${reason}`, () => {
    tests();
  });
}
