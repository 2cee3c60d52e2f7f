// `ghostlimit checkpoint CONTAINER|POD`: takes checkpoints on this host and says what came of them, as a CheckpointRequest.
import type {
  CheckpointRequest,
  ContainerResult,
  OnGhostLimit,
  SkippableCheck,
} from '../../api/checkpoint-request.ts';
import type { Condition } from '../../api/condition.ts';
import { API_VERSION } from '../../api/names.ts';
import { printable } from '../../api/printable.ts';
import { printSize } from '../../api/quantity.ts';
import { gatherSubjects, type CheckpointSubject } from '../../node-engine/checkpoint-subjects.ts';
import {
  takeCheckpoint,
  type CheckpointOrder,
  type CheckpointParts,
} from '../../node-engine/take-checkpoint.ts';
import type { ContainerRuntime } from '../../ports/container-runtime.ts';
import { exitCodeOfFailure } from '../checkpoint-exit-code.ts';
import { CommandFailure, EXIT, type ExitCode, type Output } from '../output.ts';

export interface CheckpointChoice {
  /** Container name or id, or pod name. */
  readonly reference: string;
  readonly containerName: string | null;
  /** 1..600, for one container. */
  readonly timeoutSeconds: number;
  readonly onGhostLimit?: OnGhostLimit;
  readonly skipChecks?: readonly SkippableCheck[];
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
  // The clock keeps no program alive, and a second attempt waits for it alone.
  const alive = setInterval(() => undefined, 60_000);
  try {
    for (const subject of subjects)
      containers.push(await takeCheckpoint({ subject, ...orderOf(choice) }, parts));
  } finally {
    clearInterval(alive);
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

function orderOf(choice: CheckpointChoice): Omit<CheckpointOrder, 'subject'> {
  const { timeoutSeconds, onGhostLimit, skipChecks } = choice;
  return {
    timeoutMs: timeoutSeconds * 1000,
    ...(onGhostLimit !== undefined && { onGhostLimit }),
    ...(skipChecks !== undefined && { skipChecks }),
  };
}

function unknownContainer({ reference, containerName }: CheckpointChoice): string {
  const which = containerName === null ? '' : ` with a container "${printable(containerName, 253)}"`;
  return `no container or pod is called "${printable(reference, 253)}"${which} on this host: see "docker ps" or "runc list"`;
}

function exitCodeOf(containers: readonly ContainerResult[]): ExitCode {
  const failures = containers.filter(({ result }) => result !== 'Succeeded');
  return failures.length === 0 ? EXIT.fine : exitCodeOfFailure(failures.map(({ reason }) => reason));
}

function requestOf(
  { timeoutSeconds, onGhostLimit, skipChecks }: CheckpointChoice,
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
      ...(onGhostLimit !== undefined && { onGhostLimit }),
      ...(skipChecks !== undefined && { skipChecks: [...skipChecks] }),
    },
    status: {
      conditions: [outcomeCondition(failure, times.completionTime)],
      nodeName: times.nodeName,
      startTime: times.startTime,
      completionTime: times.completionTime,
      ...(failure?.hint !== undefined && { hint: failure.hint }),
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
  if (result.result === 'Succeeded' && result.archive !== undefined)
    return [`${name}: ${successText(result, result.archive)}`, ...linesOf(result.message)].join('\n');
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

function successText(
  { durationSeconds = 0, attempts }: ContainerResult,
  { path, sizeBytes }: NonNullable<ContainerResult['archive']>,
): string {
  const attempt = attempts > 1 ? ' at the second attempt, with a higher ghost-limit' : '';
  return `checkpointed in ${durationSeconds.toString()} s${attempt}, ${printSize(sizeBytes)} in ${printable(path)}; the container runs on`;
}

function linesOf(message: string | undefined): string[] {
  return message === undefined ? [] : [`  ${message}`];
}
