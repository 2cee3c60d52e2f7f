// The adapter of the kubelet's API over a real kubelet of a lab cluster, with the pods of its node from the real API server.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startApiRelay } from '../../hack/kube/api-relay.ts';
import type { Cluster } from '../../hack/kube/cluster.ts';
import type { KubeNode } from '../../hack/kube/kube-node.ts';
import { ensureBusyboxImage } from '../../hack/kube/test-images.ts';
import { systemClock } from '../../src/adapters/clock/system-clock.ts';
import { createKubeApi } from '../../src/adapters/kube/kube-api.ts';
import {
  KubeletRuntime,
  type KubeletPlace,
  type KubeletRuntimeOptions,
} from '../../src/adapters/runtimes/kubelet-runtime.ts';
import { createLatePods } from '../../src/agent/cluster/late-pods.ts';
import { KUBELET_CHECKPOINT_RULES } from '../../src/agent/rbac.ts';
import { viewPod } from '../../src/api/core-views.ts';
import { PODS } from '../../src/api/kube-resources.ts';
import { createReflector } from '../../src/machinery/reflector.ts';
import { insideRunner, silent, type LabEngine } from '../lab/engine-rig.ts';
import { NO_MACHINERY_METRICS } from '../settle/no-metrics.ts';
import { eventually } from './eventually.ts';

export interface KubeletLab {
  readonly runtime: KubeletRuntime;
  /** The same with another place, or another account. */
  runtimeWith(kubelet: Partial<KubeletPlace>): KubeletRuntime;
  /** The file with the token of an account that may do nothing. */
  readonly powerlessTokenFile: string;
  /** A file of this name with this text that is gone after the tests. */
  file(name: string, text: string): Promise<string>;
  readonly engine: LabEngine;
  stop(): Promise<void>;
}

const ALLOWED = 'checkpoint-taker';
const POWERLESS = 'powerless';

const RIGHTS: readonly unknown[] = [
  account(ALLOWED),
  account(POWERLESS),
  {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    metadata: { name: ALLOWED },
    rules: KUBELET_CHECKPOINT_RULES,
  },
  {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata: { name: ALLOWED },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: ALLOWED },
    subjects: [{ kind: 'ServiceAccount', name: ALLOWED, namespace: 'default' }],
  },
];

function account(name: string): unknown {
  return { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace: 'default' } };
}

/** The kubelet is reached over a port of this machine: its certificate is for the node's name all the same. */
export async function startKubeletLab(cluster: Cluster, node: KubeNode): Promise<KubeletLab> {
  const folder = await mkdtemp(join(tmpdir(), 'ghostlimit-kubelet-'));
  const file = async (name: string, text: string): Promise<string> => {
    await writeFile(join(folder, name), text);
    return join(folder, name);
  };
  await cluster.kubectl(['apply', '-f', '-'], {
    input: JSON.stringify({ apiVersion: 'v1', kind: 'List', items: RIGHTS }),
  });
  const tokenOf = async (name: string): Promise<string> =>
    await file(`${name}.token`, await cluster.kubectl(['create', 'token', name]));
  const relay = await startApiRelay(node.lab().initPid, `${node.ip}:10250`);
  const pods = watchPods(cluster, node.name);
  const lab = node.lab();
  const options: KubeletRuntimeOptions = {
    kubelet: {
      address: '127.0.0.1',
      port: relay.port,
      nodeName: node.name,
      rootDirectory: '/var/lib/kubelet',
      caFile: null,
      clusterCaFile: await file('cluster-ca.crt', cluster.ca),
      tokenFile: await tokenOf(ALLOWED),
    },
    nodePods: pods.late,
    hostRoot: lab.rootPath,
    procRoot: join(lab.rootPath, 'proc'),
    runner: insideRunner(lab),
    clock: systemClock,
    log: silent,
  };
  const runtimeWith = (kubelet: Partial<KubeletPlace>): KubeletRuntime =>
    new KubeletRuntime({ ...options, kubelet: { ...options.kubelet, ...kubelet } });
  const runtime = runtimeWith({});
  return {
    runtime,
    runtimeWith,
    powerlessTokenFile: await tokenOf(POWERLESS),
    file,
    engine: podEngine(cluster, node, runtime),
    stop: async () => {
      await pods.stop();
      await relay.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function watchPods(cluster: Cluster, nodeName: string) {
  const api = createKubeApi({
    source: { from: 'Text', text: cluster.kubeconfig() },
    version: '0.0.0',
    component: 'test',
    clock: systemClock,
  });
  const parts = {
    api,
    clock: systemClock,
    log: silent,
    metrics: NO_MACHINERY_METRICS,
    random: Math.random,
  };
  const reflector = createReflector(parts, {
    name: 'pods',
    resource: PODS,
    selection: { fieldSelector: `spec.nodeName=${nodeName}` },
    project: viewPod,
  });
  const late = createLatePods();
  late.connect(reflector);
  const ending = new AbortController();
  const running = reflector.run(ending.signal);
  return {
    late,
    stop: async () => {
      ending.abort();
      await running;
      await api.close();
    },
  };
}

/** Containers as pods of one container each, started and ended by Kubernetes. */
function podEngine(cluster: Cluster, node: KubeNode, runtime: KubeletRuntime): LabEngine {
  const podNames = new Map<string, string>();
  const listed = async (id: string): Promise<{ readonly pid: number | null } | null> =>
    (await runtime.list()).find((container) => container.id === id) ?? null;
  return {
    name: 'kubelet',
    ociRuntime: null,
    keeps: 'ByTime',
    start: async (name, command, labels) => {
      const { name: image } = await ensureBusyboxImage(() => undefined);
      const spec = {
        nodeName: node.name,
        restartPolicy: 'Never',
        terminationGracePeriodSeconds: 0,
        containers: [{ name, image, imagePullPolicy: 'Never', command }],
      };
      const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: `pod-${name}`, labels }, spec };
      await cluster.kubectl(['create', '-f', '-'], { input: JSON.stringify(pod) });
      const found = await eventually(
        `pod-${name} to run`,
        async () => {
          const containers = await runtime.list().catch(() => []);
          return containers.find((container) => container.name === name && container.pid !== null) ?? null;
        },
        cluster,
      );
      podNames.set(found.id, `pod-${name}`);
      return found.id;
    },
    kill: async (id) => {
      await node.run(['kill', '-KILL', String((await listed(id))?.pid)]);
      await eventually(`${id} to end`, async () => ((await listed(id))?.pid === null ? true : null), cluster);
    },
    remove: async (id) => {
      const name = podNames.get(id) ?? '';
      await cluster.kubectl(['delete', 'pod', name, '--force', '--grace-period=0', '--wait=false']);
      await eventually(`${name} to go`, async () => ((await listed(id)) === null ? true : null), cluster);
      await node.run(['sh', '-c', 'rm -f /var/lib/kubelet/checkpoints/*']);
    },
  };
}
