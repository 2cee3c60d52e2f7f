// The agent of a node of a cluster: the node engine with the API server as source of policies and pods, and its own CheckpointNode as sink.
import { viewPod } from '../../api/core-views.ts';
import { CHECKPOINT_NODES, CHECKPOINT_PLANS, PODS } from '../../api/kube-resources.ts';
import { syncedCheck } from '../../machinery/health.ts';
import { createObjectReflector, createReflector, type ReflectorParts } from '../../machinery/reflector.ts';
import type { NodeEngineParts } from '../../node-engine/node-engine.ts';
import type { ContainerRuntime } from '../../ports/container-runtime.ts';
import type { HostFacts } from '../../ports/host-facts.ts';
import { runAgent, type RunningAgent } from '../run-agent.ts';
import { runClusterOrders, type OrderGround } from './cluster-orders.ts';
import type { LatePods } from './late-pods.ts';
import { createNodeReportSink } from './node-report-sink.ts';
import { createPodWorkloadSource } from './pod-workload-source.ts';
import { createShardPlanSource, planShard } from './shard-plan-source.ts';

/** Thousands of agents lose their watches at once when an API server restarts. */
const LOSS_JITTER_MS = 30_000;

export interface ClusterAgentParts {
  readonly reflector: ReflectorParts;
  readonly nodeName: string;
  readonly runtimes: readonly ContainerRuntime[];
  /** For runtimes that go by the pods; absent: none does. */
  readonly latePods?: Pick<LatePods, 'connect'>;
  /** Absent: the agent takes no checkpoints that are ordered. */
  readonly orders?: OrderGround;
  /** The engine without its sources and its sink. */
  readonly engine: Omit<NodeEngineParts, 'plan' | 'workloads' | 'sink'>;
}

/** The facts of the host under the name that Kubernetes knows the node by, which need not be its host name. */
export function factsOfNode(facts: HostFacts, nodeName: string): HostFacts {
  return { read: async () => ({ ...(await facts.read()), nodeName }) };
}

/** Runs until `signal` aborts. A checkpoint that is being taken then is finished first; then the last pass ends, and at last the caches and the report. */
export function runClusterAgent(parts: ClusterAgentParts, signal: AbortSignal): RunningAgent {
  const { nodeName, engine } = parts;
  const { plans, pods, own } = watch(parts);
  parts.latePods?.connect(pods);
  const plan = createShardPlanSource(plans);
  const sink = createNodeReportSink({
    kube: parts.reflector.api,
    nodeName,
    own,
    plansSeen: () => plan.seen(),
    spreadMs: () => plan.nodeSettings().reportSpreadSeconds * 1000,
    clock: engine.clock,
    random: parts.reflector.random,
    log: engine.log,
  });
  const workloads = createPodWorkloadSource({ pods, runtimes: parts.runtimes, log: engine.log });
  const background = new AbortController();
  const running = [plans, pods, own, sink].map((part) => part.run(background.signal));
  const ground = parts.orders;
  const engineSignal =
    ground === undefined
      ? signal
      : abortedAfter(
          runClusterOrders({ ...parts, ground, own, pods, plan, plans, reports: sink.orders }, signal),
        );
  const agent = runAgent({ ...engine, plan, workloads, sink }, engineSignal);
  const done = agent.done.then(async () => {
    background.abort();
    await Promise.all(running);
  });
  const synced = syncedCheck([plans, pods]);
  return {
    health: { problem: () => agent.health.problem(), ready: () => agent.health.ready() && synced() === null },
    done,
  };
}

/** A checkpoint needs the engine's hold on the files until its end. */
function abortedAfter(work: Promise<void>): AbortSignal {
  const end = new AbortController();
  void work.then(() => {
    end.abort();
  });
  return end.signal;
}

function watch({ reflector, nodeName }: ClusterAgentParts) {
  const lossJitterMs = LOSS_JITTER_MS;
  return {
    plans: createReflector(reflector, {
      name: 'plans',
      resource: CHECKPOINT_PLANS,
      project: planShard,
      lossJitterMs,
    }),
    pods: createReflector(reflector, {
      name: 'pods',
      resource: PODS,
      selection: { fieldSelector: `spec.nodeName=${nodeName}` },
      project: viewPod,
      lossJitterMs,
    }),
    own: createObjectReflector(reflector, {
      name: 'own-node',
      resource: CHECKPOINT_NODES,
      selection: { fieldSelector: `metadata.name=${nodeName}` },
      lossJitterMs,
    }),
  };
}
