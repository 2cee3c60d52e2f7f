// Checkpoints by a real kubelet, through its adapter: held to the contract of the port, and to what a kubelet refuses.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startCluster, type Cluster } from '../../hack/kube/cluster.ts';
import type { KubeNode } from '../../hack/kube/kube-node.ts';
import { ensureBusyboxImage } from '../../hack/kube/test-images.ts';
import { classifyFailure } from '../../src/domain/checkpoint/classify-failure.ts';
import {
  RuntimeCheckpointError,
  type ContainerRuntime,
  type RuntimeContainer,
} from '../../src/ports/container-runtime.ts';
import { describeContainerRuntime } from '../contract/container-runtime.contract.ts';
import { ARCHIVES, labRig, prepareHang, runtimeNamed } from '../lab/engine-rig.ts';
import { selfSigned } from '../unit/adapters/kube/self-signed.ts';
import { eventually } from './eventually.ts';
import { startKubeletLab, type KubeletLab } from './kubelet-rig.ts';

const KUBELET_CONFIG = '/etc/kubernetes/kubelet.json';

let cluster: Cluster;
let node: KubeNode;
let lab: KubeletLab;

beforeAll(async () => {
  const { archive } = await ensureBusyboxImage(() => undefined);
  cluster = await startCluster({ nodes: 1, images: [archive] });
  node = cluster.nodeNamed('node1');
  await prepareHang(node.lab());
  lab = await startKubeletLab(cluster, node);
}, 600_000);
afterAll(async () => {
  await lab.stop();
  await cluster.stop();
});

describeContainerRuntime('by a real kubelet', () => labRig(node.lab(), lab.engine, lab.runtime));

const call = (container: RuntimeContainer) => ({
  container,
  checkpointName: 'c1',
  archiveDirectory: ARCHIVES,
  timeoutMs: 60_000,
});

const running = async (): Promise<RuntimeContainer> => {
  const rig = await labRig(node.lab(), lab.engine, lab.runtime);
  const container = await lab.runtime.find(await rig.start({ ghostBytes: 4096 }));
  if (container === null) throw new Error('the container is not found');
  return container;
};

async function refusalOf(runtime: ContainerRuntime, container: RuntimeContainer) {
  const error: unknown = await runtime.checkpoint(call(container)).then(
    () => new Error('it succeeded'),
    (reason: unknown) => reason,
  );
  if (!(error instanceof RuntimeCheckpointError)) throw error;
  const { message, timedOut } = error;
  return { message, reason: classifyFailure({ runtimeError: message, dumpLog: null, timedOut }).reason };
}

const obstaclesOf = async (runtime: ContainerRuntime): Promise<string[]> =>
  (await runtime.probe()).obstacles.map(({ reason, message }) => `${reason} ${message}`);

describe('a real kubelet', () => {
  test('the pids from /proc are those that the CRI tells, and so are labels, name and state', async () => {
    const container = await running();
    const { labels: ofCri, ...byCri } =
      (await (await runtimeNamed(node.lab(), 'containerd')).find(container.id)) ?? container;
    const { labels, ...byKubelet } = container;
    expect({ ...byCri, runtime: 'kubelet' }).toEqual(byKubelet);
    expect(labels).toEqual(ofCri);
    await lab.engine.remove(container.id);
  });

  test('an `exec` into the container is not taken for it', async () => {
    const container = await running();
    const podName = container.labels['io.kubernetes.pod.name'] ?? '';
    const exec = cluster.kubectl(['exec', podName, '--', 'sleep', '1000']).catch(() => '');
    const sleeps = async (): Promise<string[]> =>
      (await node.exec(['pgrep', '-x', '-f', 'sleep 1000'])).stdout.split('\n').filter((pid) => pid !== '');
    const [pid = ''] = await eventually(
      'the exec',
      async () => ((await sleeps()).length > 0 ? await sleeps() : null),
      cluster,
    );
    // One that remembers nothing.
    expect((await lab.runtimeWith({}).find(container.id))?.pid).toBe(container.pid);
    await node.run(['kill', '-KILL', pid]);
    await exec;
    await lab.engine.remove(container.id);
  });

  test('a container that is not in the pod, and a pod that is not on the node', async () => {
    const container = await running();
    const other = (name: string, value: string): RuntimeContainer => ({
      ...container,
      labels: { ...container.labels, [name]: value },
    });
    expect(await refusalOf(lab.runtime, other('io.kubernetes.container.name', 'nope'))).toEqual({
      message: 'kubelet answered 404: container nope does not exist',
      reason: 'ContainerNotRunning',
    });
    expect(await refusalOf(lab.runtime, other('io.kubernetes.pod.name', 'nope'))).toEqual({
      message: 'kubelet answered 404: pod does not exist',
      reason: 'ContainerNotRunning',
    });
    await lab.engine.remove(container.id);
  });

  test('without the right, and without a token that counts', async () => {
    const container = await running();
    const powerless = lab.runtimeWith({ tokenFile: lab.powerlessTokenFile });
    expect(await refusalOf(powerless, container)).toMatchObject({
      message: expect.stringMatching(
        /^kubelet answered 403: Forbidden \(user=system:serviceaccount:default:powerless, verb=create, resource=nodes, subresource\(s\)=\[checkpoint\]\)$/,
      ),
      reason: 'Unauthorized',
    });
    expect(await obstaclesOf(powerless)).toEqual([expect.stringMatching(/^Unauthorized .*\(403\)/)]);
    const unknown = lab.runtimeWith({ tokenFile: await lab.file('unknown.token', 'nobody') });
    expect(await refusalOf(unknown, container)).toEqual({
      message: 'kubelet answered 401: Unauthorized',
      reason: 'Unauthorized',
    });
    expect(await obstaclesOf(unknown)).toEqual([expect.stringMatching(/^Unauthorized .*\(401\)/)]);
    await lab.engine.remove(container.id);
  });

  test.each([
    ['of somebody else', () => selfSigned('somebody').cert],
    ['of the cluster, where the kubelet made its own', () => cluster.ca],
  ])('a certificate that is not verified by the authority %s: nothing is sent', async (_, ca) => {
    const runtime = lab.runtimeWith({ caFile: await lab.file('other-ca.crt', ca()) });
    expect(await obstaclesOf(runtime)).toEqual([
      expect.stringMatching(
        /^RuntimeUnavailable The serving certificate of the kubelet cannot be verified: .*SELF_SIGNED_CERT_IN_CHAIN/,
      ),
    ]);
    const container = await running();
    await expect(runtime.checkpoint(call(container))).rejects.toMatchObject({
      name: 'RuntimeUnavailable',
      message: expect.stringContaining('SELF_SIGNED_CERT_IN_CHAIN'),
    });
    await lab.engine.remove(container.id);
  });
});

/** Starts the kubelet anew with more in its configuration; returns at once. */
async function restartKubelet(more: Readonly<Record<string, unknown>>): Promise<void> {
  const config = JSON.parse((await node.readFile(KUBELET_CONFIG))?.toString() ?? '') as object;
  await node.writeFile(KUBELET_CONFIG, JSON.stringify({ ...config, ...more }));
  await node.kubelet().kill();
  node.kubelet().start();
}

/** The last ones: the kubelet is another one after them. */
describe('a real kubelet of another configuration', () => {
  test('with the feature gate off', async () => {
    await restartKubelet({ featureGates: { ContainerCheckpoint: false } });
    const obstacles = await eventually('the kubelet to listen', async () => {
      const found = await obstaclesOf(lab.runtime);
      return found[0]?.startsWith('RuntimeUnavailable') === true ? null : found;
    });
    expect(obstacles).toEqual([expect.stringMatching(/^FeatureGateOff /)]);
    const container = await running();
    expect(await refusalOf(lab.runtime, container)).toEqual({
      message: 'kubelet answered 404: 404 page not found',
      reason: 'FeatureGateOff',
    });
    await lab.engine.remove(container.id);
  });

  test('with a certificate that the cluster signed: refused until it is approved, then verified by the authority of the cluster', async () => {
    await restartKubelet({ featureGates: { ContainerCheckpoint: true }, serverTLSBootstrap: true });
    const [said] = await eventually('the kubelet to listen', async () => {
      const found = await obstaclesOf(lab.runtime);
      return found[0]?.includes('cannot be verified') === true ? found : null;
    });
    expect(said).toMatch(/^RuntimeUnavailable .*tlsv1 alert internal error/);
    const approveAll = async (): Promise<void> => {
      const names = (await cluster.kubectl(['get', 'csr', '-o', 'name']))
        .split('\n')
        .filter((name) => name !== '');
      if (names.length > 0)
        await cluster.kubectl(['certificate', 'approve', ...names.map((name) => name.split('/')[1] ?? '')]);
    };
    // The port that leads there is of this machine: the certificate is for the node's name, and that is enough.
    let last: readonly string[] = [];
    await eventually('a certificate', async () => {
      await approveAll();
      last = await obstaclesOf(lab.runtime);
      return last.length === 0 ? true : null;
    }).catch(async (error: unknown) => {
      throw new Error(`${last.join('\n')}\n${await cluster.kubectl(['get', 'csr'])}`, { cause: error });
    });
    const container = await running();
    expect((await lab.runtime.checkpoint(call(container))).path).toMatch(
      /^\/var\/lib\/kubelet\/checkpoints\/checkpoint-/,
    );
    await lab.engine.remove(container.id);
  });
});
