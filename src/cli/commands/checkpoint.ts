// `ghostlimit checkpoint CONTAINER|POD`: takes checkpoints on this host and says what came of them, as a CheckpointRequest.
import type { CheckpointRequest, ContainerResult } from '../../api/checkpoint-request.ts';
import type { Condition } from '../../api/condition.ts';
import { API_VERSION } from '../../api/names.ts';
import { printable } from '../../api/printable.ts';
import { printSize } from '../../api/quantity.ts';
import { gatherSubjects, type CheckpointSubject } from '../../node-engine/checkpoint-subjects.ts';
import { takeCheckpoint, type CheckpointParts } from '../../node-engine/take-checkpoint.ts';
import type { ContainerRuntime } from '../../ports/container-runtime.ts';
import { CommandFailure, EXIT, type ExitCode, type Output } from '../output.ts';

export interface CheckpointChoice {
  /** Container name or id, or pod name. */
  readonly reference: string;
  readonly containerName: string | null;
  /** 1..600, for one container. */
  readonly timeoutSeconds: number;
}

export interface CheckpointCommandParts extends CheckpointParts {
  readonly runtimes: readonly ContainerRuntime[];
  readonly nodeName: string;
}

export async function checkpoint(
  choice: CheckpointChoice,
  parts: CheckpointCommandParts,
  output: Output,
): Promise<ExitCode> {
  const subjects = await gatherSubjects(parts.runtimes, choice.reference, choice.containerName);
  const [first] = subjects;
  if (first === undefined) throw new CommandFailure(unknownContainer(choice));
  const startTime = new Date(parts.clock.now()).toISOString();
  const containers: ContainerResult[] = [];
  for (const subject of subjects) {
    containers.push(await takeCheckpoint({ subject, timeoutMs: choice.timeoutSeconds * 1000 }, parts));
  }
  const request = requestOf(choice, first, containers, {
    startTime,
    nodeName: parts.nodeName,
    completionTime: new Date(parts.clock.now()).toISOString(),
  });
  if (output.format === 'json') output.printJson(request);
  else output.print(containers.map(resultText).join('\n'));
  return exitCodeOf(containers);
}

function unknownContainer({ reference, containerName }: CheckpointChoice): string {
  const which = containerName === null ? '' : ` with a container "${printable(containerName, 253)}"`;
  return `no container or pod is called "${printable(reference, 253)}"${which} on this host: see "docker ps" or "runc list"`;
}

function exitCodeOf(containers: readonly ContainerResult[]): ExitCode {
  const failures = containers.filter(({ result }) => result !== 'Succeeded');
  if (failures.length === 0) return EXIT.fine;
  const timedOut = failures.some(({ reason }) => reason === 'TimedOut' || reason === 'DeadlineExceeded');
  return timedOut ? EXIT.timedOut : EXIT.failed;
}

function requestOf(
  { timeoutSeconds }: CheckpointChoice,
  { matched }: CheckpointSubject,
  containers: readonly ContainerResult[],
  times: { readonly startTime: string; readonly completionTime: string; readonly nodeName: string },
): CheckpointRequest {
  const failure = containers.find(({ result }) => result !== 'Succeeded');
  const { podName, namespace } = matched.workload;
  return {
    apiVersion: API_VERSION,
    kind: 'CheckpointRequest',
    metadata: {
      name: `local-${times.startTime.replaceAll(/[:.]/g, '-').toLowerCase()}`,
      namespace: printable(namespace, 63),
    },
    spec: {
      podName: printable(podName, 253),
      containerNames: containers.map(({ name }) => name),
      timeoutSeconds,
    },
    status: {
      conditions: [outcomeCondition(failure, times.completionTime)],
      nodeName: times.nodeName,
      startTime: times.startTime,
      completionTime: times.completionTime,
      containers: [...containers],
    },
  };
}

function outcomeCondition(failure: ContainerResult | undefined, lastTransitionTime: string): Condition {
  if (failure === undefined) {
    return {
      type: 'Complete',
      status: 'True',
      reason: 'Checkpointed',
      message: 'every container was checkpointed and runs on',
      lastTransitionTime,
    };
  }
  const message = `${failure.name}: ${failure.message ?? ''}`.slice(0, 1024);
  return {
    type: 'Failed',
    status: 'True',
    reason: failure.reason ?? 'Unclassified',
    message,
    lastTransitionTime,
  };
}

function resultText(result: ContainerResult): string {
  const name = printable(result.name, 253);
  if (result.result === 'Succeeded' && result.archive !== undefined) {
    const { path, sizeBytes } = result.archive;
    return `${name}: checkpointed in ${(result.durationSeconds ?? 0).toString()} s, ${printSize(sizeBytes)} in ${printable(path)}; the container runs on`;
  }
  const lines = [
    `${name}: ${result.result.toUpperCase()}: ${result.reason ?? ''}`,
    `  ${result.message ?? ''}`,
  ];
  if (result.ghostFile !== undefined)
    lines.push(
      `  ghost file: ${result.ghostFile.path}, ${result.ghostFile.bytes.toString()} bytes (${printSize(result.ghostFile.bytes)})`,
    );
  if (result.requiredGhostLimitBytes !== undefined)
    lines.push(`  smallest limit that would do: ${result.requiredGhostLimitBytes.toString()}`);
  if (result.hint !== undefined) lines.push(`  what to do: ${result.hint}`);
  return lines.join('\n');
}
