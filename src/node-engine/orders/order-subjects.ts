// Which containers an order means, as the API server and the runtimes show them now. Reads only; decides what runs and what is refused, never starts anything.
import type { NodeOrder } from '../../api/checkpoint-node.ts';
import type { ContainerResult } from '../../api/checkpoint-request.ts';
import { printable } from '../../api/printable.ts';
import { REASONS, type ReasonCode } from '../../api/reasons.ts';
import type { ContainerRuntime, RuntimeContainer } from '../../ports/container-runtime.ts';
import type { OrderedContainer, OrderedPod, PodDirectory } from '../../ports/order-source.ts';
import type { CheckpointSubject } from '../checkpoint-subjects.ts';
import { gatherContainers, type RuntimeListing } from '../runtime-workloads.ts';
import { ALL_CONTAINERS } from './order-ledger.ts';

export interface SubjectParts {
  readonly pods: PodDirectory;
  readonly runtimes: readonly ContainerRuntime[];
}

export interface OrderSubject extends CheckpointSubject {
  readonly tolerablePauseSeconds: number | null;
}

/** What is to be done about one container of an order. */
export type ContainerPlan =
  | { readonly name: string; readonly subject: OrderSubject }
  | { readonly name: string; readonly refusal: ContainerResult };

/** Waiting: it may be different in a moment; `refusals` are what to say when it was not. */
export type OrderPlan =
  | { readonly kind: 'Ready'; readonly containers: readonly ContainerPlan[] }
  | {
      readonly kind: 'Waiting';
      readonly why: 'PodsUnread' | 'NotFound';
      readonly refusals: readonly ContainerResult[];
    };

/** A pod, or its container, that is not seen yet may come: watches that were lost are opened again within 30 s. */
export const NOT_FOUND_MS = 40_000;

const POD_UID_LABEL = 'io.kubernetes.pod.uid';
const CONTAINER_NAME_LABEL = 'io.kubernetes.container.name';

/** The containers named, else every running regular and sidecar container. Ready plans have at least one container. Rejects for what no port foresees. */
export async function planOrder(order: NodeOrder, parts: SubjectParts): Promise<OrderPlan> {
  const pod = parts.pods.find(order.requestNamespace, order.podUID);
  if (pod === 'Unread') {
    const message = 'the pods of this node were not read from the API server yet';
    return { kind: 'Waiting', why: 'PodsUnread', refusals: refusals(order, 'DeadlineExceeded', message) };
  }
  const name = printable(`${order.requestNamespace}/${order.podName}`, 320);
  if (pod === null) {
    const message = `the pod ${name} of UID ${printable(order.podUID, 63)} is not on this node`;
    return { kind: 'Waiting', why: 'NotFound', refusals: refusals(order, 'ContainerNotRunning', message) };
  }
  const listing = await gatherContainers(parts.runtimes);
  const found = meant(order, pod).map((target) => lookUp(target, pod, listing, parts.runtimes));
  const running = found.filter(isRunning);
  // What nobody named is left out where it does not run; and where nothing runs, each says so.
  const chosen = order.containerNames === undefined && running.length > 0 ? running : found;
  if (running.length > 0 || (found.length > 0 && found.every(isKnown)))
    return { kind: 'Ready', containers: chosen.map(({ plan }) => plan) };
  const silence = silenceOf(listing, found);
  if (silence !== null)
    return { kind: 'Waiting', why: 'NotFound', refusals: refusals(order, 'RuntimeUnavailable', silence) };
  const message = `the pod ${name} has no running container`;
  const each = found.flatMap(({ plan }) => ('refusal' in plan ? [plan.refusal] : []));
  const all = each.length > 0 ? each : refusals(order, 'ContainerNotRunning', message);
  return { kind: 'Waiting', why: 'NotFound', refusals: all };
}

/** The runtime was not called. */
export function notAttempted(name: string, reason: ReasonCode, message: string): ContainerResult {
  const { remedy: hint } = REASONS[reason];
  return { name: printable(name, 253), result: 'Failed', reason, message, hint, attempts: 0 };
}

/** The same for every container that the order names. */
export function refusals(
  { containerNames }: Pick<NodeOrder, 'containerNames'>,
  reason: ReasonCode,
  message: string,
): ContainerResult[] {
  const names = containerNames ?? [];
  return (names.length === 0 ? [ALL_CONTAINERS] : [...new Set(names)]).map((name) =>
    notAttempted(name, reason, message),
  );
}

interface Target {
  readonly name: string;
  /** null: the pod has no such container. */
  readonly container: OrderedContainer | null;
}

function meant({ containerNames }: NodeOrder, { containers }: OrderedPod): Target[] {
  if (containerNames !== undefined && containerNames.length > 0)
    return [...new Set(containerNames)].map((name) => ({
      name,
      container: containers.find((container) => container.name === name) ?? null,
    }));
  return containers
    .filter(({ kind }) => kind === 'Regular' || kind === 'Sidecar')
    .map((container) => ({ name: container.name, container }));
}

interface Found {
  readonly plan: ContainerPlan;
  /** Whether it is certain that the container runs, or does not. */
  readonly known: boolean;
}

function isRunning({ plan }: Found): boolean {
  return 'subject' in plan;
}

function isKnown({ known }: Found): boolean {
  return known;
}

function lookUp(
  { name, container }: Target,
  pod: OrderedPod,
  { containers }: RuntimeListing,
  runtimes: readonly ContainerRuntime[],
): Found {
  const shown = printable(name, 253);
  const refuse = (known: boolean, state: string): Found => ({
    known,
    plan: {
      name,
      refusal: notAttempted(name, 'ContainerNotRunning', `container ${shown} ${state}`),
    },
  });
  if (container === null) return refuse(true, 'is none of the pod');
  const candidates = containers.filter(
    ({ id, labels }) =>
      id === container.id || (labels[POD_UID_LABEL] === pod.podUID && labels[CONTAINER_NAME_LABEL] === name),
  );
  // The runtime keeps dead ones, and the API server may still show the id of one.
  const running = candidates.find(({ state }) => state === 'Running' || state === 'Paused');
  const runtime = runtimes.find((one) => one.name === running?.runtime);
  if (running !== undefined && runtime !== undefined)
    return { known: true, plan: { name, subject: subjectOf(running, runtime, pod, container) } };
  const [dead] = candidates;
  if (dead !== undefined) return refuse(true, `is ${dead.state.toLowerCase()}, not running`);
  if (container.id === null) return refuse(true, 'was not started yet');
  return refuse(false, 'is not known to the container runtime');
}

function subjectOf(
  running: RuntimeContainer,
  runtime: ContainerRuntime,
  pod: OrderedPod,
  target: OrderedContainer,
): OrderSubject {
  const { id, pid, criuConfigAnnotation } = running;
  const container = { ...target, id, pid, criuConfigAnnotation };
  // Targets of policies are matched against the pod, and the container is told among those by identity.
  const containers = pod.containers.map((one) => (one === target ? container : one));
  return {
    runtime,
    container: running,
    matched: { workload: { ...pod, containers }, container },
    tolerablePauseSeconds: target.tolerablePauseSeconds,
  };
}

/** Why what the runtimes list says nothing of pods, in words; null: it does. */
function silenceOf({ containers, unavailable }: RuntimeListing, found: readonly Found[]): string | null {
  if (found.every(isKnown) || containers.some(({ labels }) => POD_UID_LABEL in labels)) return null;
  if (unavailable.size === 0) return null;
  const words = [...unavailable].map((pair) => pair.join(': ')).join('; ');
  return `no container runtime of pods answers: ${printable(words, 1024)}`;
}
