import { dirname } from 'node:path/posix';
import { actionText } from '#src/cli/deploy/plan-text.ts';
import type { Action } from '#src/deploy/action.ts';
import { kindOf } from '#src/deploy/actions/kinds.ts';
import type { Place } from '#src/deploy/place.ts';
import type { RecordEntry } from '#src/deploy/record/record.ts';
import { valueAt } from '#src/deploy/settings-value.ts';

/** What taking a change back does, in one line in the imperative: what goes, what comes back, and what is lost by it. */
export function undoText({ action, before }: Pick<RecordEntry, 'action' | 'before'>, place: Place): string {
  switch (action.do) {
    case 'folder':
      return folderText(action, before, place);
    case 'write':
    case 'link':
      return valueAt(before, 'original.was') === 'absent' ? `delete ${action.path}` : `restore ${action.path}`;
    case 'merge':
      return `restore ${Object.keys(action.values).join(', ')} in ${action.path}`;
    case 'token':
    case 'mint-token':
      return `delete ${action.path}, if it is still there`;
    case 'release':
      return `delete our programs in ${dirname(action.path)}`;
    case 'user':
      return `${valueAt(before, 'existed') === true ? 'leave' : 'delete'} the system user ${action.name}`;
    case 'linger':
      return valueAt(before, 'lingered') === true
        ? `let services of ${action.user} go on while nobody is logged in, as before`
        : `let services of ${action.user} end when they log out`;
    case 'unit':
      return unitText(action.unit.name, before);
    case 'run':
      return action.title.startsWith('Install ')
        ? action.title.replace('Install', 'remove')
        : `take back “${action.title}”`;
    case 'tailscale':
      return 'delete the Tailscale that was installed for this: the machine leaves the tailnet';
    case 'tailnet':
      return valueAt(before, 'state') === 'Running'
        ? 'leave the tailnet as it is'
        : 'take the machine out of the tailnet';
    default:
      return actionText(action);
  }
}

function folderText(action: Action & { readonly do: 'folder' }, before: unknown, place: Place): string {
  const { path } = action;
  const lost = { [place.hubHome]: HUB_DATA, [place.workerHome]: WORKER_DATA }[path];
  const text = kindOf(action).describeUndo?.(action, before, place) ?? `delete the folder ${path}`;
  return lost === undefined || !text.startsWith('delete') ? text : `${text}: ${lost} (--keep-data keeps them)`;
}

const HUB_DATA = 'members, jobs, audit, the hub’s key';
const WORKER_DATA = 'the node’s key, its settings and jobs';

function unitText(name: string, before: unknown): string {
  const enabled = valueAt(before, 'enabled');
  const isEnabled = enabled === 'enabled' || enabled === 'enabled-runtime';
  if (valueAt(before, 'active') === true) return `let ${name} run as before`;
  return isEnabled ? `stop ${name}` : `stop and disable ${name}`;
}
