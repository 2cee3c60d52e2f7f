// A real Kubernetes of up to nine nodes on this machine: etcd, kube-apiserver, kube-controller-manager, kube-scheduler,
// and a kubelet with containerd and runc on each node. Nothing of it outlives the process that started it.
import { setTimeout as sleep } from 'node:timers/promises';
import type { LabNode } from '../lab/lab-node.ts';
import type { Progress } from '../lab/node-root.ts';
import { createComponent } from './component.ts';
import type { Component } from './component.ts';
import { API_INSIDE, describeComponents, startControlPlaneOn, startPlaneNode } from './control-plane.ts';
import type { ControlPlane } from './control-plane.ts';
import { ensureKubePrograms } from './kube-binaries.ts';
import { kubeletUser, prepareKubeNode, untilNodesReady } from './kube-node.ts';
import type { KubeNode } from './kube-node.ts';
import { kubeconfig } from './lab-users.ts';
import type { LabUser } from './lab-users.ts';
import { MOST_NODES } from './node-network.ts';
import { PKI_INSIDE } from './pki.ts';

const MANAGER = 'system:kube-controller-manager';
const SCHEDULER = 'system:kube-scheduler';
const SERVICE_ACCOUNT_TIMEOUT_MS = 180_000;

export interface ClusterOptions {
  /** 1 to 9. */
  nodes: number;
  /** OCI archives of this machine (hack/kube/oci-image.ts) that every node has before its kubelet starts. */
  images?: readonly string[];
  /** Beside `admin`: who else gets a static token. Service accounts get real ones from the API. */
  users?: readonly LabUser[];
  apiServerArgs?: readonly string[];
  /** After the lab's own words; the last of a flag counts. */
  controllerManagerArgs?: readonly string[];
  progress?: Progress;
}

export interface Cluster extends ControlPlane {
  nodes: readonly KubeNode[];
  /** The node of that name; throws when there is none. */
  nodeNamed: (name: string) => KubeNode;
  controllerManager: Component;
  scheduler: Component;
}

/** A silent node is NotReady after 8 s instead of 50. With the default rate limit its start takes 4.5 s longer (measured). */
const managerArgv = (more: readonly string[]): string[] => [
  ...['kube-controller-manager', ...identity(MANAGER)],
  `--service-account-private-key-file=${PKI_INSIDE}/sa.key`,
  `--root-ca-file=${PKI_INSIDE}/ca.crt`,
  ...['--use-service-account-credentials=true', '--leader-elect=false'],
  `--cluster-signing-cert-file=${PKI_INSIDE}/ca.crt`,
  `--cluster-signing-key-file=${PKI_INSIDE}/ca.key`,
  ...['--kube-api-qps=500', '--kube-api-burst=1000'],
  ...['--node-monitor-grace-period=8s', '--node-monitor-period=1s'],
  ...more,
];

const kubeconfigInside = (user: string): string => `/etc/kubernetes/${user.replaceAll(':', '-')}.kubeconfig`;

function identity(user: string): string[] {
  const file = kubeconfigInside(user);
  return ['kubeconfig', 'authentication-kubeconfig', 'authorization-kubeconfig'].map(
    (flag) => `--${flag}=${file}`,
  );
}

/**
 * Starts it and returns when every node is Ready and the namespace default has its service account: 6 s for three
 * nodes when all is cached. Several may run at once. Throws with what is missing on this machine, or with the end of
 * each component's log.
 */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const { nodes: count, images = [], progress = () => undefined } = options;
  if (!Number.isInteger(count) || count < 1 || count > MOST_NODES)
    throw new Error(`A lab has 1 to ${MOST_NODES} nodes, not ${count}.`);
  const { kubelet, ...programs } = await ensureKubePrograms(
    ['etcd', 'kube-apiserver', 'kubelet', 'kube-controller-manager', 'kube-scheduler'],
    progress,
  );
  const numbers = Array.from({ length: count }, (_, index) => index + 1);
  const stops: (() => Promise<void>)[] = [];
  try {
    const preparing = numbers.map(async (number) => {
      const node = await prepareKubeNode({ number, kubeletFile: kubelet, images, progress });
      stops.push(() => node.lab.stop());
      return node;
    });
    const planeNode = await startPlaneNode(Object.entries(programs), progress);
    stops.push(() => planeNode.stop());
    const [plane, ...prepared] = await allOrFirstFailure([
      startPlane(planeNode, numbers, { ...options, progress }),
      ...preparing,
    ] as const);
    stops.push(() => plane.stop());
    const managers = await startManagers(plane, options.controllerManagerArgs ?? []);
    const nodes = await Promise.all(prepared.map(({ join }) => join(plane)));
    const cluster = assemble(plane, nodes, managers);
    await untilNodesReady(
      plane,
      nodes.map(({ name }) => name),
      { sinceMs: 0, describe: cluster.describeLogs },
    );
    await untilServiceAccount(cluster);
    progress(`a cluster of ${count} is Ready at ${plane.url}`);
    return cluster;
  } catch (error) {
    await Promise.all(stops.map((stop) => stop()));
    throw error;
  }
}

/** As Promise.all, but rejects only when all have come to an end: what was started by then can be stopped. */
async function allOrFirstFailure<T extends readonly unknown[]>(
  promises: T,
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  await Promise.allSettled(promises);
  return await Promise.all(promises);
}

function startPlane(
  node: LabNode,
  numbers: readonly number[],
  { users = [], apiServerArgs = [], progress = () => undefined }: ClusterOptions,
): Promise<ControlPlane> {
  const own: LabUser[] = [
    { name: MANAGER },
    { name: SCHEDULER },
    ...numbers.map((number) => ({ name: kubeletUser(number), groups: ['system:nodes'] })),
  ];
  return startControlPlaneOn(node, { users: [...own, ...users], apiServerArgs, progress });
}

interface Managers {
  controllerManager: Component;
  scheduler: Component;
}

async function startManagers(plane: ControlPlane, more: readonly string[]): Promise<Managers> {
  for (const user of [MANAGER, SCHEDULER])
    await plane.node.writeFile(kubeconfigInside(user), kubeconfig(API_INSIDE, plane.ca, user));
  const schedulerArgv = ['kube-scheduler', ...identity(SCHEDULER), '--leader-elect=false'];
  const controllerManager = createComponent(plane.node, 'kube-controller-manager', managerArgv(more));
  const scheduler = createComponent(plane.node, 'kube-scheduler', schedulerArgv);
  controllerManager.start();
  scheduler.start();
  return { controllerManager, scheduler };
}

function assemble(plane: ControlPlane, nodes: readonly KubeNode[], managers: Managers): Cluster {
  const { etcd, apiServer } = plane;
  return {
    ...plane,
    ...managers,
    nodes,
    nodeNamed: (name) => {
      const node = nodes.find((one) => one.name === name);
      if (!node) throw new Error(`This lab has no node ${name}.`);
      return node;
    },
    describeLogs: async () => {
      const parts = [
        describeComponents([etcd, apiServer, managers.controllerManager, managers.scheduler]),
        ...nodes.map((node) => node.describeLogs()),
      ];
      return (await Promise.all(parts)).join('\n');
    },
    stop: async () => {
      await Promise.all([...nodes.map((node) => node.stop()), plane.stop()]);
    },
  };
}

async function untilServiceAccount(cluster: Cluster): Promise<void> {
  const path = '/api/v1/namespaces/default/serviceaccounts/default';
  const giveUpAt = Date.now() + SERVICE_ACCOUNT_TIMEOUT_MS;
  while ((await cluster.request({ path })).status !== 200) {
    if (Date.now() > giveUpAt)
      throw new Error(`There is no default service account.\n${await cluster.describeLogs()}`);
    await sleep(50);
  }
}
