import type { OfferedAgent } from '#src/core/handoff/agent.ts';
import type { HandoffUsage, ToolDeed } from '#src/core/handoff/event.ts';

/** What agents of one kind are worked by: this node's own OpenClaw gateway, or a server elsewhere. */
export interface AgentRunner {
  /** Whether a run of the agent can begin now; not given: of any. */
  isReady(agent?: string): boolean;
  /** Calls whenever that may have changed, until the returned function is called. */
  onReady(listener: () => void): () => void;
  /** Those that it has. Throws GATEWAY_UNREACHABLE. */
  agents(): Promise<readonly OfferedAgent[]>;
  /** Begins a run, and follows it to its end. Never throws. */
  run(order: RunOrder): Promise<RunEnd>;
  /** Follows a run that was begun before, perhaps by a process that is gone; begins none. Never throws. */
  attach(order: AttachOrder): Promise<RunEnd>;
  /**
   * Tells an agent something; resolves when it has it. Throws GATEWAY_UNREACHABLE and OPENCLAW_REFUSED. `perhaps`: it may
   * have been told already, which is found out first.
   */
  deliver(message: AgentMessage, perhaps: boolean): Promise<{ readonly replayed: boolean }>;
  close(): Promise<void>;
}

export interface AttachOrder {
  /** Of this run and no other. */
  readonly key: string;
  readonly agent: string;
  /** Id of the handoff, which has a session of its own. */
  readonly handoff: string;
  /** What happens in it; the first is that it runs. */
  readonly onEvent: (event: RunEvent) => void;
  /** Asks for its end; what the agent had to do with models is over, too, when the run is. */
  readonly stop: AbortSignal;
  /** Leaves it to itself. */
  readonly leave: AbortSignal;
}

export interface RunOrder extends AttachOrder {
  /** All of it, for an agent that reads the files of this machine. */
  readonly message: string;
  /** The same for one that does not. */
  readonly work: RunWork;
}

export interface RunWork {
  readonly task: string;
  readonly context: string;
  readonly files: readonly { readonly name: string; readonly path: string }[];
  /** Folder for files of the answer. */
  readonly out: string;
}

export interface AgentMessage {
  readonly key: string;
  readonly agent: string;
  readonly text: string;
}

export type RunEvent =
  | { readonly type: 'started' }
  | { readonly type: 'text'; readonly text: string }
  | ToolDeed
  /** Something else was done, of which nothing is kept. */
  | { readonly type: 'alive' };

export type RunEnd =
  /** It has not begun, and will not. `again`: nothing was asked yet, so it may be asked once more. */
  | { readonly kind: 'not-started'; readonly problem: string; readonly again: boolean }
  | {
      readonly kind: 'ended';
      readonly outcome: 'completed' | 'failed' | 'cancelled';
      readonly text: string;
      readonly problem: string | null;
      readonly usage: HandoffUsage | null;
      /** Paths of files of this machine that belong to the answer. */
      readonly media: readonly string[];
    }
  /** Nobody knows how it ended, or whether it began. */
  | { readonly kind: 'lost'; readonly problem: string }
  | { readonly kind: 'left' };
