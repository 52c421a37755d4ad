import { EventEmitter } from 'node:events';
import { FederationError } from '#src/core/errors.ts';
import { fingerprint } from '#src/core/node.ts';
import type { Approval, RequestKind, RequestRole, WaitingRequest } from '#src/core/request.ts';
import { findNode, missText, nearName } from '#src/core/selector.ts';
import type { AuditDetail } from '#src/hub/enrolment/membership.ts';
import { isMeant } from '#src/hub/fleet/targets.ts';

/** A request and why only a person may let it in, now. */
export interface JudgedRequest {
  readonly request: WaitingRequest;
  readonly held: string | null;
}

/** What was let in. `id` is the node's, the device's or the operator's. */
export interface Approved {
  readonly kind: RequestKind;
  readonly id: string;
  readonly name: string;
  readonly role: RequestRole;
  /** Names of former holders of the name or the machine, revoked by this. */
  readonly replaced: readonly string[];
}

/** What becomes of a request, and what the audit says of it; null: it says nothing. */
export interface Ruling {
  readonly act: 'approve' | 'reject' | 'nothing';
  readonly labels: Readonly<Record<string, string>>;
  readonly groups: readonly string[];
  readonly models: boolean;
  readonly detail: AuditDetail | null;
}

export type Rule = (asked: JudgedRequest) => Ruling;

/** One that keeps requests of some kinds. All that take an id throw REQUEST_NOT_FOUND where it waits no longer. */
export interface RequestSource {
  requests(): readonly JudgedRequest[];
  approve(id: string, approval: Approval): Promise<Approved>;
  reject(id: string, by: string): Promise<JudgedRequest>;
  /** What `rule` says of a request becomes of it, with nothing in between that changes the request. */
  judge(id: string, by: string, rule: Rule): Promise<void>;
  /** Says which request came, or asks for something else or from elsewhere than before. */
  readonly changes: EventEmitter<{ request: [JudgedRequest] }>;
}

/** All that wait for a person or the rules, whoever keeps them: the one list and the one approval. */
export interface Requests {
  /** The oldest first. */
  list(): readonly JudgedRequest[];
  /** By id, unique id prefix, fingerprint or name. Throws REQUEST_NOT_FOUND and NODE_AMBIGUOUS, as all below. */
  find(word: string): JudgedRequest;
  approve(word: string, approval: Approval): Promise<Approved>;
  reject(word: string, by: string): Promise<JudgedRequest>;
  judge(word: string, by: string, rule: Rule): Promise<void>;
  readonly changes: RequestSource['changes'];
}

/** Whoever may steer is let in by what was compared, and not because it calls itself as something else that is expected. */
function notByName(name: string, keyId: string): FederationError {
  return new FederationError('HELD', `${name} asks to operate the federation, and is not let in by its name`, {
    hint: `compare the fingerprint, then: manage-federation approve ${fingerprint(keyId)}`,
  });
}

/** A node that is taken back after a revocation is no request: `readmit` is asked where no request fits a word. */
export interface RequestsOptions {
  readonly sources: readonly RequestSource[];
  readonly readmit: (word: string, approval: Approval) => Promise<Approved | null>;
  /** Why only a person may let it in, beyond what its source knows; null where the rules may, too. */
  readonly alsoHeld?: (request: WaitingRequest) => string | null;
}

export function createRequests({ sources, readmit, alsoHeld = () => null }: RequestsOptions): Requests {
  const changes: Requests['changes'] = new EventEmitter();
  for (const source of sources) source.changes.on('request', (asked) => changes.emit('request', judged(asked)));

  function judged({ request, held }: JudgedRequest): JudgedRequest {
    return { request, held: held ?? alsoHeld(request) };
  }

  const all = () =>
    sources.flatMap((source) =>
      source.requests().map((asked) => {
        const { id, keyId, name } = asked.request;
        return { id, keyId, name, asked: judged(asked), source };
      }),
    );

  function found(word: string) {
    try {
      return findNode(all(), word);
    } catch (error) {
      if (error instanceof FederationError && error.code === 'NODE_AMBIGUOUS') throw error;
      const near = nearName(all(), word);
      const unfit = `nothing that waits for approval fits ${JSON.stringify(word)}`;
      throw new FederationError('REQUEST_NOT_FOUND', missText(all(), word, unfit), {
        hint: near === null ? 'manage-federation pending' : `did you mean ${near}?`,
        cause: error,
      });
    }
  }

  return {
    list: () =>
      all()
        .map(({ asked }) => asked)
        .toSorted((a, b) => a.request.firstAskedAt - b.request.firstAskedAt),
    find: (word) => found(word).asked,
    async approve(word, approval) {
      if (!all().some((one) => isMeant(one, word))) {
        const approved = await readmit(word, approval);
        if (approved !== null) return approved;
      }
      const { source, id, keyId, name, asked } = found(word);
      if (asked.request.kind === 'operator' && word === name) throw notByName(name, keyId);
      return source.approve(id, approval);
    },
    reject(word, by) {
      const { source, id } = found(word);
      return source.reject(id, by);
    },
    judge(word, by, rule) {
      const { source, id } = found(word);
      return source.judge(id, by, (asked) => rule(judged(asked)));
    },
    changes,
  };
}
