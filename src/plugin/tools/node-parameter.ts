import { z } from 'zod';

/** How the agent names the machine that a person means. */
export const nodeParameter = z
  .string()
  .min(1)
  .max(384)
  .describe('Name of the machine as the person says it (see cluster_peers), or its id or the beginning of the id');
