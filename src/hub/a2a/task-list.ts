import type { ListTasksRequest } from '@a2a-js/sdk';
import { TaskState } from '@a2a-js/sdk';
import { FederationError } from '#src/core/errors.ts';
import { changedAt, taskStateOf } from '#src/hub/a2a/task.ts';
import { contextOf } from '#src/hub/a2a/wish.ts';
import type { HandoffHead } from '#src/hub/handoffs/desk.ts';

const PAGE_SIZE = 50;

export interface TaskPage {
  readonly page: readonly HandoffHead[];
  /** Empty after the last page. */
  readonly nextPageToken: string;
  readonly pageSize: number;
  readonly totalSize: number;
}

/**
 * A page of handoffs, those first that changed last. A token names the last one of the page before, as it stood then:
 * `TIME~ID`. Throws USAGE for one that is none.
 */
export function pageOf(views: readonly HandoffHead[], wanted: ListTasksRequest): TaskPage {
  const { contextId, status, pageSize = PAGE_SIZE, pageToken, statusTimestampAfter } = wanted;
  const since = statusTimestampAfter === undefined ? 0 : Date.parse(statusTimestampAfter);
  const fitting = views
    .filter((view) => contextId === '' || contextOf(view) === contextId)
    .filter((view) => status === TaskState.TASK_STATE_UNSPECIFIED || taskStateOf(view.state) === status)
    .filter((view) => Date.parse(changedAt(view)) > since)
    .toSorted((a, b) => (tokenOf(a) < tokenOf(b) ? 1 : -1));
  const rest = pageToken === '' ? fitting : fitting.filter((view) => tokenOf(view) < checked(pageToken));
  const page = rest.slice(0, pageSize);
  const last = rest.length > page.length ? page.at(-1) : undefined;
  return {
    page,
    nextPageToken: last === undefined ? '' : tokenOf(last),
    pageSize: page.length,
    totalSize: fitting.length,
  };
}

function tokenOf(view: HandoffHead): string {
  return `${changedAt(view)}~${view.id}`;
}

function checked(token: string): string {
  if (/^[0-9T:.Z-]{20,30}~[0-9A-Z]{26}$/.test(token)) return token;
  throw new FederationError('USAGE', 'params.pageToken: is none that was given out');
}
