import { z } from 'zod';

export const READINESS_STEPS = [
  'admitted',
  'linked',
  'device',
  'reconnected',
  'node-host',
  'surface',
  'commands',
] as const;

/** How far a node that was let in is on its way to be usable. */
export const readinessSchema = z.object({
  id: z.string(),
  name: z.string(),
  fingerprint: z.string(),
  kind: z.enum(['member', 'openclaw']).describe('`openclaw`: it runs only OpenClaw’s own node host or app'),
  usable: z.boolean(),
  steps: z
    .array(
      z.object({
        step: z.enum(READINESS_STEPS),
        done: z.boolean(),
        waitsFor: z.string().nullable().describe('In words; null when it is done'),
        run: z.string().nullable().describe('What to run, and where, so that it goes on'),
      }),
    )
    .describe('In their order; the first that is not done is what all wait for'),
});
export type Readiness = z.infer<typeof readinessSchema>;
