// Which containers a user means by a name: a container of an engine, or all (or one) of a pod's.
import {
  RuntimeUnavailable,
  type ContainerRuntime,
  type RuntimeContainer,
} from '../ports/container-runtime.ts';
import type { MatchedContainer } from '../domain/policy/resolve.ts';
import { gatherContainers, workloadOf } from './runtime-workloads.ts';

export interface CheckpointSubject {
  readonly runtime: ContainerRuntime;
  readonly container: RuntimeContainer;
  readonly matched: MatchedContainer;
}

/**
 * The containers that `reference` (container name, id, unique id prefix, or pod name) means, only those named `containerName` where given.
 * Of a pod those that run, as the engine keeps dead ones too; all of them when none runs. Empty: there is none, in whatever state.
 * Rejects with RuntimeUnavailable when no runtime answers.
 */
export async function gatherSubjects(
  runtimes: readonly ContainerRuntime[],
  reference: string,
  containerName: string | null,
): Promise<readonly CheckpointSubject[]> {
  for (const runtime of runtimes) {
    const container = await findQuietly(runtime, reference);
    const subject = container === null ? null : subjectOf(runtime, container);
    if (subject !== null && isNamed(subject, containerName)) return [subject];
  }
  const { containers, available, unavailable } = await gatherContainers(runtimes);
  if (available.length === 0)
    throw new RuntimeUnavailable(
      `no container engine answers: ${[...unavailable].map((parts) => parts.join(': ')).join('; ')}`,
    );
  const subjects = containers
    .filter((container) => workloadOf(container).podName === reference)
    .flatMap((container) => {
      const runtime = runtimes.find(({ name }) => name === container.runtime);
      return runtime === undefined ? [] : [subjectOf(runtime, container)];
    })
    .filter((subject) => isNamed(subject, containerName));
  const running = subjects.filter(({ container }) => container.pid !== null);
  return running.length > 0 ? running : subjects;
}

function isNamed({ matched }: CheckpointSubject, containerName: string | null): boolean {
  return containerName === null || matched.container.name === containerName;
}

/** A runtime that is not there knows nobody. */
async function findQuietly(runtime: ContainerRuntime, reference: string): Promise<RuntimeContainer | null> {
  try {
    return await runtime.find(reference);
  } catch (error) {
    if (error instanceof RuntimeUnavailable) return null;
    throw error;
  }
}

function subjectOf(runtime: ContainerRuntime, container: RuntimeContainer): CheckpointSubject {
  const workload = workloadOf(container);
  const [only] = workload.containers;
  if (only === undefined) throw new Error('a container is a workload of one container');
  return { runtime, container, matched: { workload, container: only } };
}
