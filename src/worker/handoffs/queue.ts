/** Who waits for an agent, and who has it: in the order of their coming, and for each agent by itself. */
export interface AgentQueue {
  /** Whether one more may wait, or begin. */
  hasRoom(agent: string): boolean;
  /** Waits for its turn; `begin` is called then, and `leave` is to be called at its end, whatever became of it. */
  join(agent: string, begin: () => void): QueuePlace;
  /** Looks whether somebody's turn has come: there may be more room, or a gateway again. */
  advance(): void;
}

export interface QueuePlace {
  /** From 1; null when it is not waiting any more. */
  position(): number | null;
  /** Calls when it moved up, until the returned function is called. */
  onMove(listener: () => void): () => void;
  leave(): void;
}

interface Waiting {
  readonly begin: () => void;
  readonly moved: Set<() => void>;
}

interface Lane {
  readonly waiting: Waiting[];
  running: number;
}

export interface QueueOptions {
  /** Of an agent, now. */
  readonly concurrency: (agent: string) => number;
  /** How many may wait for one agent. */
  readonly queueMax: number;
  /** Whether anything may begin at all. */
  readonly isOpen: (agent: string) => boolean;
}

export function createQueue({ concurrency, queueMax, isOpen }: QueueOptions): AgentQueue {
  const lanes = new Map<string, Lane>();

  function laneOf(agent: string): Lane {
    const lane = lanes.get(agent) ?? { waiting: [], running: 0 };
    lanes.set(agent, lane);
    return lane;
  }

  function hasTurn(agent: string, lane: Lane): boolean {
    return lane.running < concurrency(agent) && isOpen(agent);
  }

  function advanceLane(agent: string, lane: Lane): void {
    let isMoved = false;
    while (lane.waiting.length > 0 && hasTurn(agent, lane)) {
      lane.running += 1;
      isMoved = true;
      lane.waiting.shift()!.begin();
    }
    if (isMoved) tellMoved(lane);
    if (lane.running === 0 && lane.waiting.length === 0) lanes.delete(agent);
  }

  function tellMoved(lane: Lane): void {
    for (const { moved } of lane.waiting) for (const listener of moved) listener();
  }

  return {
    hasRoom(agent) {
      const lane = lanes.get(agent);
      return (
        lane === undefined || lane.waiting.length < queueMax || (lane.waiting.length === 0 && hasTurn(agent, lane))
      );
    },
    join(agent, begin) {
      const lane = laneOf(agent);
      const own: Waiting = { begin, moved: new Set() };
      let left = false;
      lane.waiting.push(own);
      advanceLane(agent, lane);
      return {
        position() {
          const at = lane.waiting.indexOf(own);
          return at === -1 ? null : at + 1;
        },
        onMove(listener) {
          own.moved.add(listener);
          return () => void own.moved.delete(listener);
        },
        leave() {
          if (left) return;
          left = true;
          const at = lane.waiting.indexOf(own);
          if (at === -1) lane.running -= 1;
          else lane.waiting.splice(at, 1);
          if (at !== -1) tellMoved(lane);
          advanceLane(agent, lane);
        },
      };
    },
    advance() {
      for (const [agent, lane] of [...lanes]) advanceLane(agent, lane);
    },
  };
}
