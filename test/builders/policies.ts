// Policies for tests: valid ones, with one thing changed. Documents are what a user writes, plans what they compile to.
import type { PlanPolicy, PlanTarget } from '../../src/api/checkpoint-plan.ts';

/** A target that means every container. */
export function aTarget(changes: Record<string, unknown> = {}): Record<string, unknown> {
  return { name: 'all', selector: {}, ghostLimit: { fixed: '3Mi' }, ...changes };
}

export function aPolicyDocument(
  spec: Record<string, unknown> = {},
  metadata: Record<string, unknown> = {},
): Record<string, unknown> {
  return {
    apiVersion: 'ghostlimit.dev/v1alpha1',
    kind: 'CheckpointPolicy',
    metadata: { name: 'p', ...metadata },
    spec: { targets: [aTarget()], ...spec },
  };
}

/** One that gives the containers with the label app=`app` a limit. */
export function aPolicyFor(app: string, ghostLimit: unknown, spec: Record<string, unknown> = {}): unknown {
  const targets = [aTarget({ name: app, selector: { matchLabels: { app } }, ghostLimit })];
  return aPolicyDocument({ targets, ...spec }, { name: app });
}

export function aPlanTarget(changes: Partial<PlanTarget> = {}): PlanTarget {
  return { name: 'all', selector: {}, limitBytes: 3 * 2 ** 20, ...changes };
}

export function aPlanPolicy(changes: Partial<PlanPolicy> = {}): PlanPolicy {
  return {
    namespace: 'default',
    name: 'p',
    uid: '',
    generation: 0,
    mode: 'Enforce',
    scope: 'Node',
    options: [],
    targets: [aPlanTarget()],
    ...changes,
  };
}
