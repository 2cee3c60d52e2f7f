// Whether a new request can be carried out at all. Pure: what is refused is refused at once, with the reason, and nothing is frozen for it.
import type { PodView } from '../../api/core-views.ts';
import type { ReasonCode } from '../../api/reasons.ts';
import { podWorkload } from '../policy/pod-workload.ts';
import { startDeadlineMs, type RequestFacts } from './request-facts.ts';

/** Requests of one namespace that may wait at a time. */
export const QUEUE_MAX = 1000;

export interface Refusal {
  readonly reason: ReasonCode;
  readonly message: string;
}

export interface PodContainerFacts {
  readonly name: string;
  readonly kind: 'Regular' | 'Sidecar' | 'Init' | 'Ephemeral';
  readonly running: boolean;
}

export interface PodFacts {
  readonly uid: string;
  /** Empty: not scheduled. */
  readonly nodeName: string;
  readonly phase: string;
  readonly containers: readonly PodContainerFacts[];
}

export interface NodeFacts {
  readonly name: string;
  /** There is a Node of that name. */
  readonly exists: boolean;
  /** An agent of this Node has reported once. */
  readonly reported: boolean;
  /** Its agent answers now, or did half a minute ago. */
  readonly agentLive: boolean;
}

export interface Admission {
  readonly nowMs: number;
  readonly paused: boolean;
  readonly removal: boolean;
  /** null: there is none. */
  readonly pod: PodFacts | null;
  /** Of the pod. */
  readonly node: NodeFacts;
  /** Others of the namespace that wait. */
  readonly waitingInNamespace: number;
}

export function podFacts(pod: PodView): PodFacts {
  const { status } = pod;
  const running = new Set(
    [
      ...status.containerStatuses,
      ...status.initContainerStatuses,
      ...status.ephemeralContainerStatuses,
    ].flatMap(({ name, state }) => (state.running === undefined ? [] : [name])),
  );
  const { podUID, containers } = podWorkload(pod);
  return {
    uid: podUID,
    nodeName: pod.spec.nodeName,
    phase: status.phase,
    containers: containers.map(({ name, kind }) => ({ name, kind, running: running.has(name) })),
  };
}

/** Whether the container is meant when a request names none. */
export function isMeantByDefault({ kind }: Pick<PodContainerFacts, 'kind'>): boolean {
  return kind === 'Regular' || kind === 'Sidecar';
}

/** null: it can be queued. The first of all that is against it, the most general first. */
export function refusalOf(facts: RequestFacts, world: Admission): Refusal | null {
  return (
    switchedOff(world) ?? outOfTime(facts, world) ?? podRefusal(facts, world) ?? queueRefusal(facts, world)
  );
}

function switchedOff({ removal, paused }: Admission): Refusal | null {
  if (removal)
    return { reason: 'Withdrawn', message: 'the operator takes everything back (setting removal: true)' };
  if (!paused) return null;
  return {
    reason: 'CheckpointsPaused',
    message:
      'checkpoints are paused by the setting checkpointsPaused, and requests made meanwhile are refused',
  };
}

function outOfTime(facts: RequestFacts, { nowMs, node }: Admission): Refusal | null {
  if (facts.spec === null) return { reason: 'InvalidRequest', message: facts.specProblem };
  if (nowMs < startDeadlineMs(facts)) return null;
  return deadlineExceeded(facts, node);
}

export function deadlineExceeded(
  { spec }: Pick<RequestFacts, 'spec'>,
  { name, agentLive }: Pick<NodeFacts, 'name' | 'agentLive'>,
): Refusal {
  const where = name === '' ? '' : ` on the node ${name}${agentLive ? '' : ', whose agent does not answer'}`;
  return {
    reason: 'DeadlineExceeded',
    message: `not started within ${spec?.startDeadlineSeconds ?? 0} s (startDeadlineSeconds)${where}`,
  };
}

function podRefusal({ spec, namespace }: RequestFacts, { pod, node }: Admission): Refusal | null {
  const podName = spec?.podName ?? '';
  if (pod === null)
    return { reason: 'PodNotFound', message: `there is no pod ${podName} in the namespace ${namespace}` };
  if (spec?.podUID !== undefined && spec.podUID !== pod.uid)
    return {
      reason: 'PodReplaced',
      message: `the pod ${podName} has the UID ${pod.uid}, not ${spec.podUID}`,
    };
  return containerRefusal(podName, spec?.containerNames, pod) ?? nodeRefusal(node);
}

function containerRefusal(
  podName: string,
  names: readonly string[] | undefined,
  { containers, phase, nodeName }: PodFacts,
): Refusal | null {
  const there = new Map(containers.map((container) => [container.name, container]));
  const unknown = names?.find((name) => !there.has(name));
  if (unknown !== undefined)
    return {
      reason: 'ContainerNotFound',
      message: `the pod ${podName} has no container ${unknown}; it has ${[...there.keys()].join(', ')}`,
    };
  const state = nodeName === '' ? `the pod ${podName} has no node yet` : `the pod ${podName} is ${phase}`;
  const idle = names?.find((name) => there.get(name)?.running !== true);
  if (idle !== undefined)
    return { reason: 'ContainerNotRunning', message: `the container ${idle} does not run; ${state}` };
  if (names !== undefined || containers.some((one) => isMeantByDefault(one) && one.running)) return null;
  return { reason: 'ContainerNotRunning', message: `no container runs; ${state}` };
}

function nodeRefusal({ name, exists, reported, agentLive }: NodeFacts): Refusal | null {
  if (!exists || !reported)
    return { reason: 'NodeNotServed', message: `no agent has reported from the node ${name}` };
  if (agentLive) return null;
  return { reason: 'AgentMissing', message: `the agent of the node ${name} does not run, or is not ready` };
}

function queueRefusal({ namespace }: RequestFacts, { waitingInNamespace }: Admission): Refusal | null {
  if (waitingInNamespace < QUEUE_MAX) return null;
  return {
    reason: 'QueueFull',
    message: `${waitingInNamespace} requests of the namespace ${namespace} wait already, which is the most there may be`,
  };
}
