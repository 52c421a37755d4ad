import type { AuditEntry, AuditHead, AuditRecord } from '#src/core/audit.ts';
import type { EndedDeed } from '#src/core/handoff/event.ts';
import type { MessageRecord } from '#src/core/handoff/message.ts';
import type { HandoffRecord, HandoffWork } from '#src/core/handoff/record.ts';
import type { Lockdown } from '#src/core/lockdown.ts';
import type { Member, StoredMember } from '#src/core/member.ts';
import type { OpenClawNode, OpenClawRejection, StoredOpenClawNode } from '#src/core/openclaw-node.ts';
import type { ModelRoute } from '#src/core/models/catalog.ts';
import type { ModelKey, Spending } from '#src/core/models/key.ts';
import type { UsageRow } from '#src/core/models/usage-row.ts';
import type { Operator } from '#src/core/operator.ts';
import type { PairingRequest, StoredRequest } from '#src/core/pairing.ts';
import type { TokenRecord } from '#src/core/token.ts';
import type { JobView } from '#src/protocol/hub-api/job.ts';

/** One thing that becomes durable. Changes of one commit become so together or not at all. */
export type Change =
  | { readonly type: 'member'; readonly id: string; readonly value: Member | null }
  | { readonly type: 'request'; readonly id: string; readonly value: PairingRequest | null }
  | { readonly type: 'token'; readonly id: string; readonly value: TokenRecord | null }
  | { readonly type: 'openclaw_node'; readonly id: string; readonly value: OpenClawNode | null }
  | { readonly type: 'openclaw_rejection'; readonly id: string; readonly value: OpenClawRejection | null }
  | { readonly type: 'operator'; readonly id: string; readonly value: Operator | null }
  | { readonly type: 'model_route'; readonly id: string; readonly value: ModelRoute | null }
  | { readonly type: 'model_key'; readonly id: string; readonly value: ModelKey | null }
  | { readonly type: 'model_spending'; readonly id: string; readonly value: Spending | null }
  | { readonly type: 'model_usage'; readonly id: string; readonly value: UsageRow | null }
  | { readonly type: 'handoff'; readonly id: string; readonly value: HandoffRecord | null }
  /** What is to be done, until it is over. */
  | { readonly type: 'handoff_work'; readonly id: string; readonly value: HandoffWork | null }
  /** Its last event. */
  | { readonly type: 'handoff_end'; readonly id: string; readonly value: HandoffEnd | null }
  | { readonly type: 'message'; readonly id: string; readonly value: MessageRecord | null }
  | { readonly type: 'lockdown'; readonly value: Lockdown | null }
  | { readonly type: 'job'; readonly id: string; readonly value: JobView }
  | { readonly type: 'audit'; readonly entry: AuditEntry };

export type HandoffEnd = { readonly seq: number } & EndedDeed;

export interface StoredMembership {
  readonly members: readonly StoredMember[];
  readonly requests: readonly StoredRequest[];
  readonly tokens: readonly TokenRecord[];
}

/**
 * What the hub keeps. A resolved promise means fsynced. All methods throw STORE_FAILED when the medium does
 * (disk full, read-only), and nothing of the change is then kept.
 */
export interface Store {
  /** Raises and returns the epoch: the fencing token of this start of the hub. */
  nextEpoch(): Promise<number>;
  membership(): Promise<StoredMembership>;
  openclawNodes(): Promise<StoredOpenClawNode[]>;
  openclawRejections(): Promise<OpenClawRejection[]>;
  operators(): Promise<Operator[]>;
  modelRoutes(): Promise<ModelRoute[]>;
  modelKeys(): Promise<ModelKey[]>;
  modelSpending(): Promise<Spending[]>;
  /** Rows from the day `since` (`2026-11-21`) on, in the order of their days. Those of over a year ago are gone. */
  modelUsage(since: string): Promise<UsageRow[]>;
  /** In the order in which they were asked for. */
  handoffs(): Promise<HandoffRecord[]>;
  handoffWork(id: string): Promise<HandoffWork | null>;
  handoffEnd(id: string): Promise<HandoffEnd | null>;
  /** In the order in which they were sent. */
  messages(): Promise<MessageRecord[]>;
  /** Null while nothing is locked down. */
  lockdown(): Promise<Lockdown | null>;
  commit(changes: readonly Change[]): Promise<void>;
  /**
   * The same for what nobody waits for: kept together with the next commit, or a moment later by itself. What is read
   * afterwards shows it.
   */
  commitSoon(changes: readonly Change[]): Promise<void>;
  /** Jobs, the latest first. */
  jobs(limit: number): Promise<JobView[]>;
  job(id: string): Promise<JobView | null>;
  /** Records after `after` in their order. */
  audit(after: number, limit: number): Promise<AuditRecord[]>;
  auditHead(): Promise<AuditHead>;
  close(): Promise<void>;
}
