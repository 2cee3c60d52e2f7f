// A real cluster with the operator installed as a user installs it: `kubectl apply --server-side -f deploy/install.yaml`, the image built from these sources.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/adapters/clock/system-clock.ts';
import { createKubeApi } from '../../src/adapters/kube/kube-api.ts';
import { readCheckpointNodeStatus, type CheckpointNodeStatus } from '../../src/api/checkpoint-node.ts';
import { readCheckpointPolicyStatus, type CheckpointPolicyStatus } from '../../src/api/checkpoint-policy.ts';
import type { KubeObject, KubeResource } from '../../src/api/kube-object.ts';
import { CHECKPOINT_NODES, CHECKPOINT_POLICIES } from '../../src/api/kube-resources.ts';
import { buildImage } from '../../hack/image.ts';
import type { ApiAnswer } from '../../hack/kube/api-request.ts';
import { startCluster, type Cluster } from '../../hack/kube/cluster.ts';
import { ensureBusyboxImage, ensureNettyImage } from '../../hack/kube/test-images.ts';
import { eventually } from './eventually.ts';
import { pathOf, ROOT } from './installed-plane.ts';

export const RUNC_CONF = '/etc/criu/runc.conf';
export const SYSTEM = 'ghostlimit-system';
const quiet = (): void => undefined;

export interface PodPlan {
  readonly name: string;
  readonly nodeName: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** busybox, unless it is the JVM with the real Netty. */
  readonly image?: 'busybox' | 'netty';
  readonly command?: readonly string[];
  /** Folders of the node, at the same path in the container and read-only there. */
  readonly nodeFolders?: readonly string[];
}

export interface OperatorLab {
  readonly cluster: Cluster;
  /** `kubectl ARGS` as admin; throws with stderr unless it exits 0. */
  readonly kubectl: (...args: string[]) => Promise<string>;
  /** `kubectl apply -f -`; throws with the server's words when it is refused. */
  readonly apply: (...objects: readonly unknown[]) => Promise<string>;
  /** A pod of one container, `app`; returns when it runs. */
  readonly runPod: (plan: PodPlan) => Promise<void>;
  readonly deletePod: (name: string) => Promise<void>;
  /** null: there is no such file. */
  readonly conf: (nodeName: string) => Promise<string | null>;
  readonly writeConf: (nodeName: string, text: string) => Promise<void>;
  readonly policy: (name: string) => Promise<CheckpointPolicyStatus | null>;
  readonly report: (nodeName: string) => Promise<CheckpointNodeStatus | null>;
  /** Waits until `test` of the policy's status holds; gives that status. */
  readonly untilPolicy: (
    name: string,
    what: string,
    test: (status: CheckpointPolicyStatus) => boolean,
  ) => Promise<CheckpointPolicyStatus>;
  readonly untilConf: (
    nodeName: string,
    what: string,
    test: (text: string | null) => boolean,
  ) => Promise<string | null>;
  /** Every status of the policies that the API server showed, oldest first, by name, from when this resolves on. */
  readonly recordStatuses: (
    signal: AbortSignal,
  ) => Promise<readonly { readonly name: string; readonly status: CheckpointPolicyStatus }[]>;
  /** Every version of the kind's objects that the API server showed, oldest first, from when this resolves on. */
  readonly recordObjects: (resource: KubeResource, signal: AbortSignal) => Promise<readonly KubeObject[]>;
  /** A checkpoint of the pod's container by the kubelet of its node, as admin. */
  readonly checkpoint: (nodeName: string, podName: string) => Promise<ApiAnswer>;
  readonly until: <T>(what: string, probe: () => Promise<T | null>) => Promise<T>;
  readonly stop: () => Promise<void>;
}

export interface OperatorLabOptions {
  readonly nodes: number;
  /** Of the controller. */
  readonly replicas?: number;
  readonly withNetty?: boolean;
  readonly apiServerArgs?: readonly string[];
}

/** Returns when the controller and an agent on each node are Ready. Throws with the logs of the lab and of the operator. */
export async function startOperatorLab(options: OperatorLabOptions): Promise<OperatorLab> {
  // A node that is killed and started again gets its images anew: the archive stays as long as the lab.
  const folder = await mkdtemp(join(tmpdir(), 'ghostlimit-operator-'));
  const cleanUp = (): Promise<void> => rm(folder, { recursive: true, force: true });
  try {
    const cluster = await startClusterWithImages(join(folder, 'image.tar'), options);
    const stop = async (): Promise<void> => {
      await cluster.stop();
      await cleanUp();
    };
    try {
      await install(cluster, options);
    } catch (error) {
      const logs = await describeOperator(cluster);
      await cluster.stop();
      throw new Error(`${(error as Error).message}\n${logs}`, { cause: error });
    }
    return { ...operatorLab(cluster), stop };
  } catch (error) {
    await cleanUp();
    throw error;
  }
}

async function startClusterWithImages(archive: string, options: OperatorLabOptions): Promise<Cluster> {
  await buildImage(archive, quiet);
  const images = [archive, (await ensureBusyboxImage(quiet)).archive];
  if (options.withNetty === true) images.push((await ensureNettyImage(quiet)).archive);
  const { nodes, apiServerArgs = [] } = options;
  return startCluster({ nodes, images, apiServerArgs });
}

async function install(cluster: Cluster, { nodes, replicas = 1 }: OperatorLabOptions): Promise<void> {
  await cluster.kubectl(['apply', '--server-side', '-f', join(ROOT, 'deploy/install.yaml')]);
  if (replicas !== 1)
    await cluster.kubectl([
      '-n',
      SYSTEM,
      'scale',
      'deployment/ghostlimit-controller',
      `--replicas=${replicas.toString()}`,
    ]);
  await untilOperatorReady(cluster, { nodes, replicas });
}

export async function untilOperatorReady(
  cluster: Cluster,
  { nodes, replicas }: { readonly nodes: number; readonly replicas: number },
): Promise<void> {
  const numberOf = async (kind: string, name: string, field: string): Promise<number> => {
    const path = `/apis/apps/v1/namespaces/${SYSTEM}/${kind}/${name}`;
    const { status, text } = await cluster.request({ path });
    if (status !== 200) return 0;
    const object = JSON.parse(text) as { status?: Record<string, number> };
    return object.status?.[field] ?? 0;
  };
  await eventually(
    'the controller to be ready',
    async () =>
      (await numberOf('deployments', 'ghostlimit-controller', 'readyReplicas')) === replicas ? true : null,
    cluster,
  );
  await eventually(
    'an agent to be ready on each node',
    async () => ((await numberOf('daemonsets', 'ghostlimit-agent', 'numberReady')) === nodes ? true : null),
    cluster,
  );
}

/** The last words of controller and agents, for the message of a failure. */
async function describeOperator(cluster: Cluster): Promise<string> {
  const say = (args: readonly string[]): Promise<string> =>
    cluster.kubectl(['-n', SYSTEM, ...args]).catch((error: unknown) => String(error));
  const parts = await Promise.all([
    say(['get', 'pods', '-o', 'wide']),
    say(['get', 'events', '--field-selector', 'type=Warning']),
    say(['logs', '-l', 'app.kubernetes.io/component=controller', '--tail=40', '--prefix']),
    say(['logs', '-l', 'app.kubernetes.io/component=agent', '--tail=40', '--prefix']),
  ]);
  return parts.join('\n');
}

function operatorLab(cluster: Cluster): Omit<OperatorLab, 'stop'> {
  const until = <T>(what: string, probe: () => Promise<T | null>): Promise<T> =>
    eventually(what, probe, {
      describeLogs: async () => `${await describeOperator(cluster)}\n${await cluster.describeLogs()}`,
    });
  const kubectl = (...args: string[]): Promise<string> => cluster.kubectl(args);
  const object = async (path: string): Promise<KubeObject | null> => {
    const { status, text } = await cluster.request({ path });
    return status === 200 ? (JSON.parse(text) as KubeObject) : null;
  };
  const policy = async (name: string): Promise<CheckpointPolicyStatus | null> => {
    const found = await object(pathOf(CHECKPOINT_POLICIES, { name }));
    return found === null ? null : readCheckpointPolicyStatus(found);
  };
  const conf = async (nodeName: string): Promise<string | null> =>
    (await cluster.nodeNamed(nodeName).readFile(RUNC_CONF))?.toString() ?? null;
  return {
    cluster,
    kubectl,
    until,
    conf,
    policy,
    ...podsOf(cluster, until),
    apply: (...objects) =>
      cluster.kubectl(['apply', '-f', '-'], {
        input: JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }),
      }),
    writeConf: (nodeName, text) => cluster.nodeNamed(nodeName).writeFile(RUNC_CONF, text),
    report: async (nodeName) => {
      const found = await object(pathOf(CHECKPOINT_NODES, { name: nodeName }));
      return found === null ? null : readCheckpointNodeStatus(found);
    },
    untilPolicy: (name, what, test) =>
      until(`policy ${name}: ${what}`, async () => {
        const status = await policy(name);
        return status !== null && test(status) ? status : null;
      }),
    untilConf: async (nodeName, what, test) => {
      const { text } = await until(`${RUNC_CONF} of ${nodeName}: ${what}`, async () => {
        const content = await conf(nodeName);
        return test(content) ? { text: content } : null;
      });
      return text;
    },
    recordStatuses: async (signal) => {
      const view = (object: KubeObject): { name: string; status: CheckpointPolicyStatus } | null => {
        const status = readCheckpointPolicyStatus(object);
        return status === null ? null : { name: object.metadata.name, status };
      };
      const { seen, started } = startRecording(cluster, { resource: CHECKPOINT_POLICIES, signal, view });
      await started;
      return seen;
    },
    recordObjects: async (resource, signal) => {
      const { seen, started } = startRecording(cluster, { resource, signal, view: (object) => object });
      await started;
      return seen;
    },
    checkpoint: (nodeName, podName) =>
      cluster.request({
        path: `/api/v1/nodes/${nodeName}/proxy/checkpoint/default/${podName}/app`,
        method: 'POST',
      }),
  };
}

function podsOf(cluster: Cluster, until: OperatorLab['until']): Pick<OperatorLab, 'runPod' | 'deletePod'> {
  const phase = async (name: string): Promise<string> => {
    const { status, text } = await cluster.request({ path: `/api/v1/namespaces/default/pods/${name}` });
    return status === 200 ? (JSON.parse(text) as { status: { phase: string } }).status.phase : 'Gone';
  };
  return {
    runPod: async ({
      name,
      nodeName,
      labels = { app: name },
      image = 'busybox',
      command,
      nodeFolders = [],
    }) => {
      const { name: reference } = await (image === 'netty'
        ? ensureNettyImage(quiet)
        : ensureBusyboxImage(quiet));
      const container = {
        name: 'app',
        image: reference,
        imagePullPolicy: 'Never',
        ...(command !== undefined && { command }),
        volumeMounts: nodeFolders.map((mountPath, index) => ({
          name: `n${index}`,
          mountPath,
          readOnly: true,
        })),
      };
      const volumes = nodeFolders.map((path, index) => ({ name: `n${index}`, hostPath: { path } }));
      const spec = { nodeName, terminationGracePeriodSeconds: 0, containers: [container], volumes };
      const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name, labels }, spec };
      await cluster.kubectl(['create', '-f', '-'], { input: JSON.stringify(pod) });
      await until(`pod ${name} to run`, async () => ((await phase(name)) === 'Running' ? true : null));
    },
    deletePod: async (name) => {
      await cluster.kubectl(['delete', 'pod', name, '--wait=false']);
      await until(`pod ${name} to go`, async () => ((await phase(name)) === 'Gone' ? true : null));
    },
  };
}

interface Recording<T> {
  readonly seen: readonly T[];
  /** Resolves when no change from then on will be missed. */
  readonly started: Promise<unknown>;
}

/** What `view` makes of each object that a watch shows until `signal` aborts, without what it gives null for. */
function startRecording<T>(
  cluster: Cluster,
  {
    resource,
    signal,
    view,
  }: {
    readonly resource: KubeResource;
    readonly signal: AbortSignal;
    readonly view: (object: KubeObject) => T | null;
  },
): Recording<T> {
  const kube = createKubeApi({
    source: { from: 'Text', text: cluster.kubeconfig() },
    version: '0.0.0',
    component: 'test',
    clock: systemClock,
  });
  const seen: T[] = [];
  const started = kube.list(resource, { signal });
  const watch = async (): Promise<void> => {
    const { resourceVersion } = await started;
    for await (const { type, object } of kube.watch(resource, {
      resourceVersion,
      timeoutSeconds: 3600,
      signal,
    })) {
      const viewed = type === 'BOOKMARK' ? null : view(object);
      if (viewed !== null) seen.push(viewed);
    }
  };
  watch()
    .catch((error: unknown) => {
      if (!signal.aborted) throw error;
    })
    .finally(() => kube.close());
  return { seen, started };
}

/** A CheckpointPolicy in `default` with one target, by the label app=`app`. */
export function aPolicy(
  name: string,
  ghostLimit: unknown,
  { app = name, ...spec }: Readonly<Record<string, unknown>> & { readonly app?: string } = {},
): unknown {
  return {
    apiVersion: 'ghostlimit.dev/v1alpha1',
    kind: 'CheckpointPolicy',
    metadata: { name, namespace: 'default' },
    spec: { ...spec, targets: [{ name: 'main', selector: { matchLabels: { app } }, ghostLimit }] },
  };
}

/** "True AllNodesInSync"; empty: there is no such condition. */
export function conditionOf(
  { conditions }: Pick<CheckpointPolicyStatus, 'conditions'>,
  type: string,
): string {
  const condition = conditions.find((each) => each.type === type);
  return condition === undefined ? '' : `${condition.status} ${condition.reason}`;
}

export const isReady = (status: CheckpointPolicyStatus): boolean =>
  conditionOf(status, 'Ready').startsWith('True');
