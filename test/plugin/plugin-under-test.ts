import type {
  AnyAgentTool,
  OpenClawPluginApi,
  OpenClawPluginCommandDefinition,
  OpenClawPluginService,
} from 'openclaw/plugin-sdk/plugin-entry';
import type { HookContext, ToolContext } from '#src/plugin/asker.ts';
import type { Judged } from '#src/plugin/approvals.ts';
import plugin from '#src/plugin/main.ts';
import type { ChatHub } from '../support/chat-hub.ts';
import { chatHub } from '../support/chat-hub.ts';

type Outcome = Awaited<ReturnType<AnyAgentTool['execute']>>;
type Hook = (event: object, context: HookContext) => Promise<Judged | undefined>;
type Method = (call: { respond: (ok: boolean, payload?: unknown, error?: unknown) => void }) => Promise<void>;

interface ButtonHandler {
  readonly channel: string;
  readonly namespace: string;
  readonly handler: (context: unknown) => unknown;
}

export interface Registered {
  readonly tools: ReadonlyMap<string, (context: ToolContext) => AnyAgentTool>;
  readonly methods: ReadonlyMap<string, { handler: Method; scope: string | undefined }>;
  readonly commands: readonly OpenClawPluginCommandDefinition[];
  readonly services: readonly OpenClawPluginService[];
  readonly hooks: ReadonlyMap<string, Hook>;
  readonly cli: readonly string[];
  readonly buttons: readonly ButtonHandler[];
  readonly saved: readonly { data: Buffer; type: string | undefined }[];
}

/** What the plugin registers with an OpenClaw that only takes note of it. */
export function registered(socket: string, registrationMode = 'full', settings: object = {}): Registered {
  const tools = new Map<string, (context: ToolContext) => AnyAgentTool>();
  const methods = new Map<string, { handler: Method; scope: string | undefined }>();
  const hooks = new Map<string, Hook>();
  const commands: OpenClawPluginCommandDefinition[] = [];
  const services: OpenClawPluginService[] = [];
  const cli: string[] = [];
  const buttons: ButtonHandler[] = [];
  const saved: { data: Buffer; type: string | undefined }[] = [];
  const api = {
    registrationMode,
    pluginConfig: { socket, ...settings },
    runtime: {
      channel: {
        media: {
          saveMediaBuffer: async (data: Buffer, type?: string) => {
            saved.push({ data, type });
            return { path: `/media/${saved.length}` };
          },
        },
      },
    },
    registerTool: (factory: (context: ToolContext) => AnyAgentTool, { name }: { name: string }) =>
      void tools.set(name, factory),
    registerGatewayMethod: (name: string, handler: Method, { scope }: { scope?: string }) =>
      void methods.set(name, { handler, scope }),
    registerCommand: (command: OpenClawPluginCommandDefinition) => void commands.push(command),
    registerInteractiveHandler: (handler: ButtonHandler) => void buttons.push(handler),
    registerProvider: () => undefined,
    registerHttpRoute: () => undefined,
    registerService: (service: OpenClawPluginService) => void services.push(service),
    registerCli: (_: unknown, { descriptors }: { descriptors: { name: string }[] }) =>
      void cli.push(...descriptors.map(({ name }) => name)),
    on: (name: string, hook: Hook) => void hooks.set(name, hook),
  };
  plugin.register(api as unknown as OpenClawPluginApi);
  return { tools, methods, hooks, commands, services, cli, buttons, saved };
}

/** The owner, by Telegram. */
export const OWNERS_TURN: ToolContext = {
  messageChannel: 'telegram',
  requesterSenderId: '1001',
  senderIsOwner: true,
  agentId: 'main',
  sessionKey: 'agent:main:main',
};
export const OWNERS_HOOK: HookContext = {
  agentId: 'main',
  sessionKey: 'agent:main:main',
  requester: { channel: 'telegram', senderId: '1001', senderIsOwner: true },
};

/** The plugin, and the scripted hub that it is a client of. */
export interface PluginUnderTest extends AsyncDisposable, Registered {
  readonly hub: ChatHub;
  /** One call of a tool, as the agent makes it. */
  call(tool: string, parameters: object, options?: CallOptions): Promise<Outcome>;
  /** The text that the agent gets. */
  text(tool: string, parameters: object, options?: CallOptions): Promise<string>;
  /** What the hook makes of a call. */
  judge(tool: string, params: object, toolCallId?: string): Promise<Judged | undefined>;
}

interface CallOptions {
  readonly id?: string;
  readonly context?: ToolContext;
  readonly signal?: AbortSignal;
  readonly onUpdate?: (update: Outcome) => void;
}

export async function pluginUnderTest(): Promise<PluginUnderTest> {
  const hub = await chatHub();
  const known = registered(hub.socket);
  const call: PluginUnderTest['call'] = (tool, parameters, options = {}) => {
    const { id = 'call-1', context = OWNERS_TURN, signal, onUpdate } = options;
    const made = known.tools.get(tool)?.(context);
    if (made === undefined) throw new Error(`no ${tool}`);
    return made.execute(id, parameters, signal, onUpdate);
  };
  return {
    ...known,
    hub,
    call,
    text: async (...said) => textOf(await call(...said)),
    judge: (toolName, params, toolCallId = 'call-1') =>
      known.hooks.get('before_tool_call')!({ toolName, params, toolCallId }, OWNERS_HOOK),
    [Symbol.asyncDispose]: () => hub[Symbol.asyncDispose](),
  };
}

export function textOf({ content }: Outcome): string {
  return content.flatMap((part) => (part.type === 'text' ? [part.text] : [])).join('\n');
}
