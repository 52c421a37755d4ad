import { FederationError } from '#src/core/errors.ts';
import type { Operator } from '#src/core/operator.ts';
import type { OperatorApplicant } from '#src/link/operator-accept.ts';

/** The lines that are held by those who wait to be let in, one for each key. */
export interface OperatorLines {
  /** Tells the applicant that it waits. Rejects when it is refused, has gone, or asks again on another line. */
  hold(applicant: OperatorApplicant, held: string | null): Promise<Operator>;
  readonly has: (keyId: string) => boolean;
  admit(operator: Operator): void;
  refuse(keyId: string, error: FederationError): void;
}

interface Line {
  readonly admit: (operator: Operator) => void;
  readonly refuse: (error: FederationError) => void;
}

export function createOperatorLines(): OperatorLines {
  const held = new Map<string, Line>();

  return {
    hold({ keyId, signal, wait }, why) {
      const { promise, resolve, reject } = Promise.withResolvers<Operator>();
      const line = { admit: resolve, refuse: reject };
      held.get(keyId)?.refuse(new FederationError('LINK_REPLACED', 'this key asked again on another connection'));
      held.set(keyId, line);
      const leave = (): void => reject(new FederationError('LINK_LOST', 'the operator went away'));
      signal.addEventListener('abort', leave, { once: true });
      if (signal.aborted) leave();
      wait(why);
      return promise.finally(() => {
        if (held.get(keyId) === line) held.delete(keyId);
      });
    },
    has: (keyId) => held.has(keyId),
    admit: (operator) => held.get(operator.id)?.admit(operator),
    refuse: (keyId, error) => held.get(keyId)?.refuse(error),
  };
}
