import { realpath } from 'node:fs/promises';
import { dirname, isAbsolute, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { RunEnd } from '#src/core/handoff/runner.ts';
import type { AgentResult } from '#src/adapters/openclaw/agent-messages.ts';

const MAX_MEDIA = 100;

/** What the gateway's last answer to a run says of its end. */
export async function endOfResult(result: AgentResult, settingsFile: string): Promise<RunEnd> {
  const { status, stopReason, summary, error } = result;
  const payloads = result.result?.payloads ?? [];
  const text = payloads
    .filter(({ isError }) => isError !== true)
    .flatMap(({ text: part }) => (part ? [part] : []))
    .join('\n\n')
    .toWellFormed();
  const usage = result.result?.meta?.agentMeta?.usage ?? null;
  const media = await localMedia(result, dirname(settingsFile));
  const base = { kind: 'ended', text, usage, media } as const;
  const faults = payloads.flatMap(({ isError, text: part }) => (isError === true && part ? [part] : []));
  if (stopReason === 'rpc' || stopReason === 'aborted' || result.result?.meta?.aborted === true) {
    return { ...base, outcome: 'cancelled', problem: 'it was stopped' };
  }
  if (status === 'ok' && (text !== '' || faults.length === 0)) return { ...base, outcome: 'completed', problem: null };
  const said = faults[0] ?? (typeof error === 'string' ? error : summary);
  return { ...base, outcome: 'failed', problem: said ?? `the gateway says ${status}` };
}

/** Files among the answer that lie in the media folder of the gateway itself: any other path is only words of a model. */
async function localMedia({ result }: AgentResult, state: string): Promise<string[]> {
  const named = (result?.payloads ?? []).flatMap(({ mediaUrl, mediaUrls }) => [mediaUrl ?? '', ...(mediaUrls ?? [])]);
  const paths = [...new Set(named)].slice(0, MAX_MEDIA).flatMap(pathOf);
  const folder = await realpath(join(state, 'media')).catch(() => null);
  if (folder === null) return [];
  const real = await Promise.all(paths.map((path) => realpath(path).catch(() => null)));
  return real.filter((path) => path !== null && path.startsWith(folder + sep)) as string[];
}

function pathOf(url: string): string[] {
  try {
    const path = url.startsWith('file:') ? fileURLToPath(url) : url;
    return isAbsolute(path) ? [path] : [];
  } catch {
    return [];
  }
}
