// The list of what the controller does: which kinds it watches, which loops run over them, and which change asks for which key.
import {
  CHECKPOINT_NODES,
  CHECKPOINT_PLANS,
  CHECKPOINT_POLICIES,
  CHECKPOINT_REQUESTS,
  CONFIG_MAPS,
  DAEMON_SETS,
  NODES,
  PODS,
} from '../api/kube-resources.ts';
import { AGENT_NAME, AGENT_POD_LABELS, SETTINGS_CONFIG_MAP } from '../api/names.ts';
import { PLAN_NAMES, planNameOf, SETTINGS_PLAN_NAME } from '../domain/plan/plan-shards.ts';
import { agentDaemonSet } from '../domain/rollout/agent-daemonset.ts';
import { printLabelSelector } from '../domain/policy/label-selector-text.ts';
import { createController, keysFrom, type Controller, type KeySource } from '../machinery/controller.ts';
import { createObjectReflector, createReflector, type Reflector } from '../machinery/reflector.ts';
import type { Change } from '../machinery/store.ts';
import type { Clock } from '../ports/clock.ts';
import type { Cron } from '../ports/cron.ts';
import type { KubeApi } from '../ports/kube-api.ts';
import type { Log } from '../ports/log.ts';
import type { MachineryMetrics } from '../ports/machinery-metrics.ts';
import { createAgentRolloutReconciler } from './agent-rollout-reconciler.ts';
import {
  AGENT_POD_INDEXES,
  POLICY_INDEXES,
  policyKeysOf,
  PROJECTIONS,
  REPORT_INDEXES,
  REQUEST_INDEXES,
  requestPolicyKeys,
  type CachedReport,
  type ClusterCaches,
} from './cluster-view.ts';
import { createEventRecorder } from './event-recorder.ts';
import { createLearnedLimits, LEARN_PERIOD_MS } from './learned-limits.ts';
import { createNodeObjectReconciler } from './node-object-reconciler.ts';
import { createPlanReconciler } from './plan-reconciler.ts';
import { createPolicyNodes, type PolicyNodes } from './policy-nodes.ts';
import { createPolicyReconciler } from './policy-reconciler.ts';
import { createRemovalReconciler } from './removal-reconciler.ts';
import { createRequestLoops } from './request-wiring.ts';
import { createScheduleReconciler } from './schedule-reconciler.ts';
import { createSettingsSource, type SettingsSource } from './settings-view.ts';
import { createStatusBudget } from './status-budget.ts';

/** Ten edits in a row make one write of a plan, which all agents read. */
export const PLAN_DEBOUNCE_MS = 500;
/** Reports of a roll-out come in hundreds a second: a status is rolled up from what came in this time. */
const REPORT_DEBOUNCE_MS = 250;
/** Requests of a round finish one after the other. */
const ROUND_DEBOUNCE_MS = 1000;
const CLUSTER_KEY = 'cluster';

export interface ControllerParts {
  readonly kube: KubeApi;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  readonly metrics: MachineryMetrics;
  readonly parseYaml: (text: string) => unknown;
  readonly cron: Cron;
  /** Where the operator lives. */
  readonly namespace: string;
  /** Of this process: its pod. */
  readonly instance: string;
  /** The image of this program, for agents whose image is not set. */
  readonly image: string;
  readonly deploymentName: string | null;
}

export interface WiredController {
  readonly settings: SettingsSource;
  readonly reflectors: readonly Reflector<unknown>[];
  /** For the leader only. */
  readonly controllers: readonly Controller[];
}

export function wireController(parts: ControllerParts): WiredController {
  const watched = watch(parts);
  const { settings } = watched;
  return {
    settings,
    reflectors: Object.values(watched.reflectors),
    controllers: controllersOf(parts, watched),
  };
}

type Watched = ReturnType<typeof watch>;

function watch({ kube, namespace, ...parts }: ControllerParts) {
  const reflectorParts = { ...parts, api: kube };
  const settings = createSettingsSource(parts.parseYaml, parts.log);
  const reflectors = {
    policies: createReflector(reflectorParts, {
      name: 'policies',
      resource: CHECKPOINT_POLICIES,
      project: PROJECTIONS.policies,
      indexes: POLICY_INDEXES,
    }),
    plans: createReflector(reflectorParts, {
      name: 'plans',
      resource: CHECKPOINT_PLANS,
      project: PROJECTIONS.plans,
    }),
    reports: createReflector(reflectorParts, {
      name: 'reports',
      resource: CHECKPOINT_NODES,
      project: PROJECTIONS.reports,
      indexes: REPORT_INDEXES,
    }),
    requests: createReflector(reflectorParts, {
      name: 'requests',
      resource: CHECKPOINT_REQUESTS,
      project: PROJECTIONS.requests,
      indexes: REQUEST_INDEXES,
    }),
    nodes: createReflector(reflectorParts, { name: 'nodes', resource: NODES, project: PROJECTIONS.nodes }),
    agentPods: createReflector(reflectorParts, {
      name: 'agent-pods',
      resource: PODS,
      selection: { namespace, labelSelector: printLabelSelector({ matchLabels: AGENT_POD_LABELS }) },
      project: PROJECTIONS.agentPods,
      indexes: AGENT_POD_INDEXES,
    }),
    configMap: createObjectReflector(reflectorParts, {
      name: 'settings',
      resource: CONFIG_MAPS,
      selection: { namespace, fieldSelector: `metadata.name=${SETTINGS_CONFIG_MAP}` },
    }),
    daemonSet: createReflector(reflectorParts, {
      name: 'daemon-set',
      resource: DAEMON_SETS,
      selection: { namespace, fieldSelector: `metadata.name=${AGENT_NAME}` },
      project: ({ metadata }) => ({ uid: metadata.uid, generation: metadata.generation }),
    }),
  };
  // Before any loop hears of the change.
  reflectors.configMap.subscribe(({ after }) => {
    settings.take(after);
  });
  const caches: ClusterCaches = {
    policies: reflectors.policies.store,
    plans: reflectors.plans.store,
    reports: reflectors.reports.store,
    nodes: reflectors.nodes.store,
    agentPods: reflectors.agentPods.store,
    requests: reflectors.requests.store,
  };
  return { settings, reflectors, caches };
}

function controllersOf(parts: ControllerParts, watched: Watched): Controller[] {
  const { settings, caches, reflectors } = watched;
  const shared = { ...parts, settings, caches };
  const learned = createLearnedLimits(shared);
  const events = createEventRecorder(parts);
  const always = (keys: () => Iterable<string>): KeySource => keysFrom(reflectors.configMap, keys);
  const nodes = createPolicyNodes(shared);
  const budget = createStatusBudget(parts.clock);
  const policies = policyController(
    parts,
    { ...watched, nodes },
    createPolicyReconciler({ ...shared, learned, nodes, budget, events }),
  );
  const scheduling = createScheduleReconciler({ ...shared, budget, events });
  const schedules = scheduleController(parts, watched, scheduling);
  const plans = planController(parts, watched, createPlanReconciler({ ...shared, learned }));
  const learning = createController(parts, {
    name: 'learned-limits',
    reconcile: learn(learned, plans, parts.clock),
    sources: [
      keysFrom(reflectors.reports, ({ before, after }) =>
        [...keysIn(before), ...keysIn(after)].map((key) => planNameOf(key.split('/')[0] ?? '')),
      ),
      synced(reflectors.plans),
    ],
  });
  const nodeObjects = createController(parts, {
    name: 'node-objects',
    reconcile: createNodeObjectReconciler(shared),
    sources: [keysFrom(reflectors.nodes, ownKey), keysFrom(reflectors.reports, ownKey)],
  });
  const wanted = agentDaemonSet({ namespace: parts.namespace, image: parts.image });
  const rollout = createController(parts, {
    name: 'agent-rollout',
    reconcile: createAgentRolloutReconciler({ ...shared, wanted }),
    sources: [always(() => [CLUSTER_KEY]), keysFrom(reflectors.daemonSet, () => [CLUSTER_KEY])],
  });
  const removal = createController(parts, {
    name: 'removal',
    reconcile: createRemovalReconciler({ ...shared, events }),
    sources: [
      always(() => [CLUSTER_KEY]),
      ...[
        reflectors.policies,
        reflectors.requests,
        reflectors.plans,
        reflectors.reports,
        reflectors.nodes,
      ].map(synced),
    ],
  });
  const settingsEvents = createController(parts, {
    name: 'settings',
    reconcile: async () => {
      const configMap = settings.object();
      const note = settings.problem();
      if (configMap !== null && note !== null)
        await events.emit(configMap, {
          type: 'Warning',
          reason: 'SettingsInvalid',
          action: 'Reconcile',
          note,
        });
    },
    sources: [always(() => [CLUSTER_KEY])],
  });
  const requests = createRequestLoops({ ...shared, events }, reflectors);
  return [plans, policies, schedules, ...requests, learning, nodeObjects, rollout, removal, settingsEvents];
}

type Reconcile = Parameters<typeof createController>[1]['reconcile'];

function planController(parts: ControllerParts, { reflectors }: Watched, reconcile: Reconcile): Controller {
  const controller: Controller = createController(parts, {
    name: 'plans',
    reconcile,
    sources: [
      keysFrom(reflectors.configMap, () => PLAN_NAMES),
      keysFrom(reflectors.plans, ownKey),
      lagged(
        reflectors.policies,
        ({ key }) => [planNameOf(key.split('/')[0] ?? '')],
        (key) => {
          controller.enqueue(key, PLAN_DEBOUNCE_MS);
        },
      ),
      // Only the count of nodes matters.
      lagged(
        reflectors.nodes,
        ({ before, after }) => (before === null || after === null ? [SETTINGS_PLAN_NAME] : []),
        (key) => {
          controller.enqueue(key, PLAN_DEBOUNCE_MS);
        },
      ),
      synced(reflectors.reports),
    ],
  });
  return controller;
}

function policyController(
  parts: ControllerParts,
  { reflectors, caches, nodes }: Watched & { readonly nodes: PolicyNodes },
  reconcile: Reconcile,
): Controller {
  const later = (key: string): void => {
    controller.enqueue(key, REPORT_DEBOUNCE_MS);
  };
  const onNode = (nodeName: string): string[] => keysIn(caches.reports.get(nodeName));
  const controller: Controller = createController(parts, {
    name: 'policies',
    reconcile,
    workers: 4,
    sources: [
      keysFrom(reflectors.policies, ownKey),
      keysFrom(reflectors.configMap, () => caches.policies.keys()),
      lagged(reflectors.plans, ({ key }) => caches.policies.keysBy('plan', key), later),
      lagged(reflectors.reports, ({ before, after }) => [...keysIn(before), ...keysIn(after)], later),
      lagged(
        reflectors.nodes,
        ({ key, before, after }) =>
          before?.ready === after?.ready ? [] : [...onNode(key), ...nodes.expecting(key)],
        later,
      ),
      lagged(
        reflectors.agentPods,
        ({ before, after }) => [before, after].flatMap((pod) => (pod === null ? [] : onNode(pod.nodeName))),
        later,
      ),
    ],
  });
  return controller;
}

function scheduleController(
  parts: ControllerParts,
  { reflectors, caches }: Watched,
  reconcile: Reconcile,
): Controller {
  const controller: Controller = createController(parts, {
    name: 'schedules',
    reconcile,
    workers: 2,
    sources: [
      keysFrom(reflectors.policies, ownKey),
      keysFrom(reflectors.configMap, () => caches.policies.keys()),
      keysFrom(reflectors.plans, ({ key }) => caches.policies.keysBy('plan', key)),
      lagged(
        reflectors.requests,
        ({ before, after }) =>
          [before, after].flatMap((request) => (request === null ? [] : requestPolicyKeys(request))),
        (key) => {
          controller.enqueue(key, ROUND_DEBOUNCE_MS);
        },
      ),
    ],
  });
  return controller;
}

/** One plan follows what was learned at most once a minute; the first news at once. */
function learn(learned: ReturnType<typeof createLearnedLimits>, plans: Controller, clock: Clock): Reconcile {
  const foldedAtMs = new Map<string, number>();
  return async (planName, signal) => {
    const sinceMs = clock.monotonicMs() - (foldedAtMs.get(planName) ?? -Infinity);
    if (sinceMs < LEARN_PERIOD_MS) return { requeueAfterMs: LEARN_PERIOD_MS - sinceMs };
    if (!(await learned.fold(planName, signal))) return {};
    foldedAtMs.set(planName, clock.monotonicMs());
    plans.enqueue(planName);
    return { requeueAfterMs: LEARN_PERIOD_MS };
  };
}

const ownKey = ({ key }: Change<unknown>): string[] => [key];

function keysIn(report: CachedReport | null): string[] {
  return report === null ? [] : policyKeysOf(report);
}

/** Asks for nothing by itself, but has to be complete before the first reconcile. */
function synced(reflector: Pick<Reflector<unknown>, 'whenSynced'>): KeySource {
  return { whenSynced: (signal) => reflector.whenSynced(signal), subscribe: () => () => undefined };
}

/** Keys that wait a while for others like them; what is there at the start is told by another source. */
function lagged<T>(
  reflector: Reflector<T>,
  keysOf: (change: Change<T>) => Iterable<string>,
  ask: (key: string) => void,
): KeySource {
  return {
    whenSynced: (signal) => reflector.whenSynced(signal),
    subscribe: () =>
      reflector.subscribe((change) => {
        for (const key of keysOf(change)) ask(key);
      }),
  };
}
