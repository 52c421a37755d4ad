import { say } from '#src/adapters/terminal.ts';
import { canAsk, confirm } from '#src/cli/confirm.ts';
import type { GlobalFlags } from '#src/cli/manage/context.ts';
import { hubOf } from '#src/cli/manage/context.ts';
import { foundNode, isMember } from '#src/cli/manage/found-node.ts';
import { printJson } from '#src/cli/print.ts';
import type { NodeDetail } from '#src/protocol/hub-api/node.ts';
import type { OpenClawNodeView, RevokedView } from '#src/protocol/hub-api/openclaw-node.ts';

/** `manage-federation revoke NODE`: a person is asked first; a script has said what it wants. */
export async function revokeNode(word: string, flags: GlobalFlags): Promise<number> {
  const hub = await hubOf(flags);
  const before = await foundNode(hub, word);
  if (canBeRevoked(before) && flags.yes !== true && canAsk()) {
    await confirm(`revoke ${before.name} (${before.fingerprint})?`);
  }
  const node = await hub.ask<RevokedView>('POST', `/nodes/${before.id}/revoke`);
  if (flags.json) printJson(node);
  else say(`revoked ${node.name}: ${isMember(before) ? endedText(before) : REMOVED}`);
  return 0;
}

function canBeRevoked(node: NodeDetail | OpenClawNodeView): boolean {
  return !isMember(node) || (node.state !== 'revoked' && node.role !== 'master');
}

const REMOVED = 'OpenClaw’s gateway takes it out, and is asked until it confirms that';

/** Only what was so: nothing was closed or ended on a node that was not there. */
function endedText({ address, running }: NodeDetail): string {
  if (address === null) return 'it was not connected, and is let in no more';
  return running === 0 ? 'its link is closed' : 'its link is closed and its jobs were ended';
}
