import {
  JsonRpcTransportError,
  PushNotificationNotSupportedError,
  RequestMalformedError,
  TaskNotFoundError,
} from '@a2a-js/sdk/errors';
import { FederationError } from '#src/core/errors.ts';

/** Of JSON-RPC’s range for servers, below what A2A has taken. */
const REFUSED = -32_050;

/**
 * What a program is told, which may be a stranger’s: why, and nothing of other nodes, other agents, or what an operator
 * would do about it. What is no refusal of ours is returned as it is.
 */
export function refusalFor(error: unknown): unknown {
  if (!(error instanceof FederationError)) return error;
  switch (error.code) {
    case 'HANDOFF_NOT_FOUND':
      return new TaskNotFoundError('there is no such task');
    case 'USAGE':
    case 'HANDOFF_CONFLICT':
    case 'DEADLINE_OVER':
      return new RequestMalformedError(error.message);
    case 'QUEUE_FULL':
    case 'LOCKED_DOWN':
    case 'HUB_STOPPING':
      return refused(`${error.code}: ${error.message}`);
    case 'AGENT_NOT_FOUND':
    case 'NODE_NOT_FOUND':
    case 'NODE_AMBIGUOUS':
      return refused('AGENT_NOT_FOUND: the agent is not there now');
    default:
      return refused(`${error.code}: the agent takes no task now`);
  }
}

export function malformed(problem: string): Error {
  return new RequestMalformedError(problem);
}

export function notPushed(): Error {
  return new PushNotificationNotSupportedError('nothing is pushed: follow the task, or ask for it');
}

function refused(message: string): Error {
  return new JsonRpcTransportError({ jsonrpc: '2.0', id: null, error: { code: REFUSED, message } });
}
