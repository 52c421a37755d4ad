import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { JournalFile } from '#src/adapters/store/journal-file.ts';
import { FederationError } from '#src/core/errors.ts';
import type { OfferedAgent } from '#src/core/handoff/agent.ts';
import type { AgentRunner } from '#src/core/handoff/runner.ts';
import type { MessageOrder, MessageStanding } from '#src/protocol/handoffs.ts';
import type { Consent } from '#src/worker/consent.ts';

/** Messages to agents of this node: each is told once, whoever asks how often. */
export interface Messages {
  /** Resolves when the agent has it. Throws FederationError. */
  deliver(order: MessageOrder): Promise<MessageStanding>;
  /** Tells nothing new, until it is lifted. */
  lockDown(on: boolean): void;
  close(): Promise<void>;
}

export interface MessagesOptions {
  /** Where it is remembered which were told. */
  readonly file: JournalFile;
  readonly runner: AgentRunner;
  readonly consent: Consent;
  readonly offered: () => readonly OfferedAgent[];
}

/** A line is written before the agent is told, and one after it. */
const lineSchema = z.object({
  id: z.string(),
  hash: z.string(),
  agent: z.string(),
  told: z.boolean(),
  /** Milliseconds since the epoch. */
  at: z.number(),
});
type Line = z.infer<typeof lineSchema>;

/** The hub asks for a message for seven days. */
const REMEMBERED_MS = 8 * 86_400_000;

/** Reads what is remembered. Throws what the disk says. */
export async function openMessages({ file, runner, consent, offered }: MessagesOptions): Promise<Messages> {
  const known = readLines(await file.read());
  const delivering = new Map<string, Promise<MessageStanding>>();
  let lockedDown = false;
  /** The file takes one write at a time. */
  let written: Promise<void> = Promise.resolve();
  await file.replace([...known.values()].map(textOf).join(''));

  function remember(line: Line): Promise<void> {
    const writing = written.then(() => file.append(textOf(line), true));
    written = writing.catch(() => undefined);
    return writing
      .then(() => void known.set(line.id, line))
      .catch((cause: unknown) => {
        throw new FederationError('DISK_FULL', 'this node can’t write down which messages it has told', {
          hint: 'free space on the disk that holds the worker’s home',
          cause,
        });
      });
  }

  async function tell(order: MessageOrder, hash: string, before: Line | undefined): Promise<MessageStanding> {
    const { id, message } = order;
    const agent = before?.agent ?? order.agent ?? offered()[0]?.id ?? '';
    // What was allowed once is the same deed when it is tried again.
    if (before === undefined) demand(order, agent);
    const line = { id, hash, agent, told: false, at: Date.now() };
    if (before === undefined) await remember(line);
    const { replayed } = await runner.deliver({ key: id, agent, text: message }, before !== undefined);
    await remember({ ...line, told: true });
    return { agent, replayed };
  }

  function demand({ asker, approval, message }: MessageOrder, agent: string): void {
    if (!offered().some(({ id }) => id === agent)) {
      throw new FederationError(
        'AGENT_NOT_FOUND',
        agent === '' ? 'this node has no agents' : `this node has no agent ${agent}`,
        {
          hint: 'manage-federation agents',
        },
      );
    }
    const wanted = { asker, approval, action: { kind: 'message', agent, message } } as const;
    const { kind, rule } = consent.judge(wanted);
    if (kind !== 'allow') throw new FederationError('FORBIDDEN', rule, { hint: 'ask the owner of this federation' });
    if (!runner.isReady(agent)) {
      throw new FederationError('GATEWAY_UNREACHABLE', 'the OpenClaw gateway of this node can’t be reached', {
        hint: 'openclaw gateway status, on that node',
      });
    }
    consent.take(wanted);
  }

  return {
    async deliver(order) {
      if (lockedDown) {
        throw new FederationError('LOCKED_DOWN', 'the federation is locked down', {
          hint: 'manage-federation lockdown --lift',
        });
      }
      const { id } = order;
      while (delivering.has(id)) await delivering.get(id)?.catch(() => undefined);
      const hash = createHash('sha256')
        .update(JSON.stringify([order.agent, order.message]))
        .digest('hex');
      const before = known.get(id);
      if (before !== undefined && before.hash !== hash) {
        throw new FederationError('HANDOFF_CONFLICT', `this node knows the message ${id} otherwise`, {
          hint: 'give what is another message a key of its own',
        });
      }
      if (before?.told === true) return { agent: before.agent, replayed: true };
      const telling = tell(order, hash, before);
      delivering.set(id, telling);
      try {
        return await telling;
      } finally {
        delivering.delete(id);
      }
    },
    lockDown: (on) => void (lockedDown = on),
    async close() {
      await written;
      await file.close();
    },
  };
}

function textOf(line: Line): string {
  return `${JSON.stringify(line)}\n`;
}

/** The last line of each that is not too old to be asked for. */
function readLines(text: string): Map<string, Line> {
  const lines = new Map<string, Line>();
  const oldest = Date.now() - REMEMBERED_MS;
  for (const one of text.split('\n')) {
    const line = parsed(one);
    if (line !== null && line.at >= oldest) lines.set(line.id, line);
  }
  return lines;
}

function parsed(text: string): Line | null {
  try {
    return lineSchema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}
