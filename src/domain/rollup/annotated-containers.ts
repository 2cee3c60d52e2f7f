// Containers that a policy means but cannot reach, as each names a CRIU file of its own. Pure.
import type { PolicyProblem } from '../../api/checkpoint-node.ts';
import { CRIU_CONFIG_ANNOTATION } from '../../api/names.ts';
import { printable } from '../../api/printable.ts';
import type { DesiredNode } from '../policy/resolve.ts';

/** One problem for each matched container with the annotation org.criu.config; it is read when a container is created and cannot be changed later. */
export function annotatedContainers(desired: DesiredNode | null): PolicyProblem[] {
  const problems = new Map<string, PolicyProblem>();
  for (const { policy, targets } of desired?.policies ?? []) {
    for (const { workload, container } of targets.flatMap(({ matched }) => matched)) {
      const own = container.criuConfigAnnotation ?? null;
      if (own === null) continue;
      const reads = own === '' ? 'no CRIU file but default.conf' : printable(own, 256);
      problems.set(container.id ?? `${workload.podName}/${container.name}`, {
        origin: `container ${printable(container.name, 253)}`,
        reason: 'HiddenByAnnotation',
        message: `reads ${reads}, by its annotation ${CRIU_CONFIG_ANNOTATION}: what ${policy.namespace}/${policy.name} asks for does not hold for it`,
      });
    }
  }
  return [...problems.values()];
}
