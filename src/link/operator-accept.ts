import type { Socket } from 'node:net';
import { FederationError } from '#src/core/errors.ts';
import type { ProvenOperator } from '#src/link/challenge.ts';
import { challengeOperator } from '#src/link/challenge.ts';
import type { Door, Strangers, Visit } from '#src/link/door.ts';
import { createDoor, refuse } from '#src/link/door.ts';
import { watchSilence } from '#src/link/heartbeat.ts';
import type { KeyPair } from '#src/link/key.ts';
import type { Lines } from '#src/link/lines.ts';
import { PROTOCOL_VERSIONS } from '#src/protocol/version.ts';

/** A person's program on another machine, which has proved its key. */
export interface OperatorApplicant extends Visit, ProvenOperator {}

export interface OperatorAdmission {
  /** As it was approved. */
  readonly name: string;
  readonly credential: string;
  /** Aborted, with a FederationError, when the operator is out. */
  readonly out: AbortSignal;
}

export interface OperatorDoorOptions {
  readonly key: KeyPair;
  readonly heartbeatMs: number;
  admit(applicant: OperatorApplicant): Promise<OperatorAdmission>;
  onFault(error: unknown): void;
  readonly strangers?: Strangers;
  readonly unprovenMax?: number;
  readonly handshakeMs?: number;
}

/** Takes the upgrades for OPERATOR_PATH. A connection lasts as long as its program does, or until it falls silent. */
export function createOperatorDoor(options: OperatorDoorOptions): Door {
  const { key, heartbeatMs } = options;

  function establish(socket: Socket, channel: Lines, _: ProvenOperator, admission: OperatorAdmission) {
    const { name, credential, out } = admission;
    const end = (error: FederationError) => refuse(socket, channel, error);
    const onOut = () => end(outReason(out));
    channel.send({ type: 'welcome', name, credential, heartbeatSeconds: heartbeatMs / 1000 });
    channel.release();
    // What it says is a sign of life and nothing more.
    socket.resume();
    socket.on('end', () => socket.destroy());
    const beat = setTimeout(() => {
      channel.send({ type: 'alive' });
      beat.refresh();
    }, heartbeatMs).unref();
    const ended = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    watchSilence({ socket, ended }, heartbeatMs, () => socket.destroy());
    void ended.then(() => {
      clearTimeout(beat);
      out.removeEventListener('abort', onOut);
    });
    out.addEventListener('abort', onOut);
    if (out.aborted) onOut();
    return end;
  }

  return createDoor({
    prove: (channel, knock) => challengeOperator(channel, { key, versions: PROTOCOL_VERSIONS, ...knock }),
    strangers: options.strangers,
    admit: (operator, visit) => options.admit({ ...operator, ...visit }),
    establish,
    onFault: (error) => options.onFault(error),
    unprovenMax: options.unprovenMax,
    handshakeMs: options.handshakeMs,
  });
}

function outReason({ reason }: AbortSignal): FederationError {
  return reason instanceof FederationError ? reason : new FederationError('REVOKED', 'this operator was revoked');
}
