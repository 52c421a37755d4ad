import type { HandoffFolder } from '#src/adapters/store/handoff-store.ts';
import { isArtefactName } from '#src/core/handoff/event.ts';
import { MAX_ARTEFACT_BYTES, MAX_ARTEFACTS } from '#src/protocol/handoffs.ts';
import type { Transcript } from '#src/worker/handoffs/transcript.ts';

/** Files that are left behind and named; there may be any number. */
const NAMED = 5;

/** Takes the files of an answer, each an event; returns in a few words what was left behind, or null. */
export async function sealArtefacts(
  folder: HandoffFolder,
  transcript: Transcript,
  { media, keepMaxBytes }: { readonly media: readonly string[]; readonly keepMaxBytes: number },
): Promise<string | null> {
  const files = await folder.seal({
    more: media,
    maxBytes: Math.max(0, keepMaxBytes - transcript.size),
    maxFileBytes: MAX_ARTEFACT_BYTES,
    maxFiles: MAX_ARTEFACTS,
    isName: isArtefactName,
  });
  const left: string[] = [];
  for (const file of files) {
    if (file.kind === 'taken') {
      // A daemon that ended in the middle of this has told some already.
      if (!transcript.artefacts.has(file.artefact.name)) transcript.add({ type: 'artefact', ...file.artefact });
    } else left.push(`${JSON.stringify(file.name.slice(0, 80))}: ${file.reason}`);
  }
  if (left.length === 0) return null;
  const more = left.length > NAMED ? ` and ${left.length - NAMED} more` : '';
  return `left behind on its node: ${left.slice(0, NAMED).join(', ')}${more}`;
}
