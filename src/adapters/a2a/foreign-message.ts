import { Role } from '@a2a-js/sdk';
import { A2AError } from '@a2a-js/sdk/errors';
import type { ForeignServer } from '#src/adapters/a2a/foreign-run.ts';
import { FederationError } from '#src/core/errors.ts';

/**
 * Tells a foreign agent something, and waits for no answer. `perhaps`: it may have been told; where the server does not
 * say that it takes the same message once, it is not told again. Throws GATEWAY_UNREACHABLE, OPENCLAW_REFUSED.
 */
export async function tell(
  { client, replays }: ForeignServer,
  { key, text }: { readonly key: string; readonly text: string },
  perhaps: boolean,
): Promise<{ readonly replayed: boolean }> {
  if (perhaps && !replays) {
    throw new FederationError('OPENCLAW_REFUSED', 'nobody can tell whether the foreign agent has the message already', {
      hint: 'ask there, and send it anew',
    });
  }
  const part = { content: { $case: 'text', value: text } as const, filename: '', mediaType: 'text/plain' };
  try {
    await client.sendMessage({
      ...{ tenant: '', metadata: undefined },
      message: {
        ...{ messageId: key, contextId: '', taskId: '', role: Role.ROLE_USER, metadata: undefined },
        ...{ parts: [{ ...part, metadata: undefined }], extensions: [], referenceTaskIds: [] },
      },
      configuration: { acceptedOutputModes: [], taskPushNotificationConfig: undefined, returnImmediately: true },
    });
    return { replayed: perhaps };
  } catch (cause) {
    const isRefused = cause instanceof A2AError;
    throw new FederationError(
      isRefused ? 'OPENCLAW_REFUSED' : 'GATEWAY_UNREACHABLE',
      isRefused
        ? `the foreign agent takes no such message: ${cause.message.slice(0, 200)}`
        : 'the foreign agent was cut off',
      { cause },
    );
  }
}
