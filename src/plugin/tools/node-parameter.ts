import { z } from 'zod';
import { parseSelector } from '#src/core/selector.ts';

/** How the agent names the one machine that a person means; words that mean several are refused before anything is asked. */
export const nodeParameter = z
  .string()
  .min(1)
  .max(384)
  .refine((word) => parseSelector(word).kind === 'node', 'names a group or a label: that is for cluster_broadcast')
  .describe('Name of the machine as the person says it (see cluster_peers), or its id or the beginning of the id');
