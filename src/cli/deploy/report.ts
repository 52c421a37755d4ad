import type { Deployment } from '#src/cli/deploy/tools.ts';
import type { DeploymentResult } from '#src/cli/deploy/result.ts';
import { deploymentResult } from '#src/cli/deploy/result.ts';
import { actionText } from '#src/cli/deploy/plan-text.ts';
import type { Plan, Step } from '#src/deploy/action.ts';
import type { Facts } from '#src/deploy/facts.ts';
import { changes } from '#src/deploy/plan/already.ts';
import type { Wanted } from '#src/deploy/wanted.ts';

export type StepState = 'already' | 'todo' | 'done' | 'failed' | 'not reached';

/** What `--json` says of a deployment. */
export interface DeploymentReport {
  readonly role: string;
  readonly machine: string;
  readonly steps: readonly {
    readonly id: string;
    readonly title: string;
    readonly state: StepState;
    readonly actions: readonly string[];
  }[];
  readonly notes: readonly string[];
  /** Null until all is done. */
  readonly result: DeploymentResult | null;
}

/** How far it came; nothing where it was only planned. */
export interface Course {
  readonly states: ReadonlyMap<string, StepState>;
  /** After it. */
  readonly facts?: Facts;
  readonly wanted?: Wanted;
}

export function deploymentReport(
  { role, machine }: Deployment,
  { steps, notes }: Plan,
  course: Course | null = null,
): DeploymentReport {
  const { facts, wanted } = course ?? {};
  return {
    role,
    machine: machine.name,
    steps: steps.map((step) => ({
      id: step.id,
      title: step.title,
      state: stateOf(step, course),
      actions: step.actions.map(actionText),
    })),
    notes,
    result: facts === undefined || wanted === undefined ? null : deploymentResult(facts, wanted),
  };
}

function stateOf(step: Step, course: Course | null): StepState {
  if (course === null) return changes(step) ? 'todo' : 'already';
  const state = course.states.get(step.id) ?? 'not reached';
  return !changes(step) && state === 'done' ? 'already' : step.actions.length === 0 ? 'already' : state;
}
