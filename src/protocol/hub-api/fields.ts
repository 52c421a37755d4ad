import { z } from 'zod';
import { isLabelKey, isLabelValue } from '#src/core/label.ts';
import { isNodeName } from '#src/core/node.ts';

/** What the hub answers and takes under /api/v1. Times are ISO 8601 in UTC. */
export const time = z.iso.datetime();

export const labelKey = z.string().refine(isLabelKey, 'a label is a-z, 0-9 and ._/-, and not self/…');

export const labelValue = z.string().refine(isLabelValue, 'at most 256 characters in one line');

export const labels = z.record(labelKey, labelValue);

export const groupName = z.string().refine(isNodeName, 'a group is named as a node is');

export const tailnetMachine = z.object({
  stableId: z.string(),
  name: z.string(),
  user: z.string().nullable().describe('Null for a tagged machine, which belongs to nobody'),
  tags: z.array(z.string()),
});
