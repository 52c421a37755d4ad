import type { Fleet } from '#src/hub/fleet/fleet.ts';

/** What nodes say is wrong with what they share; it ends with their link. */
export interface ShareProblems {
  /** All of a node, in the place of what it said before. */
  put(nodeId: string, problems: readonly string[]): void;
  list(): readonly { readonly nodeId: string; readonly problem: string }[];
}

export function createShareProblems(fleet: Fleet): ShareProblems {
  const nodes = new Map<string, readonly string[]>();
  fleet.changes.on('down', ({ nodeId }) => {
    // Of a link that was replaced, the next one says anew what is wrong.
    if (fleet.link(nodeId) === undefined) nodes.delete(nodeId);
  });
  return {
    put(nodeId, problems) {
      if (problems.length === 0) nodes.delete(nodeId);
      else nodes.set(nodeId, problems);
    },
    list: () => [...nodes].flatMap(([nodeId, problems]) => problems.map((problem) => ({ nodeId, problem }))),
  };
}
