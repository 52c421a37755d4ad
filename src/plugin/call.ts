import type { HubApi } from '#src/adapters/hub-api.ts';
import type { z } from 'zod';
import type { Action } from '#src/core/action.ts';
import type { ChatAsker } from '#src/core/policy.ts';
import type { HandoffWay } from '#src/plugin/handoff-way.ts';

/** What a call of a tool brings about, by which the hub judges it before it is done. */
export interface Wish {
  /** Words for nodes, or all. */
  readonly targets: readonly string[] | 'all';
  readonly action: Action;
}

/** An approval that the owner gave to one wish, and the ids of the nodes that it is for. */
export interface Approved {
  readonly id: string;
  readonly targets: readonly string[];
}

/** What a call runs with. */
export interface Call {
  readonly hub: HubApi;
  /** Where work is handed over. */
  readonly handoffs: HandoffWay;
  /** Null where none was asked for. */
  readonly approved: Approved | null;
  readonly signal: AbortSignal;
  /** Tells who waits how it goes; what comes too fast is left out, and never put into words. */
  progress(text: () => string): void;
  /** Keeps a file where OpenClaw sends files from, and sends it to the chat that asks, where there is one. */
  attach(file: Attachment): Promise<Attached>;
}

export interface Attachment {
  readonly name: string;
  readonly type: string;
  readonly data: Buffer;
  readonly text: string;
}

export interface Attached {
  readonly inChat: boolean;
  /** Where it is kept on the master. */
  readonly path: string;
}

export interface ImagePart {
  readonly data: string;
  readonly mimeType: string;
}

/** What a tool answers: words, pictures, and the same for programs. */
export interface Answer {
  readonly text: string;
  readonly images?: readonly ImagePart[];
  /** Below keys of its own: OpenClaw reads `status`, `ok`, `error`, `exitCode` and the like as the end of the call. */
  readonly details: Readonly<Record<string, unknown>>;
}

/** One tool of the agent’s. */
export interface ClusterTool<Parameters extends z.ZodType = z.ZodType> {
  readonly name: string;
  readonly label: string;
  /** In English: OpenClaw’s search for tools goes by its words. */
  readonly description: string;
  readonly parameters: Parameters;
  /** Null for what only looks at the federation, and for what the hub judges when it is done. */
  wish(parameters: z.output<Parameters>, asker: ChatAsker): Wish | null;
  /** Text that the action itself only names by its hash, for who has to approve it; null where it is no text. */
  content?(parameters: z.output<Parameters>): string | null | undefined;
  run(parameters: z.output<Parameters>, call: Call): Promise<Answer>;
  /** Where an agent works on a handoff, the daemon of its node is asked, in the name of that handoff’s asker. */
  readonly handsOn?: true;
}

/** A tool as the table has it: its parameters are checked before it sees them. */
export function clusterTool<Parameters extends z.ZodType>(tool: ClusterTool<Parameters>): ClusterTool {
  return tool;
}
