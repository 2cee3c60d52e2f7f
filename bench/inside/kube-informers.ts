// The same watches twice: by our reflectors, and by the informers of @kubernetes/client-node as their documentation has them. One client for each node.
import {
  CoreV1Api,
  CustomObjectsApi,
  KubeConfig,
  ListWatch,
  makeInformer,
  Watch,
  type Informer,
  type KubernetesListObject,
  type KubernetesObject,
} from '@kubernetes/client-node';
import { systemClock } from '../../src/adapters/clock/system-clock.ts';
import { createKubeApi } from '../../src/adapters/kube/kube-api.ts';
import { CHECKPOINT_PLANS, PODS } from '../../src/api/kube-resources.ts';
import { createObjectReflector } from '../../src/machinery/reflector.ts';
import type { Log } from '../../src/ports/log.ts';
import { NO_MACHINERY_METRICS } from '../../test/settle/no-metrics.ts';
import { inTurns, machineMs, serve } from './kube-worker.ts';

export interface CachePlan {
  readonly by: 'reflector' | 'informer';
  readonly kubeconfig: string;
  readonly nodeNames: readonly string[];
}

export interface CachesState {
  /** Objects that all caches heard of since the start, as new or changed. */
  readonly heard: number;
  readonly errors: number;
  /** When a change of a plan was told, since `forget`. */
  readonly toldMs: readonly number[];
}

const STARTING_AT_ONCE = 8;
const RESTART_MS = 5_000;

const kept: unknown[] = [];
const toldMs: number[] = [];
let heard = 0;
let errors = 0;

serve({
  start: async ({ by, kubeconfig, nodeNames }: CachePlan) => {
    const startOne = by === 'reflector' ? startReflectors : startInformers;
    await inTurns(nodeNames, STARTING_AT_ONCE, (nodeName) => startOne(kubeconfig, nodeName));
  },
  forget: () => {
    toldMs.length = 0;
  },
  state: (): CachesState => ({ heard, errors, toldMs }),
});

const nothing = (): void => undefined;
const fail = (): void => {
  errors += 1;
};
const LOG: Log = { debug: nothing, info: nothing, warn: fail, error: fail };

const tell = (): void => {
  heard += 1;
  toldMs.push(machineMs());
};

async function startReflectors(kubeconfig: string, nodeName: string): Promise<void> {
  const source = { from: 'Text', text: kubeconfig } as const;
  const api = createKubeApi({ source, version: '0.0.0', component: 'bench', clock: systemClock });
  const parts = { api, clock: systemClock, log: LOG, metrics: NO_MACHINERY_METRICS, random: Math.random };
  const selection = { fieldSelector: `spec.nodeName=${nodeName}` };
  const plans = createObjectReflector(parts, { name: 'plans', resource: CHECKPOINT_PLANS });
  const pods = createObjectReflector(parts, { name: 'pods', resource: PODS, selection });
  plans.subscribe(tell);
  pods.subscribe(() => {
    heard += 1;
  });
  const { signal } = new AbortController();
  kept.push(plans.run(signal), pods.run(signal));
  await Promise.all([plans.whenSynced(signal), pods.whenSynced(signal)]);
}

async function startInformers(kubeconfig: string, nodeName: string): Promise<void> {
  const config = new KubeConfig();
  config.loadFromString(kubeconfig);
  const { group, version, plural } = CHECKPOINT_PLANS;
  const custom = config.makeApiClient(CustomObjectsApi);
  const core = config.makeApiClient(CoreV1Api);
  const plans = makeInformer(
    config,
    `/apis/${group}/${version}/${plural}`,
    async () =>
      (await custom.listClusterCustomObject({
        group,
        version,
        plural,
      })) as KubernetesListObject<KubernetesObject>,
  );
  const fieldSelector = `spec.nodeName=${nodeName}`;
  const listPods = (): Promise<KubernetesListObject<KubernetesObject>> =>
    core.listPodForAllNamespaces({ fieldSelector });
  const pods = new ListWatch('/api/v1/pods', new Watch(config), listPods, false, undefined, fieldSelector);
  plans.on('change', tell);
  pods.on('change', () => {
    heard += 1;
  });
  kept.push(plans, pods);
  for (const informer of [plans, pods]) {
    keepRunning(informer);
    await informer.start();
  }
}

/** After an error an informer stands still until somebody starts it again: the library's own example waits five seconds. */
function keepRunning(informer: Informer<KubernetesObject>): void {
  informer.on('error', () => {
    errors += 1;
    setTimeout(() => void informer.start(), RESTART_MS);
  });
}
