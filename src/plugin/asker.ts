import type { OpenClawPluginToolContext, PluginCommandContext } from 'openclaw/plugin-sdk/plugin-entry';
import type { ChatAsker } from '#src/core/policy.ts';

/** Whoever has the gateway itself in hand: its command line, its own web chat, a call by its own protocol. */
export const OPERATOR: ChatAsker = { kind: 'chat', channel: 'openclaw', sender: 'operator', owner: true };

/**
 * A turn that no person wrote: of a sub-agent, an automation or a webhook, or one that OpenClaw began by itself. It may
 * come from what a stranger said, and OpenClaw calls some of them the owner’s all the same, because their answer goes
 * to the owner’s chat.
 */
const NOBODY: ChatAsker = { kind: 'chat', channel: 'openclaw', sender: 'nobody', owner: false };

export function isNobody({ channel, sender }: ChatAsker): boolean {
  return channel === NOBODY.channel && sender === NOBODY.sender;
}

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
 * The same asker as that of the tool that runs after the hook. Without a requester it is a call by the gateway’s own
 * protocol, or a webhook’s turn: the hub judges once more when the tool runs, with what OpenClaw says of the owner then.
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
  return {
    ...writer(channel, sender, owner, sessionKey),
    ...(isWord(agentId) ? { agent: cut(agentId) } : {}),
    ...(isWord(sessionKey) ? { session: cut(sessionKey) } : {}),
  };
}

/** OpenClaw’s own web page, and its protocol: who is let in there is the operator. */
const OWN_CHANNEL = 'webchat';
/** Sessions in which no person writes: a handoff’s holds what somebody elsewhere wants done, whoever that is. */
const WITHOUT_PERSON = /^(?:agent:[^:]+:)?(?:subagent|cron|hook|acp|handoff):/;

function writer(channel: string | undefined, sender: string | undefined, owner: boolean, session = ''): ChatAsker {
  if (isWord(channel) && isWord(sender)) return { kind: 'chat', channel, sender, owner };
  const isOfChat = isWord(channel) && channel !== OWN_CHANNEL;
  return owner && !isOfChat && !WITHOUT_PERSON.test(session) ? OPERATOR : NOBODY;
}

/** Longest word of an asker that the hub takes. */
const MAX_WORD = 256;

function isWord(text: string | undefined): text is string {
  return text !== undefined && text !== '';
}

function cut(text: string): string {
  return text.slice(0, MAX_WORD);
}
