import type { OpenClawPluginToolContext, PluginCommandContext } from 'openclaw/plugin-sdk/plugin-entry';
import type { ChatAsker } from '#src/core/policy.ts';

/** Whoever has the gateway itself in hand: its command line, its own web chat, a call by its own protocol. */
export const OPERATOR: ChatAsker = { kind: 'chat', channel: 'openclaw', sender: 'operator', owner: true };

/** What OpenClaw tells a tool of the turn that it runs in; none of it is the model’s word. */
export type ToolContext = Pick<
  OpenClawPluginToolContext,
  'messageChannel' | 'requesterSenderId' | 'senderIsOwner' | 'agentId' | 'sessionKey' | 'delivery'
>;

/** What it tells a hook of the same turn. */
export interface HookContext {
  readonly agentId?: string;
  readonly sessionKey?: string;
  readonly requester?: { readonly channel?: string; readonly senderId?: string; readonly senderIsOwner?: boolean };
}

export function askerOfTool(context: ToolContext): ChatAsker {
  return asker({
    channel: context.messageChannel,
    sender: context.requesterSenderId,
    owner: context.senderIsOwner === true,
    ...context,
  });
}

/**
 * The same asker as that of the tool that runs after the hook. Without a requester nobody wrote in a chat; the hub judges
 * once more when the tool runs, with what OpenClaw says of the owner then.
 */
export function askerOfHook({ requester, ...context }: HookContext): ChatAsker {
  return asker({
    channel: requester?.channel,
    sender: requester?.senderId,
    owner: requester === undefined || requester.senderIsOwner === true,
    ...context,
  });
}

/** OpenClaw lets only the owner through to a command that needs a scope. */
export function askerOfCommand(
  context: Pick<PluginCommandContext, 'channel' | 'senderId' | 'agentId' | 'sessionKey' | 'gatewayClientScopes'>,
): ChatAsker {
  const { gatewayClientScopes, channel, senderId } = context;
  const byGateway = gatewayClientScopes !== undefined;
  return asker({ ...context, channel: byGateway ? undefined : channel, sender: senderId, owner: true });
}

interface Said {
  readonly channel: string | undefined;
  readonly sender: string | undefined;
  readonly owner: boolean;
  readonly agentId?: string | undefined;
  readonly sessionKey?: string | undefined;
}

function asker({ channel, sender, owner, agentId, sessionKey }: Said): ChatAsker {
  const isChat = isWord(channel) && isWord(sender);
  return {
    kind: 'chat',
    channel: isChat ? channel : OPERATOR.channel,
    sender: isChat ? sender : OPERATOR.sender,
    owner,
    ...(isWord(agentId) ? { agent: cut(agentId) } : {}),
    ...(isWord(sessionKey) ? { session: cut(sessionKey) } : {}),
  };
}

/** Longest word of an asker that the hub takes. */
const MAX_WORD = 256;

function isWord(text: string | undefined): text is string {
  return text !== undefined && text !== '';
}

function cut(text: string): string {
  return text.slice(0, MAX_WORD);
}
